"""Fields of payloads, by which events are found, are stored before their work begins."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from kanca.domain.event import as_stored
from kanca.domain.published import PUBLISHED
from kanca.handlers.event import Event
from kanca.handlers.registry import HandlerRegistry
from kanca.storage.tables import event_fields
from kanca.workers.indexing import fields_of
from tests.factories import new_event
from tests.workers.site import Site

PATHS = ["data.customer.id", "data.items.0", "data.paid"]


async def stored(site: Site) -> dict[str, str]:
    rows = await site.database.read(lambda connection: connection.execute(select(event_fields)).all())
    return {row.path: row.value for row in rows}


async def test_fields_are_there_while_the_handler_is_at_work(site: Site) -> None:
    seen: list[dict[str, str]] = []
    handlers = HandlerRegistry()

    @handlers.on("order.*", name="look")
    async def look(event: Event[Any]) -> None:
        seen.append(await stored(site))

    await site.change_endpoint(config=json.dumps({"indexed_fields": PATHS}))
    await site.start(handlers)
    [event] = await site.accept(data={"customer": {"id": 42}, "items": ["a"], "paid": True, "other": "x"})
    await site.ended(event)

    assert seen == [{"data.customer.id": "42", "data.items.0": "a", "data.paid": "true"}]


async def test_an_event_that_nobody_wants_is_found_too(site: Site) -> None:
    await site.change_endpoint(config=json.dumps({"indexed_fields": PATHS}))
    await site.start()
    [event] = await site.accept(data={"customer": {"id": "C-1"}})
    await site.ended(event)

    assert await stored(site) == {"data.customer.id": "C-1"}


async def test_published_events_have_fields_of_their_own(site: Site) -> None:
    await site.start(published_fields=("data.id",))
    [event] = await site.accept(endpoint=PUBLISHED, body=b'{"event_type":"order.paid","data":{"id":7}}')
    await site.ended(event)

    assert await stored(site) == {"data.id": "7"}


@pytest.mark.parametrize(
    "body", [b"", b"\xff\x00", b"[1]", b'{"data":{"id":null}}', b'{"data":{"id":{"a":1}}}']
)
def test_where_there_is_no_value_there_is_no_field(body: bytes) -> None:
    assert fields_of(as_stored(new_event(body=body)), ["data.id"]) == ()
