from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, delete, select, update

from kanca.domain.status import EventStatus, OutcomeStatus, RunOrigin, RunStatus
from kanca.domain.task import (
    SUSPECT_CRASHES,
    SUSPECT_LANE,
    Completion,
    Done,
    NewTask,
    RunChange,
    TaskKind,
    TaskState,
)
from kanca.errors import DatabaseUnavailable, InvalidInput
from kanca.handlers.event import Event
from kanca.handlers.registry import HandlerRegistry
from kanca.storage import runs, statistics
from kanca.storage.claimed_work import announce_handlers
from kanca.storage.tables import endpoints, tasks, workers, workflows
from kanca.storage.tables import handlers as handler_table
from kanca.workers import jobs
from kanca.workers.performing import Performer
from kanca.workers.worker import WorkerStuck
from kanca.workflows.runs import RunDetail
from tests.factories import ids
from tests.planted import execute
from tests.workers.site import LIMIT_S, MOMENT, Site
from tests.workers.test_waiting import node, save


@pytest.fixture
def handlers() -> HandlerRegistry:
    return HandlerRegistry()


def _lose_all_workers(connection: Connection) -> None:
    """What a rescuer does when it takes a worker for dead."""
    connection.execute(delete(workers))
    connection.execute(update(tasks).values(state=TaskState.READY, worker=None, crashes=tasks.c.crashes + 1))


async def test_a_worker_that_lost_its_lease_cancels_its_work_and_begins_anew(
    site: Site, handlers: HandlerRegistry
) -> None:
    begun: asyncio.Queue[int] = asyncio.Queue()
    cancelled = asyncio.Event()
    calls = 0

    @handlers.on("order.created")
    async def wait_once(event: Event[Any]) -> int:
        nonlocal calls
        calls += 1
        begun.put_nowait(calls)
        if calls == 1:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
        return calls

    worker = await site.start(handlers, lease=timedelta(seconds=1))
    [event] = await site.accept()
    await begun.get()
    await site.database.write(_lose_all_workers)
    async with asyncio.timeout(LIMIT_S):
        await cancelled.wait()
    [outcome] = await site.ended(event)
    assert (outcome.result, outcome.attempt_number) == (b"2", 1)
    assert worker.active == 0


async def test_a_result_that_comes_after_the_lease_was_lost_is_not_written(
    site: Site, handlers: HandlerRegistry
) -> None:
    begun = asyncio.Event()
    may_end = asyncio.Event()

    @handlers.on("order.created")
    async def wait(event: Event[Any]) -> str:
        begun.set()
        await may_end.wait()
        return "late"

    await site.start(handlers)
    [event] = await site.accept()
    await begun.wait()

    def take_away(connection: Connection) -> None:
        connection.execute(update(tasks).values(fence=tasks.c.fence + 1, worker=None, state=TaskState.PARKED))

    await site.database.write(take_away)
    may_end.set()
    [quick] = await site.accept(type="nobody.wants.this")
    await site.ended(quick)
    await site.stop()
    assert await site.status(event) is EventStatus.PENDING
    assert len(await site.tasks()) == 1


async def test_a_run_by_hand_that_three_workers_died_of_is_a_dead_letter_of_its_tenant_s(site: Site) -> None:
    await save(site, [node("start", "WebhookTrigger")], [])
    await site.database.write(execute, update(workflows).values(tenant="acme"))
    dead = await site.database.queue.register("host", 1, None, 10, timedelta(0))

    def begin_and_die_for_the_third_time(connection: Connection) -> None:
        number = connection.scalar(select(workflows.c.number))
        run = RunChange(ids.new(), "w", 1, None, RunStatus.PENDING, MOMENT, b"{}", origin=RunOrigin.HAND)
        task = NewTask(TaskKind.RUN, run.id, number or 0, RunDetail(start="start").encode())
        runs.start(connection, run, task, MOMENT)
        connection.execute(update(tasks).values(state=TaskState.RUNNING, worker=dead, crashes=2))

    await site.database.write(begin_and_die_for_the_third_time)
    await site.start(lease=timedelta(seconds=1))

    async def is_buried() -> bool:
        return len(await site.letters()) == 1

    await site.until(is_buried)
    [letter] = await site.letters()
    assert (letter.code, letter.work, letter.tenant) == ("worker_lost", "workflow:w", "acme")


@pytest.mark.parametrize("kind", [TaskKind.DISPATCH, TaskKind.CALL])
async def test_work_that_three_workers_died_of_is_dead(
    site: Site, handlers: HandlerRegistry, kind: TaskKind
) -> None:
    @handlers.on("order.created", name="deadly")
    async def deadly(event: Event[Any]) -> None:
        raise AssertionError

    [event] = await site.accept()
    [number] = (await site.database.write(announce_handlers, "shop.hooks:hooks", {"deadly": "{}"})).values()

    dead = await site.database.queue.register("host", 1, None, 10, timedelta(0))

    def die_for_the_third_time(connection: Connection) -> None:
        values = {"state": TaskState.RUNNING, "worker": dead, "crashes": 2}
        if kind is TaskKind.CALL:
            values |= {"kind": kind, "target": number}
        connection.execute(update(tasks).values(**values))

    await site.database.write(die_for_the_third_time)
    await site.start(handlers, lease=timedelta(seconds=1))

    async def is_buried() -> bool:
        return len(await site.letters()) == 1

    await site.until(is_buried)
    [letter] = await site.letters()
    work = "dispatch" if kind is TaskKind.DISPATCH else "handler:deadly"
    assert (letter.code, letter.event_id, letter.work, letter.kind) == ("worker_lost", event, work, kind)
    assert json.loads(letter.error)["message"].startswith("3 workers died")
    [outcome] = await site.outcomes(event)
    assert (outcome.work, outcome.status) == (work, OutcomeStatus.DEAD)
    assert await site.tasks() == []


async def test_what_the_database_refuses_is_a_dead_letter_and_spoils_nothing_else(
    site: Site, handlers: HandlerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    @handlers.on("order.created")
    async def handle(event: Event[Any]) -> Any:
        return event.data

    finish = site.database.queue.finish

    async def refuse_poison(worker: int, batch: Sequence[Completion]) -> list[bool | Exception]:
        answers: list[bool | Exception] = []
        for completion in batch:
            results = [outcome.result for outcome in completion.records.outcomes]
            answers += [InvalidInput()] if b'"poison"' in results else await finish(worker, [completion])
        return answers

    monkeypatch.setattr(site.database.queue, "finish", refuse_poison)
    await site.start(handlers)
    [good, poison, also_good] = [
        event for body in (b"1", b'"poison"', b"2") for event in await site.accept(body=body)
    ]
    for event in (good, also_good):
        [outcome] = await site.ended(event)
        assert outcome.status is OutcomeStatus.SUCCEEDED
    [outcome] = await site.ended(poison)
    assert (outcome.status, outcome.reason) == (OutcomeStatus.DEAD, "record_refused")
    [letter] = await site.letters()
    assert (letter.code, letter.event_id) == ("record_refused", poison)


async def test_work_of_which_nothing_can_be_recorded_does_not_spin(
    site: Site, handlers: HandlerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    @handlers.on("order.created")
    async def handle(event: Event[Any]) -> None: ...

    finish = site.database.queue.finish

    async def refuse_all_ends(worker: int, batch: Sequence[Completion]) -> list[bool | Exception]:
        return [
            InvalidInput() if completion.records.outcomes else (await finish(worker, [completion]))[0]
            for completion in batch
        ]

    monkeypatch.setattr(site.database.queue, "finish", refuse_all_ends)
    await site.start(handlers)
    await site.accept()

    async def is_put_off() -> bool:
        return [(task.state, task.attempt) for task in await site.tasks()] == [(TaskState.SCHEDULED, 1)]

    await site.until(is_put_off)


async def test_a_database_that_is_away_is_waited_for(
    site: Site, handlers: HandlerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    @handlers.on("order.created")
    async def handle(event: Event[Any]) -> None:
        nonlocal calls
        calls += 1

    finish, read = site.database.queue.finish, site.database.queue.read_claimed
    failures = {"finish": 3, "read": 1}

    def fails(what: str) -> None:
        if failures[what]:
            failures[what] -= 1
            raise DatabaseUnavailable

    async def finish_in_the_end(worker: int, batch: Sequence[Completion]) -> list[bool | Exception]:
        if any(isinstance(completion.disposition, Done) for completion in batch):
            fails("finish")
        return await finish(worker, batch)

    async def read_in_the_end(ids: Any) -> Any:
        if ids:
            fails("read")
        return await read(ids)

    monkeypatch.setattr(site.database.queue, "finish", finish_in_the_end)
    monkeypatch.setattr(site.database.queue, "read_claimed", read_in_the_end)
    await site.start(handlers)
    [event] = await site.accept()
    [outcome] = await site.ended(event)
    assert (calls, outcome.attempt_number, failures) == (1, 1, {"finish": 0, "read": 0})


async def test_our_own_mistake_counts_as_an_attempt_and_ends_as_a_dead_letter(
    site: Site, handlers: HandlerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    @handlers.on("order.created")
    async def handle(event: Event[Any]) -> None: ...

    async def break_down(*_: object) -> Completion:
        raise RuntimeError("a mistake")

    def fail_late(connection: Connection) -> None:
        connection.execute(update(tasks).values(attempt=4))

    monkeypatch.setattr(Performer, "_dispatch", break_down)
    [event] = await site.accept()
    await site.database.write(fail_late)
    await site.start(handlers)
    [outcome] = await site.ended(event)
    assert (outcome.work, outcome.reason, outcome.works) == ("dispatch", "internal_error", 1)
    [letter] = await site.letters()
    assert (letter.kind, letter.ref, letter.attempts) == (TaskKind.DISPATCH, event, 5)
    assert [attempt.code for attempt in await site.attempts(event)] == ["internal_error"]


async def test_a_task_that_cannot_be_read_fails_alone(site: Site, handlers: HandlerRegistry) -> None:
    @handlers.on("order.created")
    async def handle(event: Event[Any]) -> None: ...

    await site.add_endpoint(101, config="{not json")
    [good, bad] = [*await site.accept(), *await site.accept(endpoint=101)]
    await site.start(handlers)
    await site.ended(good)

    async def has_failed() -> bool:
        return [attempt.code for attempt in await site.attempts(bad)] == ["internal_error"]

    await site.until(has_failed)

    def repair(connection: Connection) -> None:
        connection.execute(update(endpoints).values(config="{}"))

    await site.database.write(repair)
    [outcome] = await site.ended(bad)
    assert outcome.status is OutcomeStatus.SUCCEEDED


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_work_that_does_not_return_is_given_up_and_keeps_its_slot(
    site: Site, handlers: HandlerRegistry, kind: str
) -> None:
    may_return = threading.Event()
    may_return_too = asyncio.Event()

    @handlers.on("sync", timeout=0.01)
    def hang(event: Event[Any]) -> None:
        may_return.wait()

    @handlers.on("async", timeout=0.01)
    async def cling(event: Event[Any]) -> None:
        while not may_return_too.is_set():
            try:
                await may_return_too.wait()
            except asyncio.CancelledError:
                continue

    worker = await site.start(handlers, stuck_after=timedelta(milliseconds=10))
    [event] = await site.accept(type=kind)
    [outcome] = await site.ended(event)
    assert (outcome.status, outcome.reason) == (OutcomeStatus.DEAD, "handler_stuck")
    assert worker.active == 1
    may_return.set()
    may_return_too.set()

    async def is_idle() -> bool:
        return worker.active == 0

    await site.until(is_idle)
    assert (await site.outcomes(event))[0].reason == "handler_stuck"


@pytest.fixture
def hanging(site: Site, handlers: HandlerRegistry) -> Iterator[None]:
    """A handler of "hangs" that does not return before the test is over, which is before its site goes."""
    assert not site.running
    may_return = threading.Event()

    @handlers.on("hangs", timeout=0.01)
    def hang(event: Event[Any]) -> None:
        may_return.wait()

    yield
    may_return.set()


@pytest.mark.usefixtures("hanging")
async def test_a_worker_of_which_every_slot_is_stuck_ends(site: Site, handlers: HandlerRegistry) -> None:
    await site.add_endpoint(101)
    await site.start(handlers, concurrency=2, stuck_after=timedelta(milliseconds=10))
    [_, _, task] = site.running.pop()
    await site.accept(type="hangs")
    await site.accept(type="hangs", endpoint=101)
    with pytest.raises(WorkerStuck):
        async with asyncio.timeout(LIMIT_S):
            await task


@pytest.mark.usefixtures("hanging")
async def test_a_worker_in_which_a_target_can_never_begin_again_ends(
    site: Site, handlers: HandlerRegistry
) -> None:
    await site.start(handlers, stuck_after=timedelta(milliseconds=10))
    [_, _, task] = site.running.pop()
    await site.accept(type="hangs", count=7)  # of ten slots
    with pytest.raises(WorkerStuck):
        async with asyncio.timeout(LIMIT_S):
            await task


@pytest.mark.usefixtures("hanging")
async def test_a_worker_with_a_suspect_that_does_not_return_ends(
    site: Site, handlers: HandlerRegistry
) -> None:
    def suspect(connection: Connection) -> None:
        connection.execute(update(tasks).values(crashes=SUSPECT_CRASHES, lane=SUSPECT_LANE))

    await site.accept(type="hangs")
    await site.database.write(suspect)
    await site.start(handlers, stuck_after=timedelta(milliseconds=10))
    [_, _, task] = site.running.pop()
    with pytest.raises(WorkerStuck):
        async with asyncio.timeout(LIMIT_S):
            await task


async def test_a_task_that_cannot_be_understood_leaves_the_worker(
    site: Site, handlers: HandlerRegistry
) -> None:
    @handlers.on("order.created")
    async def handle(event: Event[Any]) -> None: ...

    worker = await site.start(handlers)
    [event] = await site.accept()
    await site.ended(event)
    numbers = await site.database.read(lambda connection: connection.scalar(select(handler_table.c.number)))
    await site.database.queue.enqueue([NewTask(TaskKind.CALL, event, numbers or 0, b"{not json")])
    site.waker.wake()

    async def is_put_off() -> bool:
        return [(task.state, task.attempt) for task in await site.tasks()] == [(TaskState.SCHEDULED, 1)]

    await site.until(is_put_off)
    assert worker.active == 0


async def test_dead_work_is_counted_with_its_endpoint(site: Site, handlers: HandlerRegistry) -> None:
    @handlers.on("order.created", max_retries=1)
    async def broken(event: Event[Any]) -> None:
        raise ValueError

    await site.start(handlers)
    for event in await site.accept(count=3):
        await site.ended(event)
    await site.stop()
    now = await site.database.now()
    [counted] = (await site.database.read(statistics.of_endpoints, [100], now)).values()
    assert counted.total.dead == 3


async def test_claimed_tasks_that_find_no_slot_are_handed_back(
    site: Site, handlers: HandlerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LONGEST_WAIT_S", 0.0)
    may_end = asyncio.Event()
    calls = 0

    @handlers.on("order.created")
    async def quick_then_slow(event: Event[Any]) -> None:
        nonlocal calls
        calls += 1
        if calls > 300:
            await may_end.wait()

    await site.start(handlers, poll=timedelta(milliseconds=10))
    events = await site.accept(count=600)

    async def is_handed_back() -> bool:
        def count_running(connection: Connection) -> int:
            return len(connection.execute(select(tasks.c.id).where(tasks.c.state == TaskState.RUNNING)).all())

        return calls > 300 and await site.database.read(count_running) <= 10

    await site.until(is_handed_back)
    may_end.set()
    for event in events:
        [outcome] = await site.ended(event)
        assert outcome.attempt_number == 1
