from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from kanca.domain.status import OutcomeStatus
from kanca.handlers.event import Event
from kanca.handlers.registry import HandlerRegistry
from tests.queueing import claim, register
from tests.workers.site import Site


async def test_the_work_of_a_predecessor_that_died_goes_on_at_once(site: Site) -> None:
    handlers = HandlerRegistry()

    @handlers.on("order.created")
    async def handle(event: Event[Any]) -> None: ...

    dead = await register(site.database.queue, timedelta(minutes=10))
    [event] = await site.accept()
    assert len(await claim(site.database.queue, dead)) == 1
    async with asyncio.timeout(10):
        await site.start(handlers, predecessor=dead, lease=timedelta(minutes=5))
        [outcome] = await site.ended(event)
    assert outcome.status is OutcomeStatus.SUCCEEDED
