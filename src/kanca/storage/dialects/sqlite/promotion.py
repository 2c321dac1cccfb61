"""Making tasks ready that waited, on SQLite: for a time, for their turn, or for their endpoint."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from kanca.domain.positions import PositionClock
from kanca.domain.task import TaskKind
from kanca.storage.dialects.sqlite.engine import SqliteEngine
from kanca.storage.ports import Promoted

_LOOK = """
SELECT (SELECT due_at FROM kanca_tasks WHERE state = 2 ORDER BY due_at LIMIT 1) - kanca_now(),
       EXISTS (SELECT 1 FROM kanca_tasks WHERE state = 3 AND order_key IS NOT NULL)
"""
_DUE = """
SELECT id, kind, target FROM kanca_tasks WHERE state = 2 AND due_at <= kanca_now() ORDER BY due_at LIMIT ?
"""
_READY = "UPDATE kanca_tasks SET state = 0, due_at = NULL, position = ? WHERE id = ?"

_NEXT_KEY = """
SELECT target, order_key FROM kanca_tasks
WHERE state = 3 AND order_key IS NOT NULL AND (target, order_key) > (?, ?)
ORDER BY target, order_key LIMIT 1
"""
_HEAD = """
SELECT id, ref, (SELECT endpoint FROM kanca_events AS e WHERE e.id = t.ref), coalesce(due_at, 0) <= kanca_now()
FROM kanca_tasks AS t
WHERE state = 3 AND order_key IS NOT NULL AND target = ?1 AND order_key = ?2
AND NOT EXISTS (
    SELECT 1 FROM kanca_tasks WHERE state <> 3 AND order_key IS NOT NULL AND target = ?1 AND order_key = ?2
)
ORDER BY ref, id LIMIT 1
"""
# Dispatches have no index by event (accepting would pay for it): all open tasks are read, outside of the writer.
_UNDISPATCHED = f"""
SELECT target, min(ref) FROM kanca_tasks
WHERE kind = {TaskKind.DISPATCH:d} AND state IN (0, 1, 2) AND target IN (SELECT value FROM json_each(?))
GROUP BY target
"""  # noqa: S608 - a constant
# Another process may have given a turn to another task of the key since the look: to an older event's, which came
# meanwhile (a dead letter was retried).
_IS_WAITING = """
SELECT id, kind, target FROM kanca_tasks AS t WHERE id = ? AND state = 3
AND NOT EXISTS (
    SELECT 1 FROM kanca_tasks AS o
    WHERE o.state <> 3 AND o.order_key IS NOT NULL AND o.target = t.target AND o.order_key = t.order_key
)
"""

_PARKED = """
SELECT id, kind, target FROM kanca_tasks
WHERE state = 3 AND order_key IS NULL AND kind = ? AND target = ? ORDER BY position LIMIT ?
"""
UNPARK_BATCH = 1_000
_BEFORE_ALL = -(2**63)


async def promote(engine: SqliteEngine, limit: int) -> Promoted:
    """See ``QueueStore.promote``."""
    due_in, is_waited = await engine.run_read(_look)
    moved = 0
    if due_in is not None and due_in.total_seconds() <= 0:
        moved += await engine.run_write(partial(_make_due_ready, positions=engine.positions, limit=limit))
    if is_waited:
        turns = await engine.run_read(partial(_find_turns, limit=limit))
        if turns:
            moved += await engine.run_write(partial(_give_turns, positions=engine.positions, turns=turns))
    if moved:
        due_in, is_waited = await engine.run_read(_look)
    return Promoted(moved, is_waited, due_in)


async def unpark(engine: SqliteEngine, kind: TaskKind, target: int) -> int:
    """See ``QueueStore.unpark``."""

    def unpark_some(connection: sqlite3.Connection) -> int:
        rows = connection.execute(_PARKED, (kind, target, UNPARK_BATCH)).fetchall()
        return _make_ready(connection, engine.positions, rows)

    moved = 0
    while True:
        some = await engine.run_write(unpark_some)
        moved += some
        if some < UNPARK_BATCH:
            return moved


async def unpark_some(engine: SqliteEngine, kind: TaskKind, wanted: Mapping[int, int]) -> dict[int, int]:
    """See ``QueueStore.unpark_some``."""

    def unpark_each(connection: sqlite3.Connection) -> dict[int, int]:
        moved = {}
        for target, most in wanted.items():
            rows = connection.execute(_PARKED, (kind, target, most)).fetchall()
            if rows:
                moved[target] = _make_ready(connection, engine.positions, rows)
        return moved

    return await engine.run_write(unpark_each)


def _look(connection: sqlite3.Connection) -> tuple[timedelta | None, bool]:
    due_in_us, is_waited = connection.execute(_LOOK).fetchone()
    return None if due_in_us is None else timedelta(microseconds=due_in_us), bool(is_waited)


def _make_due_ready(connection: sqlite3.Connection, positions: PositionClock, limit: int) -> int:
    return _make_ready(connection, positions, connection.execute(_DUE, (limit,)).fetchall())


def _find_turns(connection: sqlite3.Connection, limit: int) -> list[int]:
    """The first waiting task of each order key of which none has its turn, once earlier events are dispatched.

    But for what ``_IS_WAITING`` looks at again, what is found stays right while the writer is waited for: a task that
    had its turn may have ended meanwhile, and an event that was not accepted yet comes later.
    """
    heads = []
    key = (_BEFORE_ALL, _BEFORE_ALL)
    while following := connection.execute(_NEXT_KEY, key).fetchone():
        key = following
        for number, ref, endpoint, is_due in connection.execute(_HEAD, key):
            if is_due:
                heads.append((number, ref, endpoint))
    endpoints = json.dumps([endpoint for _, _, endpoint in heads])
    first = dict(connection.execute(_UNDISPATCHED, (endpoints,)).fetchall()) if heads else {}
    turns = [number for number, ref, endpoint in heads if endpoint not in first or first[endpoint] >= ref]
    return turns[:limit]


def _give_turns(connection: sqlite3.Connection, positions: PositionClock, turns: Sequence[int]) -> int:
    rows = [row for number in turns for row in connection.execute(_IS_WAITING, (number,))]
    return _make_ready(connection, positions, rows)


def _make_ready(connection: sqlite3.Connection, positions: PositionClock, rows: Sequence[Any]) -> int:
    connection.executemany(
        _READY, [(positions.next(TaskKind(kind), target), number) for number, kind, target in rows]
    )
    return len(rows)
