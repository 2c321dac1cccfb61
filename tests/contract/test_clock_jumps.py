"""The database's clock is set forth and back: nothing is lost or done twice, and nobody waits longer than need be."""

from __future__ import annotations

from datetime import timedelta

from kanca.domain.task import LONGEST_LEASE, Retry
from kanca.storage.ports import Database
from tests.databases import ClockOffset
from tests.queueing import LEASE, claim, dispatch, done, register, rows, said

DAY_S = 86_400.0
BEFORE = LONGEST_LEASE.total_seconds()


async def test_a_worker_outlives_a_clock_that_is_set_back(
    database: Database, clock_offset: ClockOffset
) -> None:
    queue = database.queue
    first, second = await register(queue), await register(queue)
    await queue.enqueue([dispatch()])
    (task,) = await claim(queue, first)
    await clock_offset(-DAY_S)
    assert (await queue.rescue(second, 3)).returned == 0
    assert await queue.heartbeat(first, LEASE, 1)
    assert await queue.finish(first, [done(task)]) == [True]
    assert not await rows(database)


async def test_the_work_of_a_worker_that_died_before_the_clock_was_set_back_does_not_wait_for_its_lease(
    database: Database, clock_offset: ClockOffset
) -> None:
    queue = database.queue
    first = await register(queue)
    await queue.enqueue([dispatch()])
    (task,) = await claim(queue, first)
    await clock_offset(-DAY_S)
    second = await register(queue)
    assert (await queue.rescue(second, 3)).returned == 0
    await clock_offset(-DAY_S + BEFORE + 1)
    assert await queue.heartbeat(second, LEASE, 0)
    assert (await queue.rescue(second, 3)).returned == 1
    assert [again.id for again in await claim(queue, second)] == [task.id]


async def test_after_a_clock_was_set_forth_nothing_is_done_for_two(
    database: Database, clock_offset: ClockOffset
) -> None:
    queue = database.queue
    first = await register(queue)
    await queue.enqueue([dispatch()])
    (task,) = await claim(queue, first)
    await clock_offset(DAY_S)
    second = await register(queue)
    assert (await queue.rescue(second, 3)).returned == 1
    (again,) = await claim(queue, second)
    assert await queue.finish(first, [done(task)]) == [False]
    assert await queue.finish(second, [done(again)]) == [True]
    # The clock comes back: whoever registered in the future is as alive as its next sign of life.
    await clock_offset(0)
    assert await queue.heartbeat(second, LEASE, 0)
    await queue.enqueue([dispatch()])
    assert len(await claim(queue, second)) == 1


async def test_what_is_due_later_is_due_by_the_clock_that_is_then(
    database: Database, clock_offset: ClockOffset
) -> None:
    queue = database.queue
    worker = await register(queue)
    await queue.enqueue([dispatch()])
    (task,) = await claim(queue, worker)
    assert await queue.finish(worker, [said(task, Retry(timedelta(hours=1), 1))]) == [True]
    await clock_offset(DAY_S)
    assert (await queue.promote(10)).moved == 1
    await queue.heartbeat(worker, LEASE, 0)
    (again,) = await claim(queue, worker)
    assert again.id == task.id
    await clock_offset(-DAY_S)
    assert await queue.finish(worker, [done(again)]) == [True]
    assert not await rows(database)
