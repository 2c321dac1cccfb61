"""Deleting what is older than the retention, a few rows at a time, so that accepting never waits long."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import partial

from kanca.domain.ids import id_at
from kanca.domain.status import UNFINISHED_RUNS
from kanca.storage.dialects.sqlite.engine import SqliteEngine
from kanca.storage.retention import days_to_drop
from kanca.storage.tables import PARTITIONED

BATCH_ROWS = 500
FREED_PAGES = 500
_KEY = {table.name: next(iter(table.primary_key.columns)).name for table in PARTITIONED}
_DAY_MS = 86_400_000

_OPEN_RUNS = ", ".join(f"'{status}'" for status in UNFINISHED_RUNS)
# The first six bytes are the milliseconds.
_UNFINISHED = f"""
    SELECT DISTINCT substr(ref, 1, 6) FROM kanca_tasks WHERE ref < ?1
    UNION SELECT DISTINCT substr(id, 1, 6) FROM kanca_runs WHERE id < ?1 AND status IN ({_OPEN_RUNS})
    UNION SELECT DISTINCT substr(w.event_id, 1, 6) FROM kanca_waits AS w JOIN kanca_runs AS r ON r.id = w.run_id
        WHERE w.event_id < ?1 AND r.status IN ({_OPEN_RUNS})
"""  # noqa: S608 - made of this module's constants
# Looked for at its beginning, which is its oldest part but for moments: so no index by time is needed.
_OLDEST_OF_FEED = f"(SELECT number, event_id FROM kanca_feed ORDER BY number LIMIT {BATCH_ROWS})"  # noqa: S608 - a number of our own
_LETTERS_OF_DAY = "(event_id >= ? AND event_id < ?) OR (event_id IS NULL AND ref >= ? AND ref < ?)"


async def drop_expired(engine: SqliteEngine, before: datetime, *, keeps_dead_letters: bool = False) -> int:
    """Delete what is older than ``before`` and finished; gives how many rows. Raises DatabaseUnavailable."""
    deleted = await _delete_all(engine, "kanca_dedupe", "key", "expires_at <= ?", (engine.clock.now_us(),))
    deleted += await _delete_all(engine, "kanca_rejections", "id", "id < ?", (id_at(before).bytes,))
    deleted += await _delete_all(engine, "kanca_answers", "event_id", "event_id < ?", (id_at(before).bytes,))
    deleted += await _delete_feed(engine, id_at(before).bytes)
    stored = await engine.run_read(partial(_stored_days, before))
    held = await engine.run_read(partial(_held_days, before))
    cleared: set[date] = set()
    for day, table in days_to_drop(stored, before, held):
        if day not in cleared:
            if not keeps_dead_letters:
                bounds = _bounds(day)
                deleted += await _delete_all(
                    engine, "kanca_dead_letters", "id", _LETTERS_OF_DAY, (*bounds, *bounds)
                )
            deleted += await _clear(engine, before, day)
            # Whoever retried a dead letter just before it went has made a task of it.
            held = await engine.run_read(partial(_held_days, before))
            cleared.add(day)
        if (day, table) in days_to_drop({table: [day]}, before, held):
            key = _KEY[table]
            within = f"{key} >= ? AND {key} < ?"
            deleted += await _delete_all(engine, f"kanca_{table}", "rowid", within, _bounds(day))
    await _free_pages(engine)
    return deleted


async def _clear(engine: SqliteEngine, before: datetime, day: date) -> int:
    """Delete what the day's events and runs leave in tables that are not kept by day."""
    bounds = _bounds(day)
    deleted = 0
    if day not in await engine.run_read(partial(_held_days, before)):
        # What belongs to runs has their time in its ids.
        deleted += await _delete_all(engine, "kanca_waits", "id", "id >= ? AND id < ?", bounds)
        deleted += await _delete_all(
            engine, "kanca_early_events", "event_id", "event_id >= ? AND event_id < ?", bounds
        )
        deleted += await _delete_all(
            engine, "kanca_run_slots", "run_id", "run_id >= ? AND run_id < ?", bounds
        )
        deleted += await _delete_all(engine, "kanca_runs", "rowid", "id >= ? AND id < ?", bounds)
    return deleted


async def _delete_all(
    engine: SqliteEngine, table: str, key: str, condition: str, arguments: Iterable[bytes | int]
) -> int:
    statement = (
        f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {condition} LIMIT {BATCH_ROWS})"  # noqa: S608 - names of our own
    )
    return await _repeat(engine, statement, tuple(arguments))


async def _delete_feed(engine: SqliteEngine, before: bytes) -> int:
    statement = (
        f"DELETE FROM kanca_feed WHERE number IN (SELECT number FROM {_OLDEST_OF_FEED} WHERE event_id < ?)"  # noqa: S608 - names of our own
    )
    return await _repeat(engine, statement, (before,))


async def _repeat(engine: SqliteEngine, statement: str, values: tuple[bytes | int, ...]) -> int:
    """Delete batch after batch, each in a transaction of its own, until one is not full."""
    deleted = 0
    while True:
        rows = await engine.run_write(lambda connection: connection.execute(statement, values).rowcount)
        deleted += rows
        if rows < BATCH_ROWS:
            return deleted


async def _free_pages(engine: SqliteEngine) -> None:
    """Give what was freed back to the disk."""

    def free(connection: sqlite3.Connection) -> bool:
        connection.execute(f"PRAGMA incremental_vacuum({FREED_PAGES})").fetchall()
        return bool(connection.execute("PRAGMA freelist_count").fetchone()[0])

    is_incremental = await engine.run_read(
        lambda connection: connection.execute("PRAGMA auto_vacuum").fetchone()[0] == 2
    )
    while is_incremental and await engine.run_write(free):
        pass


def _stored_days(before: datetime, connection: sqlite3.Connection) -> dict[str, set[date]]:
    """The days before ``before`` that each table has rows of."""
    days: dict[str, set[date]] = {}
    end = before.date()
    for table, key in _KEY.items():
        found = days.setdefault(table, set())
        low = b""
        while True:
            query = f"SELECT min({key}) FROM kanca_{table} WHERE {key} >= ?"  # noqa: S608 - names of our own
            (first,) = connection.execute(query, (low,)).fetchone()
            if first is None or (day := _day_of(first)) >= end:
                break
            found.add(day)
            low = _bounds(day)[1]
    return days


def _held_days(before: datetime, connection: sqlite3.Connection) -> set[date]:
    rows = connection.execute(_UNFINISHED, (_bounds(before.date())[0],))
    return {_day_of(prefix) for (prefix,) in rows}


def _day_of(identifier: bytes) -> date:
    return date(1970, 1, 1) + timedelta(days=int.from_bytes(identifier[:6]) // _DAY_MS)


def _bounds(day: date) -> tuple[bytes, bytes]:
    """The smallest id of a day, and the smallest of the next."""
    begin = datetime.combine(day, time(), UTC)
    return _milliseconds(begin), _milliseconds(begin + timedelta(days=1))


def _milliseconds(moment: datetime) -> bytes:
    return int(moment.timestamp() * 1000).to_bytes(6) + bytes(10)
