"""Making tasks ready that waited: for a time, for their turn, or for their endpoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import asyncpg

from kanca.domain.task import TaskKind
from kanca.storage.dialects.postgresql.engine import PostgresEngine
from kanca.storage.ports import Promoted

_LOOK = """
SELECT (SELECT due_at FROM kanca.tasks WHERE state = 2 ORDER BY due_at LIMIT 1) - kanca.now() AS due_in,
       EXISTS (SELECT 1 FROM kanca.tasks WHERE state = 3 AND order_key IS NOT NULL) AS is_waited
"""
_DUE = """
SELECT ctid, kind, target FROM kanca.tasks
WHERE state = 2 AND due_at <= (SELECT kanca.now())
ORDER BY due_at LIMIT $1
FOR UPDATE SKIP LOCKED
"""

# The first waiting task of every order key, where none of that key has its turn. `key` jumps from key to key in the
# index, whatever number of tasks waits behind each.
# An earlier event may not have been dispatched yet, so while a dispatch of the same endpoint is open, no later event's
# task is let go. Dispatches have no index by event (accepting would pay for it), so all open tasks are read, once, and
# only when somebody waits.
# What is found is right for the statement's snapshot, and stays right while nobody else gives turns (`_LOCK_GIVING`):
# a task that had its turn then may have ended meanwhile, and an event that was not accepted then comes later.
_TURNS = f"""
WITH RECURSIVE key (target, order_key) AS (
    (
        SELECT target, order_key FROM kanca.tasks
        WHERE state = 3 AND order_key IS NOT NULL ORDER BY target, order_key LIMIT 1
    )
    UNION ALL
    SELECT following.target, following.order_key FROM key CROSS JOIN LATERAL (
        SELECT t.target, t.order_key FROM kanca.tasks AS t
        WHERE t.state = 3 AND t.order_key IS NOT NULL AND (t.target, t.order_key) > (key.target, key.order_key)
        ORDER BY t.target, t.order_key LIMIT 1
    ) AS following
), head AS MATERIALIZED (
    SELECT first.id, first.ref, (SELECT e.endpoint FROM kanca.events AS e WHERE e.id = first.ref) AS endpoint
    FROM key CROSS JOIN LATERAL (
        SELECT t.id, t.ref, t.due_at FROM kanca.tasks AS t
        WHERE t.state = 3 AND t.target = key.target AND t.order_key = key.order_key
        ORDER BY t.ref, t.id LIMIT 1
    ) AS first
    WHERE (first.due_at IS NULL OR first.due_at <= (SELECT kanca.now()))
    AND NOT EXISTS (
        SELECT 1 FROM kanca.tasks AS t
        WHERE t.state <> 3 AND t.order_key IS NOT NULL AND t.target = key.target AND t.order_key = key.order_key
    )
), undispatched AS MATERIALIZED (
    SELECT t.target AS endpoint, min(t.ref::text COLLATE "C")::uuid AS ref FROM kanca.tasks AS t
    WHERE t.kind = {TaskKind.DISPATCH:d} AND t.state IN (0, 1, 2) AND t.target IN (SELECT head.endpoint FROM head)
    GROUP BY t.target
)
SELECT head.id FROM head LEFT JOIN undispatched USING (endpoint)
WHERE undispatched.ref IS NULL OR undispatched.ref >= head.ref
LIMIT $1
"""  # noqa: S608 - made of constants
# An older event's task may come at any time (a dead letter is retried). Two who look before and after it find different
# tasks of its key, and would give both of them a turn. So one gives turns at a time, from its look to its commit.
# (`kanca` in ASCII, and a number.)
_LOCK_GIVING = f"SELECT pg_advisory_xact_lock({0x6B616E6361_04})"
_LOCK_TURNS = """
SELECT ctid, kind, target FROM kanca.tasks WHERE id = ANY ($1::bigint[]) AND state = 3 FOR UPDATE SKIP LOCKED
"""

_READY = """
UPDATE kanca.tasks AS t SET state = 0, due_at = NULL, position = g.position
FROM unnest($1::tid[], $2::bigint[]) AS g (tid, position) WHERE t.ctid = g.tid
"""
_PARKED = """
SELECT ctid, kind, target FROM kanca.tasks
WHERE state = 3 AND order_key IS NULL AND kind = $1 AND target = $2
ORDER BY position LIMIT $3
FOR UPDATE SKIP LOCKED
"""
_PARKED_OF_EACH = """
SELECT first.ctid, first.kind, first.target FROM unnest($2::int[], $3::int[]) AS wanted (target, most)
CROSS JOIN LATERAL (
    SELECT ctid, kind, target FROM kanca.tasks
    WHERE state = 3 AND order_key IS NULL AND kind = $1 AND target = wanted.target
    ORDER BY position LIMIT wanted.most
    FOR UPDATE SKIP LOCKED
) AS first
"""
UNPARK_BATCH = 5_000


async def promote(engine: PostgresEngine, limit: int) -> Promoted:
    """See ``QueueStore.promote``."""
    async with engine.connection() as connection:
        due_in, is_waited = await connection.fetchrow(_LOOK)
    moved = 0
    if due_in is not None and due_in.total_seconds() <= 0:
        async with engine.transaction() as connection:
            moved += await _make_ready(engine, connection, await connection.fetch(_DUE, limit))
    if is_waited:
        moved += await _give_turns(engine, limit)
    if moved:
        async with engine.connection() as connection:
            due_in, is_waited = await connection.fetchrow(_LOOK)
    return Promoted(moved, is_waited, due_in)


async def unpark(engine: PostgresEngine, kind: TaskKind, target: int) -> int:
    """See ``QueueStore.unpark``."""
    moved = 0
    while True:
        async with engine.transaction() as connection:
            rows = await connection.fetch(_PARKED, kind, target, UNPARK_BATCH)
            moved += await _make_ready(engine, connection, rows)
        if len(rows) < UNPARK_BATCH:
            return moved


async def unpark_some(engine: PostgresEngine, kind: TaskKind, wanted: Mapping[int, int]) -> dict[int, int]:
    """See ``QueueStore.unpark_some``."""
    async with engine.transaction() as connection:
        rows = await connection.fetch(_PARKED_OF_EACH, kind, list(wanted), list(wanted.values()))
        await _make_ready(engine, connection, rows)
    return dict(Counter(row["target"] for row in rows))


async def _give_turns(engine: PostgresEngine, limit: int) -> int:
    async with engine.transaction() as connection:
        await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        await connection.execute(_LOCK_GIVING)
        turns = [number for (number,) in await connection.fetch(_TURNS, limit)]
        rows = await connection.fetch(_LOCK_TURNS, turns) if turns else []
        return await _make_ready(engine, connection, rows)


async def _make_ready(
    engine: PostgresEngine, connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]
) -> int:
    if rows:
        positions = [engine.positions.next(TaskKind(kind), target) for _, kind, target in rows]
        await connection.execute(_READY, [row["ctid"] for row in rows], positions)
    return len(rows)
