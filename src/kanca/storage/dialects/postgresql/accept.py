"""Accepting on PostgreSQL: one statement takes the keys, stores the events and their tasks, and commits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg

from kanca.domain.event import Accepted, Appended, Duplicate, NewEvent
from kanca.domain.ids import time_of
from kanca.domain.positions import PositionClock
from kanca.domain.task import TaskKind, TaskState, lane_of
from kanca.errors import DatabaseUnavailable
from kanca.storage.dialects.postgresql.engine import TRIES, PostgresEngine
from kanca.storage.dialects.postgresql.failures import sqlstate_of
from kanca.storage.dialects.postgresql.partitions import make_partitions, misses_partition
from kanca.storage.halving import Refused

# Keys go in sorted: two batches that share keys then wait for each other instead of locking each other out.
# `taken` holds the events whose key was free or over; what the second statement finds for the rest, it finds with a
# fresh snapshot, in which the batch that was waited for has committed.
_STORE = f"""
WITH taken AS (
    INSERT INTO kanca.dedupe AS held (key, event_id, expires_at)
    SELECT key, id, until FROM unnest($11::uuid[], $1::uuid[], $12::timestamptz[]) AS new (key, id, until)
    WHERE key IS NOT NULL ORDER BY key
    ON CONFLICT (key) DO UPDATE SET event_id = excluded.event_id, expires_at = excluded.expires_at
        WHERE held.expires_at <= (SELECT kanca.now())
    RETURNING event_id
), stored AS (
    INSERT INTO kanca.events (id, endpoint, tenant, type, received_at, source_event_id, correlation_id, request, body,
                              replay_of)
    SELECT id, endpoint, tenant, type, received_at, source_event_id, correlation_id, request, body, replay_of
    FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::bytea[],
                $9::bytea[], $10::uuid[], $11::uuid[])
        AS new (id, endpoint, tenant, type, received_at, source_event_id, correlation_id, request, body, replay_of, key)
    WHERE key IS NULL OR id IN (SELECT event_id FROM taken)
)
INSERT INTO kanca.tasks (kind, state, lane, target, position, ref)
SELECT {TaskKind.DISPATCH:d}, {TaskState.READY:d}, lane, endpoint, position, id
FROM unnest($1::uuid[], $2::int[], $11::uuid[], $13::smallint[], $14::bigint[])
    AS new (id, endpoint, key, lane, position)
WHERE key IS NULL OR id IN (SELECT event_id FROM taken)
RETURNING ref
"""  # noqa: S608  numbers of our own
_ORIGINALS = "SELECT key, event_id FROM kanca.dedupe WHERE key = ANY($1::uuid[])"

# Data that do not fit, constraints, limits.
_REFUSALS = ("22", "23", "54")


async def store(engine: PostgresEngine, events: Sequence[NewEvent]) -> list[Appended]:
    """Store events of distinct dedupe keys (see ``storage.appending.Store``)."""
    for _ in range(TRIES):
        columns = _columns(events, engine.positions)
        try:
            answers = await engine.run_hot(lambda connection: _store(connection, events, columns))  # noqa: B023  awaited here
        except asyncpg.CheckViolationError as error:
            if not misses_partition(error):
                raise Refused from error
            await make_partitions(engine, {time_of(event.id).date() for event in events})
            continue
        except (asyncpg.PostgresError, ValueError) as error:
            if isinstance(error, asyncpg.UniqueViolationError) and len(events) == 1:
                return [Accepted()]  # it was stored before, and the answer was lost
            if isinstance(error, ValueError) or sqlstate_of(error).startswith(_REFUSALS):
                raise Refused from error
            raise
        if answers is not None:
            return answers
    raise DatabaseUnavailable("The events could not be stored, try after try")


async def _store(
    connection: asyncpg.Connection, events: Sequence[NewEvent], columns: Sequence[list[Any]]
) -> list[Appended] | None:
    """Give the answers, or None to try again: when an original went away meanwhile, its window being over."""
    accepted = {ref for (ref,) in await connection.fetch(_STORE, *columns)}
    if len(accepted) == len(events):
        return [Accepted()] * len(events)
    keys = [event.dedupe_key for event in events if event.id not in accepted]
    originals: dict[UUID | None, UUID] = dict(await connection.fetch(_ORIGINALS, keys))
    answers: list[Appended] = []
    for event in events:
        if event.id in accepted:
            answers.append(Accepted())
            continue
        original = originals.get(event.dedupe_key)
        if original is None:
            return None
        # Its own id: the batch was stored before, and the answer was lost.
        answers.append(Accepted() if original == event.id else Duplicate(original))
    return answers


def _columns(events: Sequence[NewEvent], positions: PositionClock) -> tuple[list[Any], ...]:
    kind = TaskKind.DISPATCH
    rows = [
        (
            event.id,
            event.endpoint,
            event.tenant,
            event.type,
            event.received_at,
            event.source_event_id,
            event.correlation_id,
            event.request,
            event.body,
            event.replay_of,
            event.dedupe_key,
            event.dedupe_until,
            lane_of(kind, event.endpoint),
            positions.next(kind, event.endpoint),
        )
        for event in events
    ]
    return tuple(map(list, zip(*rows, strict=True)))
