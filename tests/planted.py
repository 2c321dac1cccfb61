"""A marker that is planted in all that Kanca stores of an event, and looked for in all of a database."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Executable, Table, delete, insert, select

from kanca.domain.event import NewEvent
from kanca.domain.ids import derived_id, time_of
from kanca.domain.status import DeliveryStatus, OutcomeStatus, RunStatus, StepStatus, WaitStatus
from kanca.domain.task import Delivery, EventField, RunAnswer, RunChange, Step
from kanca.storage.dialects.postgresql.database import PostgresDatabase
from kanca.storage.dialects.postgresql.partitions import make_partitions
from kanca.storage.dialects.sqlite.database import SqliteDatabase
from kanca.storage.ports import Database
from kanca.storage.tables import (
    answers,
    attempts,
    dead_letters,
    deliveries,
    early_events,
    event_fields,
    metadata,
    outcomes,
    run_slots,
    runs,
    steps,
    tasks,
    waits,
)
from tests.factories import a_dead_letter, an_attempt, an_outcome, new_event

MARKER = "Zyxomma-4711"
"""What nothing else says."""
_AS_JSON = f'{{"name":"{MARKER}"}}'.encode()


def id_at(moment: datetime) -> UUID:
    """An id of that moment."""
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | new_event().id.int & ((1 << 80) - 1))


async def plant(
    database: Database, moment: datetime | None = None, *, is_open: bool = False, **values: Any
) -> NewEvent:
    """An event of that moment, with the marker in all that there can be about it; its work ended unless it ``is_open``.

    It started a run, which waits for another one that it started itself.
    """
    at = moment or datetime.now(UTC)
    if isinstance(database, PostgresDatabase):
        await make_partitions(database.engine, [at.date()])
    request = b'{"method":"POST","ip":"198.51.100.7","headers":[["x-name","%b"]]}' % MARKER.encode()
    event = new_event(id=id_at(at), received_at=at, request=request, body=_AS_JSON, **values)
    [accepted] = await database.accepting.append([event])
    assert not isinstance(accepted, Exception)
    await database.write(_plant, event, is_open=is_open)
    return event


def _plant(connection: Connection, event: NewEvent, *, is_open: bool) -> None:
    at = time_of(event.id)
    if not is_open:
        connection.execute(delete(tasks).where(tasks.c.ref == event.id))
    run = _run(derived_id(event.id, "workflow:w"), at, event_id=event.id)
    child = _run(derived_id(run.id, "child"), at, parent_run_id=run.id)
    _add(connection, runs, run)
    _add(connection, runs, child)
    for each in (run, child):
        step = _step(each, at)
        _add(connection, steps, step)
        failed = an_attempt(event, id=id_at(at), call_id=step.id, error=_AS_JSON, event_id=each.event_id)
        _add(connection, attempts, failed)
    _add(connection, attempts, an_attempt(event, id=id_at(at), work="subscription:s", error=_AS_JSON))
    if not is_open:
        dead = an_outcome(event, status=OutcomeStatus.DEAD, works=2, result=_AS_JSON)
        _add(connection, outcomes, dead)
    letter = a_dead_letter(event, id=id_at(at), failed_at=at, error=_AS_JSON, detail=_AS_JSON)
    _add(connection, dead_letters, letter)
    delivery = Delivery(
        event.id, 9, DeliveryStatus.DEAD, 1, "status_500", 500, at, at + timedelta(seconds=1), _AS_JSON
    )
    _add(connection, deliveries, delivery)
    _add(connection, answers, RunAnswer(event.id, 200, _AS_JSON, _AS_JSON, at))
    _add(connection, event_fields, EventField(event.id, "name", MARKER))
    early = {"workflow": 1, "node_id": "n", "rule": "r", "key": MARKER, "task_id": 1}
    times = {"received_at": at, "expires_at": at}
    connection.execute(insert(early_events).values(event_id=event.id, **early, **times))
    wait = {"workflow": 1, "node_id": "n", "iteration": 0, "rule": "r", "key": MARKER, "task_id": 1}
    ended = {"status": WaitStatus.CLAIMED, "opened_at": at, "due_at": at, "ended_at": at}
    connection.execute(
        insert(waits).values(
            id=derived_id(run.id, "w"), run_id=run.id, child_run_id=child.id, **wait, **ended
        )
    )
    slot = {"workflow": 1, "key": MARKER, "is_held": True, "most": 1, "task_id": 1}
    connection.execute(insert(run_slots).values(run_id=run.id, **slot))


async def resume(database: Database, event: NewEvent, run: UUID) -> None:
    """Let an event have resumed a run."""
    at = time_of(event.id)
    wait = {"workflow": 1, "node_id": "n", "iteration": 1, "rule": "r", "key": MARKER, "task_id": 1}
    ended = {"status": WaitStatus.CLAIMED, "opened_at": at, "due_at": at, "ended_at": at}
    query = insert(waits).values(id=derived_id(run, "second"), run_id=run, event_id=event.id, **wait, **ended)
    await database.write(execute, query)


def execute(connection: Connection, statement: Executable) -> None:
    """Do what a statement says."""
    connection.execute(statement)


async def places_of_marker(database: Database) -> set[str]:
    """The columns of all tables that have the marker somewhere; on a file also the files themselves."""
    found = await database.read(_columns_with_marker)
    if isinstance(database, SqliteDatabase):
        beside = (Path(database.engine.path + suffix) for suffix in ("", "-wal"))
        found |= {path.name for path in beside if path.exists() and MARKER.encode() in path.read_bytes()}
    return found


def _columns_with_marker(connection: Connection) -> set[str]:
    return {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for row in connection.execute(select(table))
        for column, value in zip(table.columns, row, strict=True)
        if MARKER in _text(value)
    }


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _run(run_id: UUID, at: datetime, **values: Any) -> RunChange:
    fields: dict[str, Any] = {
        "workflow_id": "w",
        "version": 1,
        "event_id": None,
        "status": RunStatus.FAILED,
        "started_at": at,
        "finished_at": at,
        "input": _AS_JSON,
        "output": _AS_JSON,
        "error": _AS_JSON,
    }
    return RunChange(run_id, **fields | values)


def _step(run: RunChange, at: datetime) -> Step:
    texts = (_AS_JSON, _AS_JSON, _AS_JSON)
    return Step(derived_id(run.id, "n"), run.id, "n", 0, StepStatus.DEAD, None, *texts, 1, at, at)


def _add(connection: Connection, table: Table, row: Any) -> None:
    connection.execute(insert(table), asdict(row))
