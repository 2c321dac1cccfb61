from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, insert, select

from kanca.domain.ids import derived_id
from kanca.domain.status import RunStatus, StepStatus
from kanca.domain.task import NewTask, RunChange, Step, TaskKind, TaskState
from kanca.errors import InvalidInput
from kanca.storage import runs
from kanca.storage.dialects.postgresql.database import PostgresDatabase
from kanca.storage.dialects.postgresql.partitions import make_partitions
from kanca.storage.ports import Database
from kanca.storage.runs import RunFilter
from kanca.storage.tables import runs as runs_table
from kanca.storage.tables import steps, tasks
from tests.factories import ids

NOW = datetime.now(UTC).replace(hour=12, microsecond=0)


def _run(**values: Any) -> RunChange:
    fields: dict[str, Any] = {
        "id": ids.new(),
        "workflow_id": "flow",
        "version": 1,
        "event_id": None,
        "status": RunStatus.SUCCEEDED,
        "started_at": NOW,
    }
    return RunChange(**fields | values)


def _add(connection: Connection, added: Sequence[RunChange]) -> None:
    connection.execute(insert(runs_table), [asdict(run) for run in added])


async def test_a_run_started_by_hand_is_pending_with_a_task(database: Database) -> None:
    run = _run(status=RunStatus.PENDING, input=b'{"n":1}')
    await database.write(runs.start, run, NewTask(TaskKind.RUN, run.id, 17), NOW)
    assert await database.read(runs.get, run.id) == run
    [task] = await database.read(lambda connection: list(connection.execute(select(tasks)).all()))
    assert (task.kind, task.ref, task.target, task.state) == (TaskKind.RUN, run.id, 17, TaskState.READY)
    assert await database.read(runs.get, ids.new()) is None


async def test_steps_come_in_the_order_in_which_they_ended(database: Database) -> None:
    if isinstance(database, PostgresDatabase):
        await make_partitions(database.engine, [NOW.date()])
    run, other = _run(), _run()

    def step(of: RunChange, node: str, minute: int) -> Step:
        moment = NOW + timedelta(minutes=minute)
        identifier = derived_id(of.id, node, "0")
        values = (node, 0, StepStatus.SUCCEEDED, "out", b"1", b"2", None, 1, moment, moment)
        return Step(identifier, of.id, *values)

    stored = [step(run, "c", 1), step(run, "a", 2), step(run, "b", 3)]
    unordered = [stored[2], step(other, "x", 0), stored[0], stored[1]]

    def add_steps(connection: Connection) -> None:
        connection.execute(insert(steps), [asdict(each) for each in unordered])

    await database.write(add_steps)
    assert await database.read(runs.steps_of, run.id) == tuple(stored)
    assert await database.read(runs.steps_of, ids.new()) == ()


async def test_runs_are_listed_newest_first_and_told_apart(database: Database) -> None:
    def at(number: int) -> UUID:
        moment = NOW + timedelta(days=number // 3)
        return UUID(int=(int(moment.timestamp() * 1000) << 80) | 7 << 76 | 2 << 62 | number)

    made = [
        _run(
            id=at(number),
            workflow_id=f"flow-{number % 2}",
            status=RunStatus.FAILED if number % 4 == 0 else RunStatus.SUCCEEDED,
        )
        for number in range(9)
    ]
    await database.write(_add, made)
    newest_first = made[::-1]
    expectations: list[tuple[RunFilter, list[RunChange]]] = [
        (RunFilter(), newest_first),
        (RunFilter(workflow_id="flow-1"), [made[n] for n in (7, 5, 3, 1)]),
        (RunFilter(status=RunStatus.FAILED), [made[n] for n in (8, 4, 0)]),
        (RunFilter(status=RunStatus.WAITING), []),
        (RunFilter(since=NOW + timedelta(days=1)), [made[n] for n in (8, 7, 6, 5, 4, 3)]),
        (RunFilter(until=NOW + timedelta(days=1), status=RunStatus.FAILED), [made[0]]),
    ]
    for wanted, expected in expectations:
        for limit in (2, 50):
            found: list[RunChange] = []
            cursor = None
            while True:
                page = await database.read(runs.page, wanted, limit=limit, cursor=cursor)
                found += page.items
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert found == expected, wanted
    with pytest.raises(InvalidInput):
        await database.read(runs.page, cursor="nonsense")
