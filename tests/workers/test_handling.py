from __future__ import annotations

import asyncio
import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from kanca.domain.decisions import Discard, Retry
from kanca.domain.ids import CALL, EVENT, derived_id, show_id
from kanca.domain.retry import RetryPolicy
from kanca.domain.status import EventStatus, OutcomeStatus
from kanca.domain.task import TaskKind
from kanca.handlers.event import Event
from kanca.handlers.registry import HandlerRegistry
from kanca.storage import dead_letters
from tests.workers.site import MOMENT, Site

AT_ONCE = RetryPolicy(max_attempts=3, initial_delay=timedelta(0))


class Order(BaseModel):
    order_id: str


@pytest.fixture
def handlers() -> HandlerRegistry:
    return HandlerRegistry()


async def test_an_event_is_handled_and_its_result_kept(site: Site, handlers: HandlerRegistry) -> None:
    @handlers.on("order.created", name="confirm", model=Order)
    async def confirm(event: Event[Order]) -> dict[str, Any]:
        return {"confirmed": event.data.order_id}

    await site.start(handlers)
    [event] = await site.accept(data={"order_id": "ORD-1"})
    [outcome] = await site.ended(event)
    assert (outcome.work, outcome.status, outcome.works) == ("handler:confirm", OutcomeStatus.SUCCEEDED, 1)
    assert (outcome.result, outcome.attempt_number) == (b'{"confirmed":"ORD-1"}', 1)
    assert outcome.started_at is not None
    assert outcome.finished_at is not None
    assert await site.tasks() == []


async def test_a_handler_is_given_all_that_is_known_of_the_event(
    site: Site, handlers: HandlerRegistry
) -> None:
    seen: list[Event[Any]] = []

    @handlers.on("order.created", name="look")
    def look(event: Event[Any]) -> None:
        seen.append(event)

    await site.change_endpoint(provider="shopify", slug="shop")
    await site.start(handlers)
    request = {"headers": [["X-Shop", "tea"]], "authenticated": True}
    [event] = await site.accept(
        request=json.dumps(request).encode(),
        body=b'{"id": 7}',
        tenant="acme",
        source_event_id="src-1",
        correlation_id="cor-9",
    )
    await site.ended(event)
    [given] = seen
    assert given.id == show_id(EVENT, event)
    assert given.call_id == show_id(CALL, derived_id(event, "handler:look"))
    assert (given.type, given.data, given.body) == ("order.created", {"id": 7}, b'{"id": 7}')
    assert given.headers["x-shop"] == "tea"
    assert (given.endpoint_id, given.provider, given.tenant) == (f"wh_{100:024x}", "shopify", "acme")
    assert (given.source_event_id, given.correlation_id, given.attempt_number) == ("src-1", "cor-9", 1)


async def test_a_failed_attempt_is_kept_and_followed_by_another_one(
    site: Site, handlers: HandlerRegistry
) -> None:
    calls: list[tuple[int, str]] = []

    @handlers.on("order.created", name="flaky", retry=AT_ONCE)
    async def flaky(event: Event[Any]) -> str:
        calls.append((event.attempt_number, event.call_id))
        if event.attempt_number < 3:
            raise ConnectionError("the printer is on fire")
        return "done"

    await site.start(handlers)
    [event] = await site.accept()
    [outcome] = await site.ended(event)
    assert (outcome.status, outcome.attempt_number, outcome.works) == (OutcomeStatus.SUCCEEDED, 3, 1)
    call_id = derived_id(event, "handler:flaky")
    assert calls == [(number, show_id(CALL, call_id)) for number in (1, 2, 3)]
    attempts = await site.attempts(event)
    assert [(attempt.attempt_number, attempt.code, attempt.call_id) for attempt in attempts] == [
        (1, "handler_error", call_id),
        (2, "handler_error", call_id),
    ]
    assert json.loads(attempts[0].error)["message"] == "the printer is on fire"


async def test_work_out_of_attempts_is_a_dead_letter_with_all_that_a_retry_needs(
    site: Site, handlers: HandlerRegistry
) -> None:
    works = False

    @handlers.on("order.created", name="broken", retry=AT_ONCE)
    async def broken(event: Event[Any]) -> int:
        if not works:
            raise ValueError("no such product")
        return event.attempt_number

    await site.start(handlers)
    [event] = await site.accept(body=b'{"exact" : "bytes"}', tenant="acme")
    [outcome] = await site.ended(event)
    [letter] = await site.letters()
    assert (outcome.status, outcome.reason, outcome.ref) == (OutcomeStatus.DEAD, "handler_error", letter.id)
    assert (letter.kind, letter.event_id, letter.work) == (TaskKind.CALL, event, "handler:broken")
    assert (letter.tenant, letter.event_type, letter.endpoint) == ("acme", "order.created", 100)
    assert (letter.attempts, letter.code, letter.body) == (3, "handler_error", b'{"exact" : "bytes"}')
    assert json.loads(letter.error)["message"] == "no such product"
    assert len(await site.attempts(event)) == 3

    works = True
    await site.database.write(dead_letters.retry, letter.id, MOMENT)
    assert await site.status(event) is EventStatus.PENDING
    site.waker.wake()
    [outcome] = await site.ended(event)
    assert (outcome.status, outcome.result) == (OutcomeStatus.SUCCEEDED, b"1")
    assert await site.letters() == ()


async def test_data_that_do_not_fit_are_dead_at_once(site: Site, handlers: HandlerRegistry) -> None:
    @handlers.on("order.created", model=Order)
    async def never(event: Event[Order]) -> None:
        raise AssertionError

    await site.start(handlers)
    [event] = await site.accept(data={"order_id": 7})
    await site.ended(event)
    [letter] = await site.letters()
    assert (letter.code, letter.attempts) == ("payload_invalid", 1)
    assert json.loads(letter.error)["problems"][0]["loc"] == ["order_id"]


async def test_a_discarded_event_is_skipped_with_its_reason(site: Site, handlers: HandlerRegistry) -> None:
    @handlers.on("order.created")
    async def discard(event: Event[Any]) -> None:
        raise Discard("a test \ud800 order")

    await site.start(handlers)
    [event] = await site.accept()
    [outcome] = await site.ended(event)
    assert (outcome.status, outcome.reason) == (OutcomeStatus.SKIPPED, "discarded")
    assert json.loads(outcome.result or b"") == {"reason": "a test \ud800 order"}
    assert await site.status(event) is EventStatus.SKIPPED


async def test_a_handler_may_say_when_it_wants_to_be_called_again(
    site: Site, handlers: HandlerRegistry
) -> None:
    @handlers.on("order.created")
    async def later(event: Event[Any]) -> None:
        if event.attempt_number == 1:
            raise Retry(after=0)

    await site.start(handlers)
    [event] = await site.accept()
    [outcome] = await site.ended(event)
    assert outcome.attempt_number == 2
    assert [attempt.code for attempt in await site.attempts(event)] == ["retry_requested"]


async def test_a_handler_that_exits_ends_only_itself(site: Site, handlers: HandlerRegistry) -> None:
    @handlers.on("exits", max_retries=1)
    async def exits(event: Event[Any]) -> None:
        raise SystemExit(3)

    @handlers.on("exits.in.thread", max_retries=1)
    def exits_in_thread(event: Event[Any]) -> None:
        raise SystemExit(3)

    @handlers.on("works")
    async def works(event: Event[Any]) -> str:
        return "still here"

    await site.start(handlers)
    events = [*await site.accept(type="exits"), *await site.accept(type="exits.in.thread")]
    for event in events:
        [outcome] = await site.ended(event)
        assert (outcome.status, outcome.reason) == (OutcomeStatus.DEAD, "handler_error")
    [event] = await site.accept(type="works")
    [outcome] = await site.ended(event)
    assert outcome.result == b'"still here"'


async def test_a_timeout_is_the_handlers_own_or_its_endpoints(site: Site, handlers: HandlerRegistry) -> None:
    @handlers.on("own", max_retries=1, timeout=0.01)
    async def own(event: Event[Any]) -> None:
        await asyncio.Event().wait()

    @handlers.on("endpoints", max_retries=1)
    async def endpoints(event: Event[Any]) -> None:
        await asyncio.Event().wait()

    await site.change_endpoint(config='{"webhook_timeout": 0.02}')
    await site.start(handlers)
    for kind, limit in (("own", "0.01"), ("endpoints", "0.02")):
        [event] = await site.accept(type=kind)
        await site.ended(event)
        [attempt] = await site.attempts(event)
        assert attempt.code == "handler_timeout"
        assert json.loads(attempt.error)["message"] == f"the handler took longer than {limit} s"


async def test_a_sync_handler_that_hangs_holds_up_nobody_else(site: Site, handlers: HandlerRegistry) -> None:
    may_return = threading.Event()

    @handlers.on("hangs")
    def hangs(event: Event[Any]) -> None:
        may_return.wait()

    @handlers.on("works")
    def works(event: Event[Any]) -> str:
        return "done"

    await site.start(handlers, concurrency=3)
    [hanging] = await site.accept(type="hangs")
    for _ in range(3):
        [event] = await site.accept(type="works")
        await site.ended(event)
    assert await site.status(hanging) is EventStatus.PENDING
    may_return.set()
    await site.ended(hanging)


async def test_a_sync_handler_out_of_time_runs_again_only_when_its_thread_has_returned(
    site: Site, handlers: HandlerRegistry
) -> None:
    may_return = threading.Event()
    at_once: list[int] = []
    running = 0

    @handlers.on("order.created", timeout=0.01, retry=AT_ONCE)
    def slow(event: Event[Any]) -> None:
        nonlocal running
        running += 1
        at_once.append(running)
        if event.attempt_number == 1:
            may_return.wait()
        running -= 1

    @handlers.on("slower", timeout=0.1, max_retries=1)
    async def slower(event: Event[Any]) -> None:
        await asyncio.Event().wait()

    await site.start(handlers)
    [event] = await site.accept()
    [other] = await site.accept(type="slower")
    await site.ended(other)
    may_return.set()
    await site.ended(event)
    assert at_once == [1, 1]
    assert [attempt.code for attempt in await site.attempts(event)] == ["handler_timeout"]


async def test_as_many_calls_run_at_once_as_there_are_slots(site: Site, handlers: HandlerRegistry) -> None:
    running = most = 0
    all_in = asyncio.Event()
    may_end = asyncio.Event()

    @handlers.on("*")
    async def count(event: Event[Any]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 4:
            all_in.set()
        await may_end.wait()
        running -= 1

    for number in range(101, 106):
        await site.add_endpoint(number)
    worker = await site.start(handlers, concurrency=4)
    events = [event for number in range(100, 106) for event in await site.accept(count=5, endpoint=number)]
    await all_in.wait()
    assert worker.active == 4
    may_end.set()
    for event in events:
        await site.ended(event)
    assert most == 4


async def test_one_target_never_takes_all_slots(site: Site, handlers: HandlerRegistry) -> None:
    may_end = asyncio.Event()

    @handlers.on("slow")
    async def slow(event: Event[Any]) -> None:
        await may_end.wait()

    @handlers.on("quick")
    async def quick(event: Event[Any]) -> None: ...

    await site.add_endpoint(101)
    await site.start(handlers, concurrency=4)
    slow_ones = await site.accept(count=50, type="slow")
    [event] = await site.accept(type="quick", endpoint=101)
    await site.ended(event)
    may_end.set()
    for event in slow_ones:
        await site.ended(event)
