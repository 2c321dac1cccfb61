"""Finishing on SQLite: the fenced changes first, then the records of the tasks that were still this worker's."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Column

from kanca.domain.positions import PositionClock
from kanca.domain.task import SUSPECT_CRASHES, Completion, NewTask, TaskState
from kanca.storage.completions import change_of, is_end
from kanca.storage.dialects.sqlite.engine import SqliteEngine
from kanca.storage.halving import Refused
from kanca.storage.records import PARTS, TASK_COLUMNS, Part, Row, task_row
from kanca.storage.tables import SCHEMA, tasks
from kanca.storage.types import Id, Instant, to_microseconds

_IS_MINE = "id = ? AND fence = ? AND state = 1 AND worker = ?"
_END = f"DELETE FROM kanca_tasks WHERE {_IS_MINE}"  # noqa: S608 - a constant
# It waits for a signal, and there was one since it was claimed. (Null for what does not wait.)
_HAS_NEWS = "COALESCE(signals > ?13, FALSE)"
_CHANGE = f"""
UPDATE kanca_tasks
SET state = CASE WHEN {_HAS_NEWS} THEN {TaskState.READY:d} ELSE ?1 END,
    due_at = CASE WHEN NOT {_HAS_NEWS} THEN kanca_now() + ?2 END,
    position = CASE WHEN {_HAS_NEWS} THEN kanca_now() ELSE position END,
    worker = CASE ?1 WHEN 1 THEN worker END,
    attempt = COALESCE(?3, attempt),
    crashes = CASE WHEN ?4 THEN 0 ELSE crashes END,
    lane = CASE WHEN crashes >= {SUSPECT_CRASHES} AND NOT ?4 THEN lane ELSE COALESCE(?5, lane) END,
    kind = COALESCE(?6, kind), ref = COALESCE(?7, ref), target = COALESCE(?8, target),
    detail = CASE WHEN ?6 IS NULL THEN detail ELSE ?9 END
WHERE id = ?10 AND fence = ?11 AND state = 1 AND worker = ?12
"""  # noqa: S608 - a constant


async def write(engine: SqliteEngine, worker: int, batch: Sequence[Completion]) -> set[int]:
    """Write completions of distinct tasks in one transaction (see ``storage.completions.Write``)."""
    try:
        return await engine.run_write(partial(_write, worker=worker, batch=batch, positions=engine.positions))
    except (sqlite3.Error, OverflowError, ValueError) as error:
        raise Refused from error


async def enqueue(engine: SqliteEngine, new: Sequence[NewTask]) -> None:
    """See ``QueueStore.enqueue``."""
    await engine.run_write(partial(_insert_tasks, new=new, positions=engine.positions))


def _write(
    connection: sqlite3.Connection, worker: int, batch: Sequence[Completion], positions: PositionClock
) -> set[int]:
    mine = [completion for completion in batch if _let_go(connection, worker, completion)]
    for part, statement, bound in _INSERTS:
        rows = [part.values(row) for completion in mine for row in part.rows(completion.records)]
        if rows:
            connection.executemany(statement, map(bound, rows))
    _insert_tasks(connection, [task for completion in mine for task in completion.records.tasks], positions)
    return {completion.task.id for completion in mine}


def _let_go(connection: sqlite3.Connection, worker: int, completion: Completion) -> bool:
    """End or change the task; False when it is no longer this worker's."""
    if is_end(completion):
        cursor = connection.execute(_END, (completion.task.id, completion.task.fence, worker))
    else:
        number, fence, state, delay, attempt, has_progressed, lane, kind, ref, target, detail, signals = (
            change_of(completion)
        )
        delay_us = None if delay is None else round(delay.total_seconds() * 1_000_000)
        ref_bytes = None if ref is None else ref.bytes
        change = (state, delay_us, attempt, has_progressed, lane, kind, ref_bytes, target, detail)
        cursor = connection.execute(_CHANGE, (*change, number, fence, worker, signals))
    return cursor.rowcount == 1


def _insert_tasks(connection: sqlite3.Connection, new: Sequence[NewTask], positions: PositionClock) -> None:
    if new:
        connection.executemany(_NEW_TASK, [_BIND_TASK(task_row(task, positions)) for task in new])


def _insert(table: str, columns: Iterable[Column[Any]], on_conflict: str = "") -> str:
    names = [column.name for column in columns]
    places = ", ".join("?" * len(names))
    return f"INSERT INTO {SCHEMA}_{table} AS old ({', '.join(names)}) VALUES ({places}) {on_conflict}"  # noqa: S608 - names


def _binder(columns: Sequence[Column[Any]]) -> Callable[[Row], Row]:
    """Turn the values of such columns into what SQLite stores."""
    converters = [_CONVERTERS.get(type(column.type)) for column in columns]

    def bound(row: Row) -> Row:
        return tuple(
            value if value is None or convert is None else convert(value)
            for convert, value in zip(converters, row, strict=True)
        )

    return bound


def _to_bytes(identifier: UUID) -> bytes:
    return identifier.bytes


_CONVERTERS: dict[type, Callable[[Any], Any]] = {Id: _to_bytes, Instant: to_microseconds}
_INSERTS: list[tuple[Part, str, Callable[[Row], Row]]] = [
    (part, _insert(part.table.name, part.columns, part.on_conflict), _binder(part.columns)) for part in PARTS
]
_NEW_TASK = _insert(tasks.name, TASK_COLUMNS)
_BIND_TASK = _binder(TASK_COLUMNS)
