from __future__ import annotations

import asyncio
from typing import Any

from kanca.domain.status import EventStatus, OutcomeStatus
from kanca.handlers.event import Event
from kanca.handlers.matching import HandlerSpec, encode_spec
from kanca.handlers.registry import HandlerRegistry
from kanca.storage.claimed_work import announce_handlers
from tests.workers.site import Site


class Recorder:
    """A handler that says what it did when, and takes turns with the others meanwhile."""

    def __init__(self, **how: Any) -> None:
        self.handlers = HandlerRegistry()
        self.seen: dict[str, list[int]] = {}
        self.at_once: set[str] = set()
        self.overlaps = 0
        self.handlers.on("order.changed", name="ordered", **how)(self.handle)

    async def handle(self, event: Event[Any]) -> None:
        customer = event.data["customer"]
        self.overlaps += customer in self.at_once
        self.at_once.add(customer)
        for _ in range(event.data["change"] % 3):
            await asyncio.sleep(0)
        self.at_once.discard(customer)
        self.seen.setdefault(customer, []).append(event.data["change"])


async def send(site: Site, changes: int) -> None:
    """Changes of three customers in turn."""
    last = None
    for change in range(changes):
        for customer in ("a", "b", "c"):
            [last] = await site.accept(type="order.changed", data={"customer": customer, "change": change})
    assert last is not None

    async def is_empty() -> bool:
        return not await site.tasks()

    await site.until(is_empty)


async def test_events_with_one_key_are_handled_in_the_order_of_their_arrival(site: Site) -> None:
    recorder = Recorder(order_by="customer")
    await site.start(recorder.handlers)
    await send(site, 8)
    assert recorder.seen == {customer: list(range(8)) for customer in ("a", "b", "c")}
    assert recorder.overlaps == 0


async def test_a_function_may_say_the_key(site: Site) -> None:
    recorder = Recorder(order_by=lambda event: event.data["customer"])
    await site.start(recorder.handlers)
    await send(site, 5)
    assert recorder.seen == {customer: list(range(5)) for customer in ("a", "b", "c")}


async def test_what_has_no_key_has_no_order_but_is_handled(site: Site) -> None:
    recorder = Recorder(order_by="no.such.place")
    await site.start(recorder.handlers)
    await send(site, 2)
    assert {customer: sorted(changes) for customer, changes in recorder.seen.items()} == {
        customer: [0, 1] for customer in ("a", "b", "c")
    }


async def test_a_function_that_fails_costs_only_its_own_handler(site: Site) -> None:
    recorder = Recorder(order_by=lambda event: 1 // 0)

    @recorder.handlers.on("order.changed", name="other")
    async def other(event: Event[Any]) -> None: ...

    await site.start(recorder.handlers)
    [event] = await site.accept(type="order.changed", data={"customer": "a", "change": 0})
    outcomes = {outcome.work: outcome for outcome in await site.ended(event)}
    assert outcomes["handler:other"].status is OutcomeStatus.SUCCEEDED
    assert outcomes["handler:ordered"].reason == "order_key_failed"
    [letter] = await site.letters()
    assert letter.work == "handler:ordered"
    assert await site.status(event) is EventStatus.DEAD


async def test_dispatches_are_left_to_the_app_that_can_tell_the_order(site: Site) -> None:
    recorder = Recorder(order_by=lambda event: event.data["customer"])
    spec = HandlerSpec(name="ordered", pattern="order.changed", order="function")
    await site.database.write(announce_handlers, "other:hooks", {"ordered": encode_spec(spec)})
    await site.start()
    [event] = await site.accept(type="order.changed", data={"customer": "a", "change": 0})
    await site.start(recorder.handlers, app="other:hooks")
    await site.ended(event)
    assert recorder.seen == {"a": [0]}


async def test_a_worker_dispatches_again_once_nobody_else_has_to(site: Site) -> None:
    spec = HandlerSpec(name="ordered", pattern="order.changed", order="function")
    await site.database.write(announce_handlers, "other:hooks", {"ordered": encode_spec(spec)})
    await site.start()
    [event] = await site.accept()
    await site.database.write(announce_handlers, "other:hooks", {})
    [outcome] = await site.ended(event)
    assert outcome.reason == "no_target"
