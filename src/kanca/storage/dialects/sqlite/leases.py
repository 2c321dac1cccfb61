"""Workers and their leases on SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from datetime import timedelta
from functools import partial

from kanca.domain.task import DELIVERY_CRASHES, LONGEST_LEASE, SUSPECT_CRASHES, SUSPECT_LANE, TaskKind
from kanca.storage.dialects.sqlite.claim import TASK, task_of
from kanca.storage.dialects.sqlite.engine import SqliteEngine
from kanca.storage.instances import Description, described
from kanca.storage.ports import Rescued

_REGISTER = """
INSERT INTO kanca_workers (
    hostname, pid, app, concurrency, started_at, expires_at, version, revision, state, connections, clock_ahead_ms
)
VALUES (?, ?, ?, ?, kanca_now(), kanca_now() + ?, ?, ?, ?, ?, ?)
RETURNING id
"""
_HEARTBEAT = "UPDATE kanca_workers SET expires_at = kanca_now() + ?, active = ? WHERE id = ?"
_EXPIRE = "UPDATE kanca_workers SET expires_at = min(expires_at, kanca_now()) WHERE id = ?"
_LEAVE = "DELETE FROM kanca_workers WHERE id = ?"
_RETURN = "UPDATE kanca_tasks SET state = 0, worker = NULL WHERE state = 1 AND worker = ?"
_PUT_BACK = f"""
UPDATE kanca_tasks SET state = 0, worker = NULL
WHERE state = 1 AND worker = ? AND id NOT IN (SELECT value FROM json_each(?)) AND (kind = {TaskKind.DELIVER:d}) = ?
"""  # noqa: S608 - a constant

_IS_KNOWN = "SELECT 1 FROM kanca_workers WHERE id = ?"
_IS_ANY_DEAD = """
SELECT 1 FROM kanca_workers WHERE (expires_at <= kanca_now() OR expires_at > kanca_now() + ?2) AND id <> ?1 LIMIT 1
"""
# No lease is that long: the database's clock was set back. Who lives extends its own anyway.
_SHORTEN = """
UPDATE kanca_workers SET expires_at = kanca_now() + ?2 WHERE expires_at > kanca_now() + ?2 AND id <> ?1
"""
_CLEAR_AWAY = "DELETE FROM kanca_workers WHERE expires_at <= kanca_now() AND id <> ? RETURNING id"
_SPARED = f"CASE WHEN kind = {TaskKind.DELIVER:d} THEN {DELIVERY_CRASHES - SUSPECT_CRASHES} ELSE 0 END"
_RESCUE = f"""
UPDATE kanca_tasks
SET crashes = crashes + 1,
    lane = CASE WHEN crashes + 1 >= {SUSPECT_CRASHES} + {_SPARED} THEN {SUSPECT_LANE} ELSE lane END,
    state = CASE WHEN crashes + 1 >= ?3 + {_SPARED} THEN 1 ELSE 0 END,
    worker = CASE WHEN crashes + 1 >= ?3 + {_SPARED} THEN ?1 END,
    fence = fence + CASE WHEN crashes + 1 >= ?3 + {_SPARED} THEN 1 ELSE 0 END
WHERE state = 1 AND worker = ?2
RETURNING {TASK}, state
"""  # noqa: S608 - made of constants


async def register(
    engine: SqliteEngine,
    hostname: str,
    pid: int,
    app: str | None,
    concurrency: int,
    lease: timedelta,
    description: Description | None = None,
) -> int:
    """See ``QueueStore.register``."""

    def enter(connection: sqlite3.Connection) -> int:
        said = described(description)
        row = connection.execute(_REGISTER, (hostname, pid, app, concurrency, _us(lease), *said)).fetchall()
        return int(row[0][0])

    return await engine.run_write(enter)


async def heartbeat(engine: SqliteEngine, worker: int, lease: timedelta, active: int) -> bool:
    """See ``QueueStore.heartbeat``."""

    def extend(connection: sqlite3.Connection) -> bool:
        return connection.execute(_HEARTBEAT, (_us(lease), active, worker)).rowcount == 1

    return await engine.run_write(extend)


async def expire(engine: SqliteEngine, worker: int) -> None:
    """See ``QueueStore.expire``."""
    await engine.run_write(lambda connection: connection.execute(_EXPIRE, (worker,)))


async def leave(engine: SqliteEngine, worker: int) -> int:
    """See ``QueueStore.leave``."""

    def sign_off(connection: sqlite3.Connection) -> int:
        connection.execute(_LEAVE, (worker,))
        return connection.execute(_RETURN, (worker,)).rowcount

    return await engine.run_write(sign_off)


async def put_back(engine: SqliteEngine, worker: int, held: Collection[int], *, deliveries: bool) -> int:
    """See ``QueueStore.put_back``. A claim whose answer was lost is over: its thread writes one thing at a time."""
    return await engine.run_write(
        lambda connection: (
            connection.execute(_PUT_BACK, (worker, json.dumps(list(held)), deliveries)).rowcount
        )
    )


async def rescue(engine: SqliteEngine, rescuer: int, max_crashes: int) -> Rescued:
    """See ``QueueStore.rescue``."""
    # Looking first keeps the file's one lock free: hardly ever is anybody dead.
    asked = (rescuer, _us(LONGEST_LEASE))
    if not await engine.run_read(lambda connection: connection.execute(_IS_ANY_DEAD, asked).fetchall()):
        return Rescued(0, ())
    return await engine.run_write(partial(_rescue, rescuer=rescuer, max_crashes=max_crashes))


def _rescue(connection: sqlite3.Connection, rescuer: int, max_crashes: int) -> Rescued:
    if connection.execute(_IS_KNOWN, (rescuer,)).fetchone() is None:
        return Rescued(0, ())
    connection.execute(_SHORTEN, (rescuer, _us(LONGEST_LEASE)))
    rows = []
    for (dead,) in connection.execute(_CLEAR_AWAY, (rescuer,)).fetchall():
        rows += connection.execute(_RESCUE, (rescuer, dead, max_crashes)).fetchall()
    lost = tuple(task_of(row) for row in rows if row[10] == 1)
    return Rescued(len(rows) - len(lost), lost)


def _us(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1_000_000)
