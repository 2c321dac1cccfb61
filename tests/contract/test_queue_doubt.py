"""What was claimed although the answer was lost: nobody would do it, and its worker lives on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any, cast

import pytest

from kanca.domain.task import Completion, Task, TaskState
from kanca.errors import DatabaseUnavailable
from kanca.queue.claiming import Claimer
from kanca.queue.rescuer import Rescuer
from kanca.storage.dialects.postgresql.claim import CLAIM, claim_arguments
from kanca.storage.dialects.postgresql.database import PostgresDatabase
from kanca.storage.ports import Database, QueueStore
from tests.databases import ClockOffset
from tests.queueing import EVERYTHING, Bell, claim, dispatch, every_lane, register, rows


class Mute:
    """A queue that does what it is told, and whose answers are lost, each so often."""

    def __init__(self, queue: QueueStore, **lost: int) -> None:
        self._queue = queue
        self._lost = lost

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._queue, name)

        async def answer(*arguments: Any, **options: Any) -> Any:
            result = await method(*arguments, **options)
            if self._lost.get(name):
                self._lost[name] -= 1
                raise DatabaseUnavailable
            return result

        return answer


async def test_what_a_claim_took_whose_answer_was_lost_is_claimed_the_next_time(database: Database) -> None:
    worker = await register(database.queue)
    queue = cast(QueueStore, Mute(database.queue, claim=1))
    claimer = Claimer(queue, worker, 10, EVERYTHING)
    await database.queue.enqueue([dispatch(), dispatch()])
    with pytest.raises(DatabaseUnavailable):
        await claimer.claim()
    assert [row.state for row in await rows(database)] == [TaskState.RUNNING, TaskState.RUNNING]
    assert len(await claimer.claim()) == 2


async def test_what_is_known_stays_in_hand_when_an_answer_is_lost(database: Database) -> None:
    worker = await register(database.queue)
    claimer = Claimer(cast(QueueStore, Mute(database.queue)), worker, 10, EVERYTHING)
    await database.queue.enqueue([dispatch()])
    (known,) = await claimer.claim()
    claimer.doubt()
    assert await claimer.claim() == []
    (row,) = await rows(database)
    assert (row.id, row.state, row.worker) == (known.id, TaskState.RUNNING, worker)


@pytest.mark.parametrize("lost", ["rescue", "finish"])
async def test_a_rescuer_without_an_answer_says_that_it_may_hold_lost_tasks(
    database: Database, clock_offset: ClockOffset, lost: str
) -> None:
    first = await register(database.queue)
    await database.queue.enqueue([dispatch()])
    await claim(database.queue, first)
    await clock_offset(31)
    second = await register(database.queue)
    claimer = Claimer(database.queue, second, 10, EVERYTHING)

    async def bury(tasks: Sequence[Task]) -> list[Completion]:
        return []

    queue = cast(QueueStore, Mute(database.queue, **{lost: 1}))
    rescuer = Rescuer(
        queue, Bell(), partial(int, second), bury, timedelta(seconds=5), max_crashes=1, on_doubt=claimer.doubt
    )
    with pytest.raises(DatabaseUnavailable):
        await rescuer.run_once()
    assert [(row.state, row.worker) for row in await rows(database)] == [(TaskState.RUNNING, second)]
    assert len(await claimer.claim()) == 1


async def test_a_claim_that_is_still_under_way_is_waited_for(postgres_url: str) -> None:
    database = await PostgresDatabase.open(postgres_url, connections=3)
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch()])
    async with database.engine.transaction() as connection:
        await connection.fetch(CLAIM, *claim_arguments(worker, 10, EVERYTHING, every_lane(10)))
        putting_back = asyncio.create_task(database.queue.put_back(worker, [], deliveries=False))
        async with database.engine.connection() as other:
            while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                assert not putting_back.done()
    assert await putting_back == 1
    await database.close()
