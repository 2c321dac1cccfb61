from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, update

from kanca.domain.status import RunStatus
from kanca.domain.task import Task, TaskState, Wait
from kanca.storage import turns
from kanca.storage.ports import Database
from kanca.storage.tables import run_slots, runs
from tests.queueing import claim, register, rows, said
from tests.waiting import HOUR, WORKFLOW, runs_at_work


async def take(
    database: Database, task: Task, key: str = "", limit: int = 1, workflow: int = WORKFLOW
) -> bool:
    return await database.write(turns.take, task.ref, task.id, workflow, key, limit)


async def give(database: Database) -> int:
    return await database.write(turns.give, await database.now())


async def end(database: Database, run_id: UUID, status: RunStatus = RunStatus.SUCCEEDED) -> None:
    def change(connection: Connection) -> None:
        connection.execute(update(runs).where(runs.c.id == run_id).values(status=status))

    await database.write(change)


async def in_order(database: Database, count: int, **values: Any) -> tuple[int, list[Task]]:
    """A worker, and the claimed tasks of runs, the oldest run first."""
    worker = await register(database.queue, HOUR)
    held = await runs_at_work(database, worker, count, **{"status": RunStatus.PENDING} | values)
    return worker, sorted(held, key=lambda task: task.ref)


async def asleep(database: Database, worker: int, *held: Task) -> None:
    assert all(await database.queue.finish(worker, [said(task, Wait(HOUR)) for task in held]))


async def test_only_so_many_runs_of_a_workflow_and_key_have_their_turn(database: Database) -> None:
    _, (one, two, three, four, five) = await in_order(database, 5)

    assert [await take(database, task, limit=2) for task in (one, two, three)] == [True, True, False]
    assert await take(database, four, key="other", limit=2)
    assert await take(database, five, workflow=WORKFLOW + 1, limit=2)

    # Asking again changes nothing.
    assert [await take(database, task, limit=2) for task in (one, two, three)] == [True, True, False]


@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED])
async def test_a_run_that_has_ended_needs_no_turn(database: Database, status: RunStatus) -> None:
    _, (one, two) = await in_order(database, 2)
    assert await take(database, one)
    assert not await take(database, two)

    await end(database, one.ref, status)

    assert await take(database, two)
    assert {row.run_id for row in await rows(database, run_slots)} == {two.ref}


async def test_older_runs_come_first_however_they_ask(database: Database) -> None:
    _, (first, old, young) = await in_order(database, 3)
    assert await take(database, first)
    assert not await take(database, young)
    assert not await take(database, old)
    await end(database, first.ref)

    assert not await take(database, young)
    assert await take(database, old)


async def test_a_run_that_gives_up_waiting_keeps_nobody_up(database: Database) -> None:
    _, (first, old, young) = await in_order(database, 3)
    assert [await take(database, task) for task in (first, old, young)] == [True, False, False]
    await end(database, old.ref, RunStatus.CANCELLED)
    await end(database, first.ref)

    assert await take(database, young)


async def test_those_whose_turn_it_is_are_signalled_by_whoever_looks(database: Database) -> None:
    worker, (first, old, young) = await in_order(database, 3)
    assert [await take(database, task) for task in (first, old, young)] == [True, False, False]
    await asleep(database, worker, old, young)
    assert await give(database) == 0

    # Its worker dies right after it has recorded the end: nobody gives the turn on.
    await end(database, first.ref)

    assert await database.read(turns.is_anybody_waiting)
    assert await give(database) == 1
    states = {row.id: row.state for row in await rows(database)}
    assert (states[old.id], states[young.id]) == (TaskState.READY, TaskState.SCHEDULED)
    # Until it has taken its turn it is told again: the one who was told may die, too.
    assert await give(database) == 1
    (again,) = await claim(database.queue, worker)
    assert await take(database, again)
    assert await give(database) == 0


async def test_a_signal_between_asking_and_sleeping_is_not_lost(database: Database) -> None:
    worker, (first, second) = await in_order(database, 2)
    assert [await take(database, task) for task in (first, second)] == [True, False]
    await end(database, first.ref)
    assert await give(database) == 1

    await asleep(database, worker, second)

    assert [row.state for row in await rows(database) if row.id == second.id] == [TaskState.READY]


async def test_a_run_that_is_retried_waits_for_its_turn_as_others_do(database: Database) -> None:
    _, (first, second) = await in_order(database, 2)
    assert await take(database, first)
    await end(database, first.ref, RunStatus.FAILED)
    assert await take(database, second)

    await end(database, first.ref, RunStatus.PENDING)

    assert not await take(database, first)


async def test_a_higher_limit_counts_from_when_somebody_asks_with_it(database: Database) -> None:
    worker, (first, second, third) = await in_order(database, 3)
    assert [await take(database, task) for task in (first, second)] == [True, False]
    await asleep(database, worker, second)
    assert not await take(database, third, limit=2)

    assert await give(database) == 1
    (again,) = await claim(database.queue, worker)
    assert again.ref == second.ref
    assert await take(database, again, limit=2)


async def test_many_keys_are_given_turns_at_once(database: Database) -> None:
    worker, held = await in_order(database, 20)
    for number, task in enumerate(held):
        assert await take(database, task, key=f"{number % 10}") is (number < 10)
    await asleep(database, worker, *held[10:])
    for task in held[:10]:
        await end(database, task.ref)

    assert await give(database) == 10

    assert {task.ref for task in await claim(database.queue, worker)} == {task.ref for task in held[10:]}
