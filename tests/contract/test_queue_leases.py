from __future__ import annotations

from datetime import timedelta

from kanca.domain.task import SUSPECT_LANE, HandBack, Keep, TaskKind, TaskState, lane_of
from kanca.storage.ports import Capabilities, Database
from kanca.storage.tables import dead_letters, outcomes, workers
from tests.contract.test_queue_finish import step
from tests.databases import ClockOffset
from tests.queueing import (
    EVERYTHING,
    LEASE,
    call,
    claim,
    claim_suspect,
    dead,
    dispatch,
    done,
    register,
    rows,
    said,
)


async def test_the_tasks_of_an_expired_worker_are_ready_again(
    database: Database, clock_offset: ClockOffset
) -> None:
    queue = database.queue
    first = await register(queue)
    await queue.enqueue([dispatch() for _ in range(3)])
    claimed = await claim(queue, first)
    await clock_offset(31)
    second = await register(queue)
    rescued = await queue.rescue(second, 3)
    assert (rescued.returned, rescued.lost) == (3, ())
    assert not await queue.heartbeat(first, LEASE, 0)
    again = await claim(queue, second)
    assert {task.id for task in again} == {task.id for task in claimed}
    assert {(task.crashes, task.attempt, task.fence) for task in again} == {(1, 0, 2)}


async def test_the_tasks_of_a_worker_that_is_known_to_be_dead_need_not_wait(database: Database) -> None:
    queue = database.queue
    first, second = await register(queue), await register(queue)
    await queue.enqueue([dispatch()])
    await claim(queue, first)
    assert (await queue.rescue(second, 3)).returned == 0
    await queue.expire(first)
    assert (await queue.rescue(second, 3)).returned == 1
    assert not await queue.heartbeat(first, LEASE, 0)


async def test_a_worker_that_gives_signs_of_life_keeps_its_tasks(
    database: Database, clock_offset: ClockOffset
) -> None:
    queue = database.queue
    first, second = await register(queue), await register(queue)
    await queue.enqueue([dispatch()])
    (task,) = await claim(queue, first)
    await clock_offset(29)
    assert await queue.heartbeat(first, LEASE, 7)
    assert [row.active for row in await rows(database, workers)] == [7, 0]
    await clock_offset(31)
    await queue.rescue(second, 3)
    assert await queue.finish(first, [done(task)]) == [True]


async def test_a_late_worker_that_nobody_cleared_away_may_still_finish(
    database: Database, clock_offset: ClockOffset
) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch()])
    (task,) = await claim(database.queue, worker)
    await clock_offset(3600)
    assert await database.queue.finish(worker, [done(task)]) == [True]


async def test_nobody_rescues_himself_and_the_unknown_rescue_nobody(
    database: Database, clock_offset: ClockOffset
) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch()])
    await claim(database.queue, worker)
    await clock_offset(3600)
    assert (await database.queue.rescue(worker, 3)).returned == 0
    assert (await database.queue.rescue(4711, 3)).returned == 0
    assert len(await rows(database, workers)) == 1


async def test_what_a_leaving_worker_holds_is_ready_at_no_cost(database: Database) -> None:
    queue = database.queue
    first, second = await register(queue), await register(queue)
    await queue.enqueue([dispatch() for _ in range(3)])
    claimed = await claim(queue, first)
    assert await queue.finish(first, [done(claimed[0])]) == [True]
    assert await queue.leave(first) == 2
    assert await queue.finish(first, [done(claimed[1])]) == [False]
    again = await claim(queue, second)
    assert {(task.crashes, task.attempt) for task in again} == {(0, 0)}
    assert await queue.leave(first) == 0
    assert not await queue.heartbeat(first, LEASE, 0)


async def test_what_a_worker_holds_without_knowing_is_put_back_at_no_cost(database: Database) -> None:
    queue = database.queue
    first, second = await register(queue), await register(queue)
    await queue.enqueue([dispatch() for _ in range(4)])
    known, *_ = await claim(queue, first, 3)
    (others,) = await claim(queue, second)
    assert await queue.put_back(first, [known.id], deliveries=False) == 2
    assert await queue.finish(first, [done(known)]) == [True]
    assert await queue.finish(second, [done(others)]) == [True]
    again = await claim(queue, first)
    assert {(task.crashes, task.attempt, task.fence) for task in again} == {(0, 0, 2)}
    assert await queue.put_back(first, [], deliveries=False) == 2


async def test_a_hand_back_costs_neither_an_attempt_nor_a_crash(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch()])
    for _ in range(10):
        (task,) = await claim(database.queue, worker)
        assert (task.attempt, task.crashes) == (0, 0)
        await database.queue.finish(worker, [said(task, HandBack())])


async def test_a_task_that_kills_its_workers_dies_alone(database: Database) -> None:
    """Six tasks, claimed together; one of them kills whoever runs it."""
    queue = database.queue
    await queue.enqueue([dispatch(target) for target in range(6)])
    killer = (await rows(database))[3].id
    finished: set[int] = set()
    lost: list[int] = []
    deaths = 0
    while await rows(database):
        worker = await register(queue)
        # As ``queue.claiming`` does it: suspects first, and alone.
        claimed = await claim_suspect(queue, worker) if await queue.has_suspects(EVERYTHING) else []
        claimed = claimed or await claim(queue, worker)
        if killer in {task.id for task in claimed}:
            deaths += 1
            await queue.heartbeat(worker, timedelta(seconds=-1), 0)
        else:
            assert all(await queue.finish(worker, [done(task) for task in claimed]))
            finished |= {task.id for task in claimed}
        rescuer = await register(queue)
        rescued = await queue.rescue(rescuer, 3)
        if rescued.lost:
            assert all(await queue.finish(rescuer, [dead(task, "worker_lost") for task in rescued.lost]))
            lost += [task.id for task in rescued.lost]
    assert lost == [killer]
    assert deaths == 3
    assert len(finished) == 5
    (letter,) = await rows(database, dead_letters)
    assert letter.code == "worker_lost"
    assert len(await rows(database, outcomes)) == 6


async def test_a_suspect_is_not_among_what_others_claim(database: Database) -> None:
    queue = database.queue
    await queue.enqueue([call(3)])
    for _ in range(2):
        worker = await register(queue)
        await claim(queue, worker)
        await queue.heartbeat(worker, timedelta(seconds=-1), 0)
        await queue.rescue(await register(queue), 3)
    (row,) = await rows(database)
    assert (row.lane, row.crashes, row.state) == (SUSPECT_LANE, 2, TaskState.READY)
    worker = await register(queue)
    assert await claim(queue, worker) == []
    assert await queue.has_suspects(EVERYTHING)
    assert not await queue.has_suspects(Capabilities({row.kind: frozenset({4})}))
    assert not await queue.has_suspects(Capabilities({}, {row.kind: frozenset({3})}))
    (task,) = await claim_suspect(queue, worker)
    assert not await queue.has_suspects(EVERYTHING)
    # It stays apart when it is handed back; storing a step clears it of the suspicion.
    await queue.finish(worker, [said(task, HandBack())])
    (task,) = await claim_suspect(queue, worker)
    await queue.finish(worker, [said(task, Keep(), steps=(step(1),))])
    await queue.finish(worker, [said(task, HandBack())])
    (row,) = await rows(database)
    assert (row.crashes, row.lane) == (0, lane_of(TaskKind.CALL, 3))


async def test_a_lost_task_whose_rescuer_dies_is_lost_again(database: Database) -> None:
    queue = database.queue
    await queue.enqueue([dispatch()])
    first, second, third = [await register(queue) for _ in range(3)]
    (task,) = await claim(queue, first)
    await queue.heartbeat(first, timedelta(seconds=-1), 0)
    (lost,) = (await queue.rescue(second, 1)).lost
    assert lost.fence > task.fence
    assert await claim(queue, third) == []
    await queue.heartbeat(second, timedelta(seconds=-1), 0)
    (again,) = (await queue.rescue(third, 1)).lost
    assert await queue.finish(second, [dead(lost)]) == [False]
    assert await queue.finish(third, [dead(again)]) == [True]
    assert await rows(database) == []


async def test_numbers_of_workers_are_never_given_twice(database: Database) -> None:
    first = await register(database.queue)
    await database.queue.leave(first)
    assert await register(database.queue) > first


def test_suspects_wait_in_no_lane_of_a_target() -> None:
    assert SUSPECT_LANE not in {lane_of(kind, target) for kind in TaskKind for target in range(1000)}
