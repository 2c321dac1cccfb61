"""Dropping what is older than the retention: whole days, each as a partition."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from datetime import date, datetime, timedelta
from uuid import UUID

import asyncpg

from kanca.domain.ids import id_at
from kanca.domain.status import UNFINISHED_RUNS
from kanca.storage.dialects.postgresql.address import Address
from kanca.storage.dialects.postgresql.failures import translated
from kanca.storage.dialects.postgresql.partitions import (
    Partition,
    day_bounds,
    drop_partition,
    stored_partitions,
)
from kanca.storage.retention import days_to_drop

BATCH_ROWS = 5_000
_STATEMENT_TIMEOUT = timedelta(seconds=60)
_LOCK = 0x6B616E6361_03

_OPEN_RUNS = ", ".join(f"'{status}'" for status in UNFINISHED_RUNS)
_DAY_OF = "floor((('x' || left(replace({}::text, '-', ''), 12))::bit(48)::bigint) / 86400000.0)::int"
"""Days since 1970 of a UUIDv7; the servers' own function for it begins with version 17."""
_UNFINISHED = f"""
    SELECT DISTINCT {_DAY_OF.format("ref")} FROM kanca.tasks WHERE ref < $1
    UNION SELECT DISTINCT {_DAY_OF.format("id")} FROM kanca.runs WHERE id < $1 AND status IN ({_OPEN_RUNS})
    UNION SELECT DISTINCT {_DAY_OF.format("w.event_id")} FROM kanca.waits AS w JOIN kanca.runs AS r ON r.id = w.run_id
        WHERE w.event_id < $1 AND r.status IN ({_OPEN_RUNS})
"""  # noqa: S608 - made of this module's constants

_BY_ID = "DELETE FROM kanca.{0} WHERE id IN (SELECT id FROM kanca.{0} WHERE {1} LIMIT {2})"
_OF_DAY = "id >= $1 AND id < $2"
_LETTERS_OF_DAY = "(event_id >= $1 AND event_id < $2) OR (event_id IS NULL AND ref >= $1 AND ref < $2)"
_BY_KEY = (
    "DELETE FROM kanca.{0} WHERE {1} IN (SELECT {1} FROM kanca.{0} WHERE {1} >= $1 AND {1} < $2 LIMIT {2})"
)
_ANSWERS = f"""
    DELETE FROM kanca.answers WHERE event_id IN (
        SELECT event_id FROM kanca.answers WHERE event_id < $1 LIMIT {BATCH_ROWS}
    )
"""  # noqa: S608 - a number of our own
# From its beginning, which is its oldest part but for moments: so no index by time is needed.
_FEED = f"""
    DELETE FROM kanca.feed WHERE number IN (
        SELECT number FROM (SELECT number, event_id FROM kanca.feed ORDER BY number LIMIT {BATCH_ROWS}) AS first
        WHERE event_id < $1
    )
"""  # noqa: S608 - a number of our own
_DEDUPE = f"""
    DELETE FROM kanca.dedupe WHERE key IN (
        SELECT key FROM kanca.dedupe WHERE expires_at <= (SELECT kanca.now())
        ORDER BY expires_at LIMIT {BATCH_ROWS} FOR UPDATE SKIP LOCKED
    )
"""  # noqa: S608 - a number of our own


async def drop_expired(address: Address, before: datetime, *, keeps_dead_letters: bool = False) -> int:
    """Drop what is older than ``before`` and finished; gives how many partitions and rows.

    On a connection of its own. When somebody else is at it already, that is left to them. Raises DatabaseUnavailable.
    """
    with translated():
        connection = await address.connect(_STATEMENT_TIMEOUT)
        try:
            # A pooler gives every statement another session, in which a lock would stay behind.
            if not address.is_pooled and not await connection.fetchval(
                f"SELECT pg_try_advisory_lock({_LOCK})"
            ):
                return 0
            return await _Dropping(connection, before, keeps_dead_letters=keeps_dead_letters).run()
        finally:
            await connection.close(timeout=5)


class _Dropping:
    def __init__(self, connection: asyncpg.Connection, before: datetime, *, keeps_dead_letters: bool) -> None:
        self._connection = connection
        self._before = before
        self._keeps_dead_letters = keeps_dead_letters
        self._dropped = 0

    async def run(self) -> int:
        await self._delete(_DEDUPE)
        await self._delete(_BY_ID.format("rejections", "id < $1", BATCH_ROWS), id_at(self._before))
        await self._delete(_ANSWERS, id_at(self._before))
        await self._delete(_FEED, id_at(self._before))
        await self._drop_days()
        return self._dropped

    async def _drop_days(self) -> None:
        partitions = {(each.day, each.table): each for each in await stored_partitions(self._connection)}
        stored: dict[str, set[date]] = defaultdict(set)
        for day, table in partitions:
            stored[table].add(day)
        held = await self._held_days()
        cleared: set[date] = set()
        for day, table in days_to_drop(stored, self._before, held):
            if day not in cleared:
                await self._clear(day)
                # Whoever retried a dead letter just before it went has made a task of it.
                held = await self._held_days()
                cleared.add(day)
            if (day, table) in days_to_drop({table: [day]}, self._before, held):
                await self._drop(partitions[day, table])

    async def _held_days(self) -> set[date]:
        bound, _ = day_bounds(self._before.date())
        rows = await self._connection.fetch(_UNFINISHED, bound)
        return {date(1970, 1, 1) + timedelta(days=days) for (days,) in rows}

    async def _clear(self, day: date) -> None:
        """Delete what the day's events and runs leave in tables without partitions."""
        bounds = day_bounds(day)
        if not self._keeps_dead_letters:
            await self._delete(_BY_ID.format("dead_letters", _LETTERS_OF_DAY, BATCH_ROWS), *bounds)
        if day not in await self._held_days():
            # What belongs to runs has their time in its ids.
            await self._delete(_BY_KEY.format("waits", "id", BATCH_ROWS), *bounds)
            await self._delete(_BY_KEY.format("early_events", "event_id", BATCH_ROWS), *bounds)
            await self._delete(_BY_KEY.format("run_slots", "run_id", BATCH_ROWS), *bounds)
            await self._delete(_BY_ID.format("runs", _OF_DAY, BATCH_ROWS), *bounds)

    async def _drop(self, partition: Partition) -> None:
        # A reader that holds it up beyond the limit: the next time goes on from there. Somebody else, behind a pooler,
        # who drops it too: then it is gone.
        with suppress(
            asyncpg.QueryCanceledError,
            asyncpg.LockNotAvailableError,
            asyncpg.ObjectNotInPrerequisiteStateError,
            asyncpg.UndefinedTableError,
            TimeoutError,
        ):
            await drop_partition(self._connection, partition)
            self._dropped += 1

    async def _delete(self, statement: str, *arguments: UUID) -> None:
        while True:
            status = await self._connection.execute(statement, *arguments)
            rows = int(status.rpartition(" ")[2])
            self._dropped += rows
            if rows < BATCH_ROWS:
                return
