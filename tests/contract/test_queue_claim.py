from __future__ import annotations

import asyncio

from kanca.domain.task import HandBack, TaskKind, TaskState, lane_of
from kanca.storage.dialects import open_database
from kanca.storage.ports import Capabilities, Database, LaneAsk
from tests.databases import ClockOffset
from tests.queueing import EVERYTHING, LEASE, call, claim, dispatch, every_lane, register, rows, said


async def test_workers_that_race_never_claim_one_task_twice(database: Database, database_url: str) -> None:
    other = await open_database(database_url)
    await database.queue.enqueue([dispatch(number % 7) for number in range(600)])

    async def drain(queue_of: Database) -> list[int]:
        worker = await register(queue_of.queue)
        mine: list[int] = []
        while found := await claim(queue_of.queue, worker, 10):
            mine += [task.id for task in found]
        return mine

    claimed = [number for part in await asyncio.gather(*map(drain, (database, other) * 2)) for number in part]
    # One that another worker was just looking at is left for the next claim.
    claimed += await drain(database)
    await other.close()
    assert len(claimed) == len(set(claimed)) == 600


async def test_a_claim_gives_all_that_the_worker_needs_to_know(database: Database) -> None:
    worker = await register(database.queue)
    new = call(7, detail=b'{"works":1}')
    await database.queue.enqueue([new])
    (task,) = await claim(database.queue, worker)
    assert (task.kind, task.ref, task.target, task.detail, task.order_key) == (
        TaskKind.CALL,
        new.ref,
        7,
        b'{"works":1}',
        None,
    )
    assert (task.attempt, task.crashes, task.fence) == (0, 0, 1)
    (row,) = await rows(database)
    assert (row.state, row.worker, row.fence) == (TaskState.RUNNING, worker, 1)


async def test_the_fence_grows_with_every_claim(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch()])
    for fence in (1, 2, 3):
        (task,) = await claim(database.queue, worker)
        assert task.fence == fence
        assert await database.queue.finish(worker, [said(task, HandBack())]) == [True]


async def test_a_worker_claims_only_what_it_can_do(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch(1), dispatch(2), call(1), call(2), call(3)])
    able = Capabilities({TaskKind.CALL: frozenset({2, 3})})
    claimed = await claim(database.queue, worker, capabilities=able)
    assert {(task.kind, task.target) for task in claimed} == {
        (TaskKind.DISPATCH, 1),
        (TaskKind.DISPATCH, 2),
        (TaskKind.CALL, 2),
        (TaskKind.CALL, 3),
    }
    nothing = Capabilities(dict.fromkeys(TaskKind, frozenset()))
    assert await claim(database.queue, worker, capabilities=nothing) == []
    assert [task.target for task in await claim(database.queue, worker)] == [1]


async def test_a_worker_leaves_to_others_what_it_is_told_to(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch(1), dispatch(2), call(1), call(2), call(3)])
    able = Capabilities({TaskKind.CALL: frozenset({1, 2})}, {kind: frozenset({1}) for kind in TaskKind})
    claimed = await claim(database.queue, worker, capabilities=able)
    assert {(task.kind, task.target) for task in claimed} == {(TaskKind.DISPATCH, 2), (TaskKind.CALL, 2)}
    assert {task.target for task in await claim(database.queue, worker)} == {1, 3}


async def test_a_worker_whose_lease_is_over_claims_nothing(
    database: Database, clock_offset: ClockOffset
) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch()])
    await clock_offset(31)
    assert await claim(database.queue, worker) == []
    assert await database.queue.heartbeat(worker, LEASE, 0)
    assert len(await claim(database.queue, worker)) == 1


async def test_a_worker_that_never_registered_claims_nothing(database: Database) -> None:
    await database.queue.enqueue([dispatch()])
    assert await claim(database.queue, 12345) == []


async def test_lanes_are_asked_in_their_order_each_for_its_share(database: Database) -> None:
    worker = await register(database.queue)
    lanes = [lane_of(TaskKind.DISPATCH, target) for target in (1, 2, 3)]
    assert len(set(lanes)) == 3
    await database.queue.enqueue([dispatch(target) for target in (1, 2, 3) for _ in range(10)])
    asks = [LaneAsk(lanes[2], 0, 4), LaneAsk(lanes[0], 0, 4), LaneAsk(lanes[1], 0, 4)]
    found = await database.queue.claim(worker, 6, EVERYTHING, asks)
    targets = [task.target for task, _ in found]
    assert sorted(targets) == [1, 1, 3, 3, 3, 3]


async def test_within_a_lane_tasks_come_in_the_order_of_their_positions(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch(1) for _ in range(20)])
    found = await database.queue.claim(worker, 100, EVERYTHING, every_lane(5))
    positions = sorted(position for _, position in found)
    everything = sorted(row.position for row in await rows(database))
    assert positions == everything[:5]


async def test_a_claim_of_nothing_leaves_everything(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([])
    await database.queue.enqueue([dispatch()])
    assert await database.queue.claim(worker, 10, EVERYTHING, []) == []
    assert await database.queue.finish(worker, []) == []
    assert len(await claim(database.queue, worker)) == 1
