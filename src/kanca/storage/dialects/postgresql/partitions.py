"""A partition a day for the large tables, by the UUIDv7 in front of them.

Partitions are made aside (``LIKE``) and attached, and detached concurrently before they are dropped, for neither waits
for open readers, nor lets inserts wait behind itself. There is no default partition: attaching would have to scan it,
and detaching concurrently would be impossible. The partition that an insert misses is made when it misses it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from kanca.domain.ids import id_at
from kanca.storage.dialects.postgresql.engine import PostgresEngine
from kanca.storage.tables import PARTITIONED

_LOCK = 0x6B616E6361_01
"""Held by whoever makes partitions, so that two never make the same one. ``kanca`` in ASCII, and a number."""

# Bodies of a few kilobytes stay in the row and uncompressed: compressing costs PostgreSQL more than all the rest of
# accepting (194 against 75 µs for 6 kB), for 1.8 times the disk.
_OPTIONS = "toast_tuple_target = 8160"


def day_bounds(day: date) -> tuple[UUID, UUID]:
    """Give the smallest id of a day, and the smallest of the next."""
    begin = datetime.combine(day, time(), UTC)
    return id_at(begin), id_at(begin + timedelta(days=1))


def partition_name(table: str, day: date) -> str:
    """``events_p20260131``."""
    return f"{table}_p{day:%Y%m%d}"


async def make_partitions(engine: PostgresEngine, days: Iterable[date]) -> int:
    """Make the partitions of ``days`` that are missing; gives how many. Raises DatabaseUnavailable."""
    wanted = sorted((table.name, day) for table in PARTITIONED for day in set(days))
    async with engine.transaction() as connection:
        await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        rows = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'kanca'::regnamespace"
        )
        present = {name for (name,) in rows}
        missing = [(table, day) for table, day in wanted if partition_name(table, day) not in present]
        for table, day in missing:
            await connection.execute(_creation(table, day))
    return len(missing)


def _creation(table: str, day: date) -> str:
    name = partition_name(table, day)
    begin, end = day_bounds(day)
    return f"""
        CREATE TABLE kanca.{name} (LIKE kanca.{table} INCLUDING ALL) WITH ({_OPTIONS});
        ALTER TABLE kanca.{table} ATTACH PARTITION kanca.{name} FOR VALUES FROM ('{begin}') TO ('{end}')
    """
