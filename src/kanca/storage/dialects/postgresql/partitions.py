"""A partition a day for the large tables, by the UUIDv7 in front of them.

Partitions are made aside (``LIKE``) and attached, and detached concurrently before they are dropped, for neither waits
for open readers, nor lets inserts wait behind itself. There is no default partition: attaching would have to scan it,
and detaching concurrently would be impossible. The partition that an insert misses is made when it misses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import asyncpg
from sqlalchemy.exc import DBAPIError

from kanca.domain.ids import time_of
from kanca.storage.dialects.postgresql.engine import PostgresEngine
from kanca.storage.tables import PARTITIONED

_LOCK = 0x6B616E6361_01
"""Held by whoever makes partitions, so that two never make the same one. ``kanca`` in ASCII, and a number."""

# Bodies of a few kilobytes stay in the row and uncompressed: compressing costs PostgreSQL more than all the rest of
# accepting (194 against 75 µs for 6 kB), for 1.8 times the disk.
_OPTIONS = "toast_tuple_target = 8160"

_NAME = re.compile(rf"({'|'.join(table.name for table in PARTITIONED)})_p(\d{{8}})")

_IDENTIFIER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_STORED = """
    SELECT c.relname, p.relname IS NOT NULL, coalesce(i.inhdetachpending, false)
    FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
    WHERE c.relnamespace = 'kanca'::regnamespace AND c.relkind = 'r'
"""


@dataclass(frozen=True, slots=True)
class Partition:
    """A table that is, or was, a day of a larger one."""

    table: str
    day: date
    is_attached: bool
    """False: it was detached and is still to be dropped."""
    is_half_detached: bool
    """Detaching it was interrupted."""

    @property
    def name(self) -> str:
        """What it is called."""
        return partition_name(self.table, self.day)


def misses_partition(error: asyncpg.PostgresError) -> bool:
    """Whether a row had no partition to go to. The server's words for it may be in any language, so they are not read.

    A constraint that is violated has a name; this has none.
    """
    return isinstance(error, asyncpg.CheckViolationError) and not getattr(error, "constraint_name", None)


def missing_day(error: DBAPIError) -> date | None:
    """The day whose partition an insert missed, by the row that the error names; None for any other error."""
    cause = None if error.orig is None else error.orig.__cause__
    if not isinstance(cause, asyncpg.PostgresError) or not misses_partition(cause):
        return None
    named = _IDENTIFIER.search(getattr(cause, "detail", None) or "")
    return None if named is None else time_of(UUID(named[0])).date()


def day_bounds(day: date) -> tuple[UUID, UUID]:
    """Give the smallest id of a day, and the smallest of the next."""
    begin = datetime.combine(day, time(), UTC)
    return _lowest_id(begin), _lowest_id(begin + timedelta(days=1))


def partition_name(table: str, day: date) -> str:
    """``events_p20260131``."""
    return f"{table}_p{day:%Y%m%d}"


async def make_partitions(engine: PostgresEngine, days: Iterable[date]) -> int:
    """Make the partitions of ``days`` that are missing; gives how many. Raises DatabaseUnavailable."""
    wanted = sorted((table.name, day) for table in PARTITIONED for day in set(days))
    async with engine.transaction() as connection:
        present = {each.name for each in await stored_partitions(connection)}
        if all(partition_name(*each) in present for each in wanted):
            return 0
        await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        present = {each.name for each in await stored_partitions(connection)}
        missing = [each for each in wanted if partition_name(*each) not in present]
        for table, day in missing:
            await connection.execute(_creation(table, day))
    return len(missing)


async def stored_partitions(connection: asyncpg.Connection) -> list[Partition]:
    """Find every day of every partitioned table."""
    return [
        Partition(match[1], date.fromisoformat(match[2]), is_attached, is_pending)
        for name, is_attached, is_pending in await connection.fetch(_STORED)
        if (match := _NAME.fullmatch(name))
    ]


async def drop_partition(connection: asyncpg.Connection, partition: Partition) -> None:
    """Detach and drop a day. Nobody waits for it; it waits for readers that began before, as long as statements may.

    What was interrupted half-way is finished. The connection must not be in a transaction.
    """
    if partition.is_attached:
        how = "FINALIZE" if partition.is_half_detached else "CONCURRENTLY"
        await connection.execute(
            f"ALTER TABLE kanca.{partition.table} DETACH PARTITION kanca.{partition.name} {how}"
        )
    await connection.execute(f"DROP TABLE kanca.{partition.name}")


def _lowest_id(moment: datetime) -> UUID:
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def _creation(table: str, day: date) -> str:
    name = partition_name(table, day)
    begin, end = day_bounds(day)
    return f"""
        CREATE TABLE kanca.{name} (LIKE kanca.{table} INCLUDING ALL) WITH ({_OPTIONS});
        ALTER TABLE kanca.{table} ATTACH PARTITION kanca.{name} FOR VALUES FROM ('{begin}') TO ('{end}')
    """
