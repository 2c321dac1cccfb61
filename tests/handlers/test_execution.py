import asyncio
import contextvars
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from kanca.domain.decisions import Discard, Retry
from kanca.domain.trace import Trace
from kanca.handlers.current import current
from kanca.handlers.event import Event
from kanca.handlers.execution import (
    MAX_ASKED_DELAY,
    MAX_RESULT_BYTES,
    CallOutcome,
    Circumstances,
    Discarded,
    Failed,
    Succeeded,
    execute,
)
from kanca.handlers.registry import Handler, HandlerRegistry
from kanca.handlers.threads import SyncThreads
from kanca.testing import make_event

Raising = Callable[[BaseException, SyncThreads], Awaitable[Any]]

SHORT = timedelta(milliseconds=10)
LONG = timedelta(seconds=30)


@pytest.fixture
def threads() -> Iterator[SyncThreads]:
    threads = SyncThreads()
    yield threads
    threads.close()


def handler_of(function: Callable[[Event[Any]], Any]) -> Handler:
    registry = HandlerRegistry()
    registry.on("*", name="handler")(function)
    (handler,) = registry
    return handler


async def outcome_of(
    function: Callable[[Event[Any]], Any],
    threads: SyncThreads,
    *,
    timeout: timedelta = LONG,
    **arguments: Any,
) -> Any:
    event = make_event("order.created", {"order_id": "ORD-1"})
    return await execute(handler_of(function), event, timeout=timeout, threads=threads, **arguments)


def cause_of(outcome: CallOutcome) -> dict[str, Any]:
    assert isinstance(outcome, Failed)
    cause: dict[str, Any] = json.loads(outcome.cause)
    return cause


async def test_an_async_handler_gets_the_event_and_its_result_is_kept_as_json(threads: SyncThreads) -> None:
    async def handle(event: Event[Any]) -> Any:
        return {"seen": event.data["order_id"]}

    assert await outcome_of(handle, threads) == Succeeded(b'{"seen":"ORD-1"}')


async def test_a_sync_handler_runs_in_another_thread(threads: SyncThreads) -> None:
    def handle(event: Event[Any]) -> Any:
        return threading.current_thread() is threading.main_thread()

    assert await outcome_of(handle, threads) == Succeeded(b"false")


async def test_a_function_that_hands_out_a_coroutine_is_awaited(threads: SyncThreads) -> None:
    async def inner() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert await outcome_of(lambda event: inner(), threads) == Succeeded(b"true")


async def test_no_result_is_none(threads: SyncThreads) -> None:
    async def handle(event: Event[Any]) -> Any: ...

    assert await outcome_of(handle, threads) == Succeeded(None)


class Receipt(BaseModel):
    total: Decimal
    paid_at: datetime


@dataclass
class Line:
    product: str


async def test_models_and_dataclasses_are_json(threads: SyncThreads) -> None:
    def handle(event: Event[Any]) -> Any:
        return [Receipt(total=Decimal("1.50"), paid_at=datetime(2026, 1, 1, tzinfo=UTC)), Line("tea")]

    outcome = await outcome_of(handle, threads)
    assert json.loads(outcome.result) == [
        {"total": "1.50", "paid_at": "2026-01-01T00:00:00Z"},
        {"product": "tea"},
    ]


@pytest.mark.parametrize("value", ["\x00", "\ud800"])
async def test_text_that_databases_refuse_is_a_result_like_any_other(
    threads: SyncThreads, value: object
) -> None:
    outcome = await outcome_of(lambda event: value, threads)
    assert json.loads(outcome.result) == value
    assert b"\x00" not in outcome.result


@pytest.mark.parametrize("value", [object(), {(1, 2): 3}, {"a": threading.Lock()}])
async def test_work_whose_result_is_no_json_is_done_all_the_same(threads: SyncThreads, value: object) -> None:
    assert await outcome_of(lambda event: value, threads) == Succeeded(None, "result_not_json")


async def test_a_result_that_contains_itself_is_no_json(threads: SyncThreads) -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert await outcome_of(lambda event: loop, threads) == Succeeded(None, "result_not_json")


async def test_a_huge_result_is_not_kept(threads: SyncThreads) -> None:
    assert await outcome_of(lambda event: "x" * MAX_RESULT_BYTES, threads) == Succeeded(
        None, "result_too_large"
    )


async def raise_in_async(error: BaseException, threads: SyncThreads) -> Any:
    async def handle(event: Event[Any]) -> Any:
        raise error

    return await outcome_of(handle, threads)


async def raise_in_sync(error: BaseException, threads: SyncThreads) -> Any:
    def handle(event: Event[Any]) -> Any:
        raise error

    return await outcome_of(handle, threads)


both_ways = pytest.mark.parametrize("raising", [raise_in_async, raise_in_sync])


@both_ways
async def test_an_error_is_a_failure_with_its_cause(threads: SyncThreads, raising: Raising) -> None:
    cause = cause_of(await raising(ValueError("no such product"), threads))
    assert cause["code"] == "handler_error"
    assert (cause["type"], cause["message"]) == ("ValueError", "no such product")
    assert "raise error" in cause["traceback"]


@both_ways
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), StopIteration(), BaseException("odd")])
async def test_nothing_that_a_handler_raises_gets_further(
    threads: SyncThreads, raising: Raising, error: BaseException
) -> None:
    assert cause_of(await raising(error, threads))["code"] == "handler_error"


@both_ways
async def test_a_timeout_error_of_the_handlers_own_is_an_error(
    threads: SyncThreads, raising: Raising
) -> None:
    assert cause_of(await raising(TimeoutError(), threads))["code"] == "handler_error"


@both_ways
async def test_discard_says_that_nothing_is_to_be_done(threads: SyncThreads, raising: Raising) -> None:
    assert await raising(Discard("a test order"), threads) == Discarded("a test order")


@both_ways
async def test_retry_asks_for_another_attempt(threads: SyncThreads, raising: Raising) -> None:
    outcome = await raising(Retry(after=90, reason="closed for lunch"), threads)
    assert (outcome.code, outcome.asked_delay, outcome.is_final) == (
        "retry_requested",
        timedelta(seconds=90),
        False,
    )
    assert cause_of(outcome)["message"] == "closed for lunch"


@both_ways
async def test_retry_may_leave_the_time_to_the_policy(threads: SyncThreads, raising: Raising) -> None:
    assert (await raising(Retry(), threads)).asked_delay is None


async def test_retry_cannot_ask_for_more_than_a_month(threads: SyncThreads) -> None:
    outcome = await raise_in_async(Retry(after=timedelta.max), threads)
    assert outcome.asked_delay == MAX_ASKED_DELAY


class Unspeakable(Exception):
    def __str__(self) -> Any:
        raise RuntimeError


@both_ways
async def test_an_error_that_cannot_be_shown_is_still_a_failure(
    threads: SyncThreads, raising: Raising
) -> None:
    assert cause_of(await raising(Unspeakable(), threads))["type"].endswith("Unspeakable")


@both_ways
async def test_causes_are_bounded_and_take_any_text(threads: SyncThreads, raising: Raising) -> None:
    outcome = await raising(ValueError("\ud800\x00" + "x" * 1_000_000), threads)
    assert len(outcome.cause) < 60_000
    assert cause_of(outcome)["message"].startswith("\ud800\x00x")


async def test_an_async_handler_is_cancelled_when_its_time_is_over(threads: SyncThreads) -> None:
    cancelled = asyncio.Event()

    async def handle(event: Event[Any]) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    cause = cause_of(await outcome_of(handle, threads, timeout=SHORT))
    assert (cause["code"], cause["message"]) == ("handler_timeout", "the handler took longer than 0.01 s")
    assert "asyncio.Event().wait()" in cause["traceback"]
    assert cancelled.is_set()


async def test_a_handler_that_answers_its_cancellation_with_a_result_was_too_late(
    threads: SyncThreads,
) -> None:
    async def handle(event: Event[Any]) -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done after all"

    assert cause_of(await outcome_of(handle, threads, timeout=SHORT))["code"] == "handler_timeout"
    me = asyncio.current_task()
    assert me is not None
    assert me.cancelling() == 0


async def test_a_sync_handler_out_of_time_has_failed_once_its_thread_has_returned(
    threads: SyncThreads,
) -> None:
    may_return = threading.Event()
    is_stuck = asyncio.Event()
    call = asyncio.create_task(
        outcome_of(
            lambda event: may_return.wait(),
            threads,
            timeout=SHORT,
            stuck_after=SHORT,
            on_stuck=lambda failure: is_stuck.set(),
        )
    )
    await is_stuck.wait()
    assert not call.done()
    may_return.set()
    assert cause_of(await call)["code"] == "handler_timeout"


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_handler_that_does_not_return_is_reported_as_stuck_once(
    threads: SyncThreads, kind: str
) -> None:
    may_return = threading.Event()
    async_may_return = asyncio.Event()
    stuck: asyncio.Queue[Failed] = asyncio.Queue()

    async def stubborn(event: Event[Any]) -> Any:
        while not async_may_return.is_set():
            try:
                await async_may_return.wait()
            except asyncio.CancelledError:
                continue

    def hanging(event: Event[Any]) -> Any:
        may_return.wait()

    function = stubborn if kind == "async" else hanging
    call = asyncio.create_task(
        outcome_of(function, threads, timeout=SHORT, stuck_after=SHORT, on_stuck=stuck.put_nowait)
    )
    failure = await stuck.get()
    assert (failure.code, failure.is_final) == ("handler_stuck", True)
    assert not call.done()
    may_return.set()
    async_may_return.set()
    assert cause_of(await call)["code"] == "handler_timeout"
    assert stuck.empty()


async def test_being_cancelled_from_outside_is_not_the_handlers_failure(threads: SyncThreads) -> None:
    begun = asyncio.Event()

    async def handle(event: Event[Any]) -> Any:
        begun.set()
        await asyncio.Event().wait()

    call = asyncio.create_task(outcome_of(handle, threads))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_what_the_handler_cancelled_itself_is_its_failure(threads: SyncThreads) -> None:
    async def handle(event: Event[Any]) -> Any:
        raise asyncio.CancelledError

    assert cause_of(await outcome_of(handle, threads))["code"] == "handler_cancelled"


async def test_a_thread_that_nobody_waits_for_counts_as_abandoned_until_it_returns(
    threads: SyncThreads,
) -> None:
    begun, may_return = threading.Event(), threading.Event()

    def handle(event: Event[Any]) -> Any:
        begun.set()
        may_return.wait()
        raise ValueError("nobody hears this")

    call = asyncio.create_task(outcome_of(handle, threads))
    await asyncio.to_thread(begun.wait)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert threads.abandoned == 1
    may_return.set()
    await outcome_of(lambda event: None, threads)  # a thread's answers arrive in order of their return
    while threads.abandoned:
        await asyncio.to_thread(lambda: None)


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="untouched")


async def test_a_sync_handler_sees_the_context_and_leaves_it_as_it_was(threads: SyncThreads) -> None:
    seen = []

    def handle(event: Event[Any]) -> Any:
        seen.append(variable.get())
        variable.set("changed")

    variable.set("set by the caller")
    await outcome_of(handle, threads)
    await outcome_of(handle, threads)
    assert seen == ["set by the caller"] * 2


async def test_threads_are_used_again(threads: SyncThreads) -> None:
    names = {(await outcome_of(lambda event: threading.get_ident(), threads)).result for _ in range(5)}
    assert len(names) == 1


async def test_ten_calls_at_once_have_ten_threads(threads: SyncThreads) -> None:
    together = threading.Barrier(10)
    outcomes = await asyncio.gather(
        *(outcome_of(lambda event: together.wait(timeout=30) >= 0, threads) for _ in range(10))
    )
    assert outcomes == [Succeeded(b"true")] * 10


@pytest.mark.parametrize("is_async", [True, False])
async def test_what_runs_within_a_handler_knows_the_event_that_is_handled(
    threads: SyncThreads, is_async: bool
) -> None:
    trace = Trace("a" * 32, "b" * 16)

    def ask(event: Event[Any]) -> Any:
        handled = current()
        assert handled is not None
        return [handled.correlation_id == event.correlation_id, handled.hops(), handled.trace() is trace]

    async def ask_async(event: Event[Any]) -> Any:
        return await asyncio.create_task(asyncio.to_thread(ask, event))

    outcome = await outcome_of(
        ask_async if is_async else ask, threads, around=Circumstances(lambda: 7, lambda: trace)
    )

    assert outcome == Succeeded(b"[true,7,true]")
    assert current() is None
