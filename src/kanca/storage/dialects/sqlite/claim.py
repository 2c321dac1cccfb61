"""Claiming on SQLite: one writer at a time, so nothing needs to be locked or skipped.

Rows that are gone leave nothing behind in the index; the floors of the lanes only spare a claim what it passed before
because this worker cannot do it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from kanca.domain.task import SUSPECT_LANE, Task, TaskKind
from kanca.storage.dialects.sqlite.engine import SqliteEngine
from kanca.storage.ports import Capabilities, LaneAsk

TASK = "id, kind, ref, target, detail, order_key, attempt, crashes, fence, signals"
"""What ``task_of`` reads."""

_IS_ALIVE = "SELECT 1 FROM kanca_workers WHERE id = ? AND expires_at > kanca_now()"
# From each lane that has something straight to the next.
_READY_LANES = """
WITH RECURSIVE ready (lane) AS (
    SELECT min(lane) FROM kanca_tasks WHERE state = 0
    UNION ALL
    SELECT (SELECT min(lane) FROM kanca_tasks WHERE state = 0 AND lane > ready.lane) FROM ready
    WHERE ready.lane IS NOT NULL
)
SELECT lane FROM ready WHERE lane IS NOT NULL
"""
# A kind that is named may only be claimed for the targets that are named with it; some targets are left to others.
_CAN = """
(kind NOT IN (SELECT value FROM json_each(?)) OR (kind << 32 | target) IN (SELECT value FROM json_each(?)))
AND (kind << 32 | target) NOT IN (SELECT value FROM json_each(?))
"""
_FIND = f"""
SELECT {TASK}, position FROM kanca_tasks WHERE state = 0 AND lane = ? AND position >= ? AND {_CAN}
ORDER BY position LIMIT ?
"""  # noqa: S608 - made of this module's constants
_TAKE = "UPDATE kanca_tasks SET state = 1, worker = ?, fence = fence + 1 WHERE id = ?"


async def claim(
    engine: SqliteEngine, worker: int, limit: int, capabilities: Capabilities, asks: Sequence[LaneAsk]
) -> list[tuple[Task, int]]:
    """See ``QueueStore.claim``."""
    # Looking first keeps an idle worker from taking the file's one lock for nothing.
    if not await engine.run_read(partial(_ready_lanes, asks=asks)):
        return []
    return await engine.run_write(
        partial(_claim, worker=worker, limit=limit, capabilities=capabilities, asks=asks)
    )


async def has_suspects(engine: SqliteEngine, capabilities: Capabilities) -> bool:
    """See ``QueueStore.has_suspects``."""

    def look(connection: sqlite3.Connection) -> bool:
        return (
            connection.execute(_FIND, (SUSPECT_LANE, 0, *_restrictions(capabilities), 1)).fetchone()
            is not None
        )

    return await engine.run_read(look)


def task_of(row: Sequence[Any], claims: int = 0) -> Task:
    """The task in a row that begins with the columns ``TASK``, after so many more ``claims``."""
    number, kind, ref, target, detail, order_key, attempt, crashes, fence, signals, *_ = row
    return Task(
        number,
        TaskKind(kind),
        UUID(bytes=ref),
        target,
        detail,
        order_key,
        attempt,
        crashes,
        fence + claims,
        signals,
    )


def _claim(
    connection: sqlite3.Connection,
    worker: int,
    limit: int,
    capabilities: Capabilities,
    asks: Sequence[LaneAsk],
) -> list[tuple[Task, int]]:
    if connection.execute(_IS_ALIVE, (worker,)).fetchone() is None:
        return []
    can = _restrictions(capabilities)
    found: list[Any] = []
    for ask in _ready_lanes(connection, asks):
        share = min(ask.share, limit - len(found))
        if share <= 0:
            break
        found += connection.execute(_FIND, (ask.lane, ask.floor, *can, share)).fetchall()
    connection.executemany(_TAKE, [(worker, row[0]) for row in found])
    return [(task_of(row, claims=1), row[10]) for row in found]


def _ready_lanes(connection: sqlite3.Connection, asks: Sequence[LaneAsk]) -> list[LaneAsk]:
    """The asks, in their order, of lanes that have ready tasks."""
    lanes = {lane for (lane,) in connection.execute(_READY_LANES)}
    return [ask for ask in asks if ask.lane in lanes]


def _restrictions(capabilities: Capabilities) -> tuple[str, str, str]:
    restricted = capabilities.targets
    return json.dumps(list(restricted)), _packed(restricted), _packed(capabilities.others)


def _packed(targets: Mapping[TaskKind, frozenset[int]]) -> str:
    return json.dumps([kind << 32 | target for kind, numbers in targets.items() for target in numbers])
