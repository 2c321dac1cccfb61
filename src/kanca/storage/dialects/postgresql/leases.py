"""Workers and their leases: who holds tasks, for how long, and what happens to those of the dead.

Whoever takes tasks away from a worker deletes its row first. Claims and finishes lock that row, so they are either done
before, or find that the worker is gone.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from kanca.domain.task import DELIVERY_CRASHES, LONGEST_LEASE, SUSPECT_CRASHES, SUSPECT_LANE, TaskKind
from kanca.storage.dialects.postgresql.claim import TASK, task_of
from kanca.storage.dialects.postgresql.engine import PostgresEngine
from kanca.storage.instances import Description, described
from kanca.storage.ports import Rescued

_REGISTER = """
INSERT INTO kanca.workers (
    hostname, pid, app, concurrency, started_at, expires_at, version, revision, state, connections, clock_ahead_ms
)
SELECT $1, $2, $3, $4, now, now + $5, $6, $7, $8, $9, $10 FROM (SELECT kanca.now() AS now) AS clock
RETURNING id
"""
_HEARTBEAT = """
UPDATE kanca.workers SET expires_at = (SELECT kanca.now()) + $2, active = $3 WHERE id = $1 RETURNING id
"""
_EXPIRE = "UPDATE kanca.workers SET expires_at = LEAST(expires_at, (SELECT kanca.now())) WHERE id = $1"
_LEAVE = "DELETE FROM kanca.workers WHERE id = $1"
_RETURN = """
WITH returned AS (
    UPDATE kanca.tasks SET state = 0, worker = NULL WHERE state = 1 AND worker = $1 RETURNING id
)
SELECT count(*) FROM returned
"""

# A claim whose answer was lost may still be at it: it has locked the worker's row.
_AWAIT_CLAIM = "SELECT 1 FROM kanca.workers WHERE id = $1 FOR UPDATE"
_PUT_BACK = f"""
WITH returned AS (
    UPDATE kanca.tasks SET state = 0, worker = NULL
    WHERE state = 1 AND worker = $1 AND id <> ALL ($2::bigint[]) AND (kind = {TaskKind.DELIVER:d}) = $3 RETURNING id
)
SELECT count(*) FROM returned
"""  # noqa: S608 - a constant

# No lease is that long: the database's clock was set back. Who lives extends its own anyway.
_SHORTEN = """
UPDATE kanca.workers SET expires_at = (SELECT kanca.now()) + $2
WHERE expires_at > (SELECT kanca.now()) + $2 AND id <> $1
"""
_CLEAR_AWAY = """
DELETE FROM kanca.workers WHERE id IN (
    SELECT id FROM kanca.workers
    WHERE expires_at <= (SELECT kanca.now()) AND id <> $1
    AND EXISTS (SELECT 1 FROM kanca.workers WHERE id = $1)
    ORDER BY id FOR UPDATE SKIP LOCKED
)
RETURNING id
"""
# No index knows who holds a task: claims would pay for it all the time, and this is rare.
_SPARED = f"CASE WHEN t.kind = {TaskKind.DELIVER:d} THEN {DELIVERY_CRASHES - SUSPECT_CRASHES} ELSE 0 END"
_RESCUE = f"""
UPDATE kanca.tasks AS t
SET crashes = t.crashes + 1,
    lane = CASE WHEN t.crashes + 1 >= {SUSPECT_CRASHES} + {_SPARED} THEN {SUSPECT_LANE} ELSE t.lane END,
    state = CASE WHEN t.crashes + 1 >= $3 + {_SPARED} THEN 1 ELSE 0 END,
    worker = CASE WHEN t.crashes + 1 >= $3 + {_SPARED} THEN $1::int END,
    fence = t.fence + CASE WHEN t.crashes + 1 >= $3 + {_SPARED} THEN 1 ELSE 0 END
WHERE t.state = 1 AND t.worker = ANY ($2::int[])
RETURNING {TASK}, t.state
"""  # noqa: S608 - made of constants


async def register(
    engine: PostgresEngine,
    hostname: str,
    pid: int,
    app: str | None,
    concurrency: int,
    lease: timedelta,
    description: Description | None = None,
) -> int:
    """See ``QueueStore.register``."""
    async with engine.connection() as connection:
        said = described(description)
        return int(await connection.fetchval(_REGISTER, hostname, pid, app, concurrency, lease, *said))


async def heartbeat(engine: PostgresEngine, worker: int, lease: timedelta, active: int) -> bool:
    """See ``QueueStore.heartbeat``."""
    async with engine.connection() as connection:
        return await connection.fetchval(_HEARTBEAT, worker, lease, active) is not None


async def expire(engine: PostgresEngine, worker: int) -> None:
    """See ``QueueStore.expire``."""
    async with engine.connection() as connection:
        await connection.execute(_EXPIRE, worker)


async def leave(engine: PostgresEngine, worker: int) -> int:
    """See ``QueueStore.leave``."""
    async with engine.transaction() as connection:
        await connection.execute(_LEAVE, worker)
        return int(await connection.fetchval(_RETURN, worker))


async def put_back(engine: PostgresEngine, worker: int, held: Collection[int], *, deliveries: bool) -> int:
    """See ``QueueStore.put_back``."""
    async with engine.transaction() as connection:
        await connection.execute(_AWAIT_CLAIM, worker)
        return int(await connection.fetchval(_PUT_BACK, worker, list(held), deliveries))


async def rescue(engine: PostgresEngine, rescuer: int, max_crashes: int) -> Rescued:
    """See ``QueueStore.rescue``."""
    async with engine.transaction() as connection:
        await connection.execute(_SHORTEN, rescuer, LONGEST_LEASE)
        dead = [number for (number,) in await connection.fetch(_CLEAR_AWAY, rescuer)]
        rows = await connection.fetch(_RESCUE, rescuer, dead, max_crashes) if dead else []
    lost = tuple(task_of(row) for row in rows if row["state"] == 1)
    return Rescued(len(rows) - len(lost), lost)
