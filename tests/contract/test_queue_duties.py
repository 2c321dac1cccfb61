"""The duties of the queue against the databases; ``tests/queue`` has their decisions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import delete

from kanca.domain.task import Completion, NewTask, Park, Task, TaskKind, TaskState
from kanca.queue.backlog import BacklogGauge
from kanca.queue.cleaner import Cleaner
from kanca.queue.duties import Duties
from kanca.queue.rescuer import Rescuer
from kanca.queue.scheduler import Scheduler, Unparker
from kanca.storage import endpoints, statistics
from kanca.storage.ports import Database, LaneAsk, Waker
from kanca.storage.secret_box import SecretBox
from kanca.storage.statistics import Counted
from kanca.storage.tables import dead_letters, events, tasks, workers
from kanca.storage.tables import statistics as statistics_table
from tests.api.rows import store
from tests.databases import ClockOffset
from tests.factories import a_dead_letter, new_endpoint, new_event
from tests.planted import execute
from tests.queueing import (
    EVERYTHING,
    Bell,
    add_event,
    call,
    claim,
    dead,
    dispatch,
    done,
    new_id,
    register,
    rows,
    said,
)

EVERY = timedelta(seconds=5)
DAY = timedelta(days=1)


@pytest.fixture
async def waker(database: Database) -> AsyncIterator[Waker]:
    waker = database.waker()
    yield waker
    await waker.close()


async def bury(lost: Sequence[Task]) -> list[Completion]:
    return [dead(task, "worker_lost") for task in lost]


async def test_the_rescuer_revives_the_tasks_of_the_dead_and_buries_what_they_died_of(
    database: Database, clock_offset: ClockOffset
) -> None:
    bell = Bell()
    await database.queue.enqueue([call(1)])
    for life in (1, 2, 3):
        worker = await register(database.queue)
        # In the lane of the target, later in that of the suspects.
        await database.queue.claim(worker, 5, EVERYTHING, [LaneAsk(n, 0, 5) for n in range(65)])
        await clock_offset(31 * life)
        rescuer = await register(database.queue)
        duty = Rescuer(database.queue, bell, partial(int, rescuer), bury, EVERY)
        assert await duty.run_once() == EVERY
        assert bell.rung == min(life, 2)
    assert await rows(database) == []
    (letter,) = await rows(database, dead_letters)
    assert letter.code == "worker_lost"


async def test_a_rescuer_without_a_lease_rescues_nobody(
    database: Database, clock_offset: ClockOffset
) -> None:
    await register(database.queue)
    await clock_offset(31)
    await Rescuer(database.queue, Bell(), lambda: None, bury, EVERY).run_once()
    assert len(await rows(database, workers)) == 1


async def test_the_scheduler_wakes_workers_for_a_retry_and_comes_back_when_the_next_is_due(
    database: Database, clock_offset: ClockOffset
) -> None:
    bell = Bell()
    scheduler = Scheduler(database.queue, bell)
    now = await database.now()
    await database.queue.enqueue(
        [call(number, due_at=now + number * timedelta(seconds=60)) for number in (1, 2)]
    )
    assert await scheduler.run_once() == timedelta(seconds=1)
    assert bell.rung == 0
    await clock_offset(119.5)
    pause = await scheduler.run_once()
    assert timedelta(0) < pause < timedelta(seconds=0.5)
    assert bell.rung == 1
    assert [row.target for row in await rows(database) if row.state == TaskState.READY] == [1]


async def test_ordered_work_flows_through_the_duties(database: Database, waker: Waker) -> None:
    """A hurried scheduler lets the next one go as soon as one has ended."""
    scheduler = Scheduler(database.queue, waker)
    duties = Duties({"scheduler": scheduler})
    refs = sorted(new_id() for _ in range(20))
    await database.queue.enqueue([call(1, ref, key="k") for ref in reversed(refs)])
    worker = await register(database.queue)
    duties.start()
    ran: list[UUID] = []
    async with asyncio.timeout(20):
        while len(ran) < len(refs):
            for task in await claim(database.queue, worker):
                ran.append(task.ref)
                completion = done(task)
                assert await database.queue.finish(worker, [completion]) == [True]
                assert scheduler.concerns(completion)
                duties.hurry("scheduler")
            await waker.wait(timedelta(seconds=1))
    await duties.stop()
    assert ran == refs


async def test_what_was_parked_after_its_endpoint_was_resumed_comes_back(database: Database) -> None:
    bell = Bell()
    box = SecretBox(["a key of the tests"])
    resumed = await database.write(endpoints.create, box, new_endpoint())
    paused = await database.write(endpoints.create, box, new_endpoint(is_paused=True))
    worker = await register(database.queue)
    await database.queue.enqueue(
        [
            dispatch(resumed.number),
            dispatch(resumed.number),
            dispatch(paused.number),
            NewTask(TaskKind.RUN, new_id(), resumed.number),
        ]
    )
    parked = [said(task, Park()) for task in await claim(database.queue, worker)]
    await database.queue.finish(worker, parked)
    assert await Unparker(database, bell, EVERY).run_once() == EVERY
    assert bell.rung == 1
    ready = [(row.kind, row.target) for row in await rows(database) if row.state == TaskState.READY]
    assert ready == [(TaskKind.DISPATCH, resumed.number)] * 2


async def test_what_waits_for_an_endpoint_that_is_deleted_comes_back(database: Database) -> None:
    box = SecretBox(["a key of the tests"])
    paused = await database.write(endpoints.create, box, new_endpoint(is_paused=True))
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch(paused.number)])
    (task,) = await claim(database.queue, worker)
    await database.queue.finish(worker, [said(task, Park())])
    await database.write(endpoints.delete, paused.webhook_id, await database.now())
    await Unparker(database, Bell(), EVERY).run_once()
    assert [again.id for again in await claim(database.queue, worker)] == [task.id]


async def test_the_cleaner_drops_what_is_over_and_merges_statistics(
    database: Database, clock_offset: ClockOffset
) -> None:
    now = await database.now()
    await add_event(database, new_id(), 100)
    for minute in range(5):
        await database.write(statistics.add, "w", [Counted(100, now - timedelta(minutes=minute), accepted=1)])
    cleaner = Cleaner(database, retention=30 * DAY, every=EVERY)
    await cleaner.run_once()
    assert len(await rows(database, events)) == 1
    assert len(await rows(database, statistics_table)) == 5
    await clock_offset(40 * DAY.total_seconds())
    assert await cleaner.run_once() == EVERY
    assert await rows(database, events) == []
    (hour, *more) = await rows(database, statistics_table)
    assert hour.span == 3600
    assert len(more) <= 1
    # The room for the days to come, by then, is there.
    await database.accepting.append([])


@pytest.mark.parametrize(("own_days", "left_after"), [(None, [1, 1, 0]), (5, [1, 0, 0]), (60, [1, 1, 1])])
async def test_dead_letters_go_with_their_event_or_after_days_of_their_own(
    database: Database, clock_offset: ClockOffset, own_days: int | None, left_after: list[int]
) -> None:
    event = new_event()
    await add_event(database, event.id, 100)
    await store(database, a_dead_letter(event))
    await database.write(execute, delete(tasks))
    own = None if own_days is None else own_days * DAY
    cleaner = Cleaner(database, retention=30 * DAY, every=EVERY, dead_letters=own)
    left = []
    for days in (0, 10, 40):
        await clock_offset(days * DAY.total_seconds())
        await cleaner.run_once()
        left.append(len(await rows(database, dead_letters)))
    assert left == left_after


async def test_the_backlog_is_what_is_due_or_being_done(database: Database) -> None:
    worker = await register(database.queue)
    later = await database.now() + DAY
    await database.queue.enqueue([dispatch(number) for number in range(6)])
    await database.queue.enqueue([call(due_at=later), call(key="k")])
    claimed = await claim(database.queue, worker, 3)
    assert await database.queue.backlog(100) == 6
    assert await database.queue.backlog(4) == 4
    await database.queue.finish(worker, [done(claimed[0]), said(claimed[1], Park())])
    assert await database.queue.backlog(100) == 4


async def test_the_door_closes_before_the_backlog_is_full_and_opens_again(database: Database) -> None:
    gauge = BacklogGauge(database.queue, 20)
    await database.queue.enqueue([dispatch(number) for number in range(19)])
    await gauge.run_once()
    assert (gauge.is_closed, gauge.size) == (True, 19)
    worker = await register(database.queue)
    claimed = await claim(database.queue, worker, 10)
    await gauge.run_once()
    assert gauge.is_closed
    await database.queue.finish(worker, list(map(done, claimed)))
    await gauge.run_once()
    assert not gauge.is_closed
