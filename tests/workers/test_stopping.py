from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest

from kanca.domain.status import EventStatus, OutcomeStatus
from kanca.domain.task import TaskState
from kanca.handlers.event import Event
from kanca.handlers.registry import HandlerRegistry
from kanca.storage import workers
from tests.workers.site import Site


class Waiting:
    """A handler that begins, and ends when it may."""

    def __init__(self) -> None:
        self.handlers = HandlerRegistry()
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.handlers.on("order.created")(self.handle)

    async def handle(self, event: Event[Any]) -> None:
        self.begun.set()
        await self.may_end.wait()


async def is_free(site: Site, event: Any) -> bool:
    """Whether an event's work is ready for others, at no cost."""
    [task] = await site.tasks()
    return (task.state, task.attempt, task.crashes, task.worker) == (TaskState.READY, 0, 0, None)


async def test_a_stopping_worker_finishes_what_it_has_begun(site: Site) -> None:
    waiting = Waiting()
    await site.start(waiting.handlers)
    [event] = await site.accept()
    await waiting.begun.wait()
    stopping = asyncio.create_task(site.stop())
    [late] = await site.accept()
    waiting.may_end.set()
    await stopping
    assert (await site.outcomes(event))[0].status is OutcomeStatus.SUCCEEDED
    assert await site.status(late) is EventStatus.PENDING
    assert await is_free(site, late)


async def test_what_a_stopping_worker_cannot_finish_in_time_is_handed_back_at_no_cost(site: Site) -> None:
    waiting = Waiting()
    await site.start(waiting.handlers, shutdown=timedelta(milliseconds=10))
    [event] = await site.accept()
    await waiting.begun.wait()
    await site.stop()
    assert await is_free(site, event)
    assert await site.attempts(event) == ()


async def test_a_worker_that_is_hurried_waits_for_nothing(site: Site) -> None:
    waiting = Waiting()
    await site.start(waiting.handlers, shutdown=timedelta(minutes=10))
    [event] = await site.accept()
    await waiting.begun.wait()
    await site.stop(hurried=True)
    assert await is_free(site, event)


async def test_a_second_request_to_stop_hurries_the_first(site: Site) -> None:
    waiting = Waiting()
    await site.start(waiting.handlers, shutdown=timedelta(minutes=10))
    [event] = await site.accept()
    await waiting.begun.wait()
    [(_, stop, task)] = site.running
    stop.requested.set()
    done, _ = await asyncio.wait({task}, timeout=0.05)
    assert not done
    stop.hurried.set()
    await site.stop()
    assert await is_free(site, event)


async def test_a_thread_that_does_not_return_does_not_hold_up_the_end(site: Site) -> None:
    begun, may_end = threading.Event(), threading.Event()
    handlers = HandlerRegistry()

    @handlers.on("order.created")
    def hang(event: Event[Any]) -> None:
        begun.set()
        may_end.wait()

    await site.start(handlers, shutdown=timedelta(milliseconds=10))
    [event] = await site.accept()
    await asyncio.to_thread(begun.wait)
    await site.stop()
    assert await is_free(site, event)
    may_end.set()


async def test_a_call_that_is_out_of_time_when_the_worker_stops_was_an_attempt(site: Site) -> None:
    may_end = threading.Event()
    handlers = HandlerRegistry()

    @handlers.on("order.created", timeout=0.01)
    def hang(event: Event[Any]) -> None:
        may_end.wait()

    @handlers.on("slower", timeout=0.1, max_retries=1)
    async def slower(event: Event[Any]) -> None:
        await asyncio.Event().wait()

    await site.start(handlers, shutdown=timedelta(milliseconds=10))
    [event] = await site.accept()
    [other] = await site.accept(type="slower")
    await site.ended(other)
    await site.stop()
    assert [attempt.code for attempt in await site.attempts(event)] == ["handler_timeout"]
    may_end.set()


async def test_a_stopped_worker_has_signed_off(site: Site) -> None:
    await site.start()
    assert len(await site.database.read(workers.running)) == 1
    await site.stop()
    assert await site.database.read(workers.running) == ()


@pytest.mark.parametrize("count", [1, 3])
async def test_work_goes_on_where_another_worker_stopped(site: Site, count: int) -> None:
    waiting = Waiting()
    await site.start(waiting.handlers, shutdown=timedelta(0))
    events = await site.accept(count=count)
    await waiting.begun.wait()
    await site.stop()
    waiting.may_end.set()
    await site.start(waiting.handlers)
    for event in events:
        [outcome] = await site.ended(event)
        assert (outcome.status, outcome.attempt_number) == (OutcomeStatus.SUCCEEDED, 1)
