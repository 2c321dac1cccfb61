from __future__ import annotations

from typing import Any

from kanca.domain.status import OutcomeStatus
from kanca.handlers.event import Event
from kanca.handlers.registry import HandlerRegistry
from tests.workers.site import Site


async def test_an_event_is_handled_and_its_result_kept(site: Site) -> None:
    handlers = HandlerRegistry()

    @handlers.on("order.created", name="confirm")
    async def confirm(event: Event[Any]) -> dict[str, Any]:
        return {"confirmed": event.data["id"]}

    await site.start(handlers)
    [event] = await site.accept(body=b'{"id":7}')
    [outcome] = await site.ended(event)
    assert (outcome.work, outcome.status, outcome.works) == ("handler:confirm", OutcomeStatus.SUCCEEDED, 1)
    assert outcome.result == b'{"confirmed":7}'
    assert await site.tasks() == []
