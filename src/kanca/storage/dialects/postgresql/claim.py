"""Claiming: the statement that every worker runs all the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from kanca.domain.task import SUSPECT_LANE, Task, TaskKind
from kanca.storage.dialects.postgresql.engine import PostgresEngine
from kanca.storage.ports import Capabilities, LaneAsk

TASK = "t.id, t.kind, t.ref, t.target, t.detail, t.order_key, t.attempt, t.crashes, t.fence, t.signals"
"""What ``task_of`` reads."""

# A kind that is named may only be claimed for the targets that are named with it; some targets are left to others.
_CAN = """
(kind <> ALL ($2::smallint[]) OR (kind::bigint << 32 | target) = ANY ($3::bigint[]))
AND (kind::bigint << 32 | target) <> ALL ($4::bigint[])
"""

# The worker's row is locked, here and in `finish`; `rescue` and `leave` delete it before they touch its tasks. So a
# claim never hands tasks to a worker that is being cleared away, and no two of them ever wait for each other's tasks.
# It is locked only when there is something to claim: a worker that looks in vain would write, and wait for the disk.
# The lanes are asked in order and only until there is enough: nothing is locked that is not claimed.
# Joined by `ctid`, here and elsewhere, because that leaves the planner no second way: by `id`, a plan made for an empty
# table reads the whole index.
CLAIM = f"""
WITH picked AS MATERIALIZED (
    SELECT found.tid
    FROM unnest($5::smallint[], $6::bigint[], $7::int[]) AS ask (lane, floor, share)
    CROSS JOIN LATERAL (
        SELECT ctid AS tid FROM kanca.tasks
        WHERE state = 0 AND lane = ask.lane AND position >= ask.floor AND {_CAN}
        ORDER BY position LIMIT ask.share
        FOR UPDATE SKIP LOCKED
    ) AS found
    LIMIT $8
), worker AS MATERIALIZED (
    SELECT id FROM kanca.workers
    WHERE id = $1 AND expires_at > kanca.now() AND EXISTS (SELECT 1 FROM picked)
    FOR KEY SHARE
)
UPDATE kanca.tasks AS t SET state = 1, worker = worker.id, fence = t.fence + 1
FROM picked, worker WHERE t.ctid = picked.tid
RETURNING {TASK}, t.position
"""  # noqa: S608 - made of this module's constants

_HAS_SUSPECTS = f"""
SELECT EXISTS (SELECT 1 FROM kanca.tasks WHERE state = 0 AND lane = $1 AND {_CAN})
"""  # noqa: S608 - made of this module's constants


async def claim(
    engine: PostgresEngine, worker: int, limit: int, capabilities: Capabilities, asks: Sequence[LaneAsk]
) -> list[tuple[Task, int]]:
    """See ``QueueStore.claim``."""
    async with engine.connection() as connection:
        rows = await connection.fetch(CLAIM, *claim_arguments(worker, limit, capabilities, asks))
    return [(task_of(row), row["position"]) for row in rows]


def claim_arguments(
    worker: int, limit: int, capabilities: Capabilities, asks: Sequence[LaneAsk]
) -> tuple[Any, ...]:
    """The arguments of ``CLAIM``."""
    return (
        worker,
        *_restrictions(capabilities),
        [ask.lane for ask in asks],
        [ask.floor for ask in asks],
        [ask.share for ask in asks],
        limit,
    )


async def has_suspects(engine: PostgresEngine, capabilities: Capabilities) -> bool:
    """See ``QueueStore.has_suspects``."""
    async with engine.connection() as connection:
        return bool(await connection.fetchval(_HAS_SUSPECTS, SUSPECT_LANE, *_restrictions(capabilities)))


def task_of(row: asyncpg.Record) -> Task:
    """The task in a row that begins with the columns ``TASK``."""
    number, kind, ref, target, detail, order_key, attempt, crashes, fence, signals, *_ = row
    return Task(number, TaskKind(kind), ref, target, detail, order_key, attempt, crashes, fence, signals)


def _restrictions(capabilities: Capabilities) -> tuple[list[int], list[int], list[int]]:
    restricted = capabilities.targets
    return list(restricted), _packed(restricted), _packed(capabilities.others)


def _packed(targets: Mapping[TaskKind, frozenset[int]]) -> list[int]:
    return [kind << 32 | target for kind, numbers in targets.items() for target in numbers]
