from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from kanca.domain.task import Task, TaskKind, TaskState, lane_of
from kanca.queue.claiming import Claimer
from kanca.storage.dialects.postgresql.claim import CLAIM, claim_arguments
from kanca.storage.dialects.postgresql.database import PostgresDatabase
from kanca.storage.ports import Database, LaneAsk, QueueStore
from tests.databases import ClockOffset
from tests.queueing import (
    EVERYTHING,
    Hand,
    Overheard,
    call,
    dispatch,
    done,
    every_lane,
    register,
    rows,
    set_positions,
)

BURST = 20_000
SMALL = range(1_000, 1_200)


async def serve(
    database: Database, claimer: Claimer, worker: int, is_enough: Callable[[list[Task]], bool]
) -> list[Task]:
    """Finish whatever is claimed, until it is enough."""
    served: list[Task] = []
    while not is_enough(served):
        tasks = await claimer.claim()
        assert tasks, "there is more to do"
        assert all(await database.queue.finish(worker, list(map(done, tasks))))
        for task in tasks:
            claimer.release(task)
        served += tasks
    return served


async def test_a_burst_of_thousands_does_not_hold_up_small_targets(database: Database) -> None:
    clock = Hand()
    set_positions(database, clock)
    for _ in range(BURST // 5_000):
        await database.queue.enqueue([dispatch(1) for _ in range(5_000)])
    clock.seconds += 0.1
    await database.queue.enqueue([dispatch(target) for target in SMALL])
    worker = await register(database.queue)
    claimer = Claimer(database.queue, worker, 100, EVERYTHING, now_us=clock.now_us)
    served = await serve(
        database, claimer, worker, lambda served: {task.target for task in served} >= set(SMALL)
    )
    # Most of what was done meanwhile was theirs, also in the lane that they share with the burst.
    assert len(served) < 5 * len(SMALL)


async def test_a_lane_full_of_hanging_work_does_not_hold_up_others(database: Database) -> None:
    await database.queue.enqueue([dispatch(1) for _ in range(500)])
    worker = await register(database.queue)
    claimer = Claimer(database.queue, worker, 10, EVERYTHING)
    hanging = await claimer.claim()
    assert {task.target for task in hanging} == {1}
    others = [target for target in SMALL if _lane(target) != _lane(1)]
    await database.queue.enqueue([dispatch(target) for target in others])
    served = await serve(database, claimer, worker, lambda served: len(served) == len(others))
    assert {task.target for task in served} == set(others)
    assert claimer.in_hand == len(hanging)


async def test_a_task_below_the_floor_is_found_by_the_next_sweep(database: Database) -> None:
    """As when a gateway's clock is behind: its tasks stand where everything was claimed long ago."""
    clock = Hand()
    set_positions(database, clock)
    worker = await register(database.queue)
    claimer = Claimer(database.queue, worker, 10, EVERYTHING, now_us=clock.now_us, monotonic=clock)
    await database.queue.enqueue([dispatch(1)])
    (task,) = await claimer.claim()
    claimer.release(task)
    set_positions(database, Hand(clock() - 3_600))
    await database.queue.enqueue([dispatch(1)])
    clock.seconds += 10
    assert len(await claimer.claim()) == 1


async def test_suspects_are_run_alone_and_the_killer_is_found(
    database: Database, clock_offset: ClockOffset
) -> None:
    """One worker after the other; one of eight tasks kills whoever runs it."""
    await database.queue.enqueue([call(target) for target in range(1, 9)])
    clock, alone, buried = Hand(), [], []
    for life in range(1, 20):
        worker = await register(database.queue)
        claimer = Claimer(database.queue, worker, 50, EVERYTHING, monotonic=clock)
        while tasks := await claimer.claim():
            if any(task.crashes >= 2 for task in tasks):
                assert len(tasks) == claimer.in_hand == 1
                alone.append(tasks[0].target)
            if any(task.target == 5 for task in tasks):
                break
            await database.queue.finish(worker, list(map(done, tasks)))
            for task in tasks:
                claimer.release(task)
            clock.seconds += 2
        if not tasks:
            break
        await clock_offset(31 * life)
        rescued = await database.queue.rescue(await register(database.queue), 3)
        buried += [task.target for task in rescued.lost]
    assert buried == [5]
    assert 5 in alone
    assert {row.state for row in await rows(database)} == {TaskState.RUNNING}  # the killer, to be buried


@pytest.fixture
async def postgres_database(postgres_url: str) -> AsyncIterator[PostgresDatabase]:
    database = await PostgresDatabase.open(postgres_url, connections=3)
    yield database
    await database.close()


async def test_a_worker_that_looks_in_vain_writes_nothing(postgres_database: PostgresDatabase) -> None:
    """No transaction id, so nothing to wait for the disk with; an idle worker looks all the time."""
    worker = await register(postgres_database.queue)
    async with postgres_database.engine.transaction() as connection:
        arguments = claim_arguments(worker, 10, EVERYTHING, every_lane(4))
        assert await connection.fetch(CLAIM, *arguments) == []
        assert await connection.fetchval("SELECT pg_current_xact_id_if_assigned()") is None


async def test_a_snapshot_held_open_does_not_make_claims_slower(postgres_database: PostgresDatabase) -> None:
    """As by a backup: every task that was finished since is still a row. Counted in pages that a claim looks at."""
    database, clock = postgres_database, Hand()
    set_positions(database, clock)
    holder = await database.engine.address.connect(timedelta(0))
    await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    await holder.fetchval("SELECT count(*) FROM kanca.tasks")

    worker = await register(database.queue, timedelta(hours=1))
    overheard = Overheard(database.queue)
    claimer = Claimer(
        cast(QueueStore, overheard), worker, 201, EVERYTHING, now_us=clock.now_us, monotonic=lambda: 1.0
    )
    with_floors, without = [], []
    for _ in range(10):
        # Ten times two thousand tasks, twelve seconds apart: two minutes.
        await database.queue.enqueue([dispatch(number % 200) for number in range(2_000)])
        await serve(database, claimer, worker, lambda served: len(served) >= 1_000)
        asks = overheard.asks
        with_floors.append(await _pages_of_claim(database, worker, asks))
        without.append(await _pages_of_claim(database, worker, [replace(ask, floor=0) for ask in asks]))
        await serve(database, claimer, worker, lambda served: len(served) >= 1_000)
        clock.seconds += 12
    await holder.close()
    assert max(with_floors) < 2 * with_floors[0]
    # What the floors spare: without them this test would measure nothing.
    assert without[-1] > 3 * max(with_floors)


async def _pages_of_claim(database: PostgresDatabase, worker: int, asks: Sequence[LaneAsk]) -> int:
    async with database.engine.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        text = await connection.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {CLAIM}",
            *claim_arguments(worker, 100, EVERYTHING, asks),
        )
        await transaction.rollback()
    (plan,) = json.loads(text)
    return int(plan["Plan"]["Shared Hit Blocks"])


def _lane(target: int) -> int:
    return lane_of(TaskKind.DISPATCH, target)
