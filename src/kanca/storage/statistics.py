"""Counters of endpoints in buckets of time, one row per endpoint, minute and writer.

Processes count in memory and add up here about once a second, outside the accepting transaction: nobody waits for a
counter's lock. Minutes become hours after a day, hours become the total after 60 days; the total outlives retention.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, case, delete, func, or_, select

from kanca.storage.dialects.upsert import upsert
from kanca.storage.tables import statistics
from kanca.storage.types import EPOCH

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MINUTES_KEPT = timedelta(days=1)
HOURS_KEPT = timedelta(days=60)
ROLLED_UP = ""
"""The writer of buckets that were merged."""
_TOTAL = timedelta(0)
_ROLL_UP_ROWS = 500

_COUNTERS = ("accepted", "duplicates", "rejected", "dead", "response_us")


@dataclass(frozen=True, slots=True)
class Counted:
    """What one process counted for an endpoint since it last said so."""

    endpoint: int
    at: datetime
    """A moment within the minute that it counts for."""
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    dead: int = 0
    """Pieces of work that became dead letters."""
    response_us: int = 0
    """Microseconds of all answers to accepted events and duplicates."""
    last_accepted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Sums over a time."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    dead: int = 0
    response_us: int = 0

    @property
    def average_response_ms(self) -> float:
        """Of accepted events and duplicates; 0 when there were none."""
        answered = self.accepted + self.duplicates
        return self.response_us / answered / 1000 if answered else 0.0


@dataclass(frozen=True, slots=True)
class EndpointStatistics:
    """What became of an endpoint's requests."""

    total: Counts = Counts()
    last_hour: Counts = Counts()
    last_day: Counts = Counts()
    last_accepted_at: datetime | None = None


def add(connection: Connection, writer: str, counted: Sequence[Counted]) -> None:
    """Add what a process counted; ``writer`` names the process, so that no two write one row."""
    sums: dict[_Key, _Sum] = defaultdict(_Sum)
    for entry in counted:
        key = (entry.endpoint, MINUTE.seconds, _floor(entry.at, MINUTE), writer)
        sums[key].add(entry, entry.last_accepted_at)
    _add(connection, sums)


def of_endpoints(
    connection: Connection, endpoints: Iterable[int], now: datetime
) -> dict[int, EndpointStatistics]:
    """Give the statistics of each of the endpoints; "last" ends at the minute of ``now``."""
    wanted = set(endpoints)
    total = _sums(connection, wanted, None)
    hour = _sums(connection, wanted, _floor(now, MINUTE) - HOUR + MINUTE)
    day = _sums(connection, wanted, _floor(now, MINUTE) - timedelta(days=1) + MINUTE)
    return {
        endpoint: EndpointStatistics(
            _counts(total.get(endpoint)),
            _counts(hour.get(endpoint)),
            _counts(day.get(endpoint)),
            total[endpoint].last_accepted_at if endpoint in total else None,
        )
        for endpoint in wanted
    }


def roll_up(connection: Connection, now: datetime) -> int:
    """Merge some buckets that are old enough; gives how many went away, 0 when none is left to merge.

    Any number of processes may do so at once: who deletes a row is who adds it to the larger bucket.
    """
    row = _primary_key()
    old = (
        select(*row)
        .where(
            or_(
                and_(statistics.c.span == MINUTE.seconds, statistics.c.started_at < now - MINUTES_KEPT),
                and_(statistics.c.span == HOUR.seconds, statistics.c.started_at < now - HOURS_KEPT),
            )
        )
        .limit(_ROLL_UP_ROWS)
    )
    keys = connection.execute(old).all()
    sums: dict[_Key, _Sum] = defaultdict(_Sum)
    merged = 0
    for key in keys:
        is_it = and_(*(column == value for column, value in zip(row, key, strict=True)))
        gone = connection.execute(delete(statistics).where(is_it).returning(statistics)).one_or_none()
        if gone is not None:
            merged += 1
            sums[_larger(gone)].add(gone, gone.last_accepted_at)
    _add(connection, sums)
    return merged


_Key = tuple[int, int, datetime, str]


class _Sum:
    def __init__(self) -> None:
        self.counters = dict.fromkeys(_COUNTERS, 0)
        self.last_accepted_at: datetime | None = None

    def add(self, counted: Counted | Row[Any], last_accepted_at: datetime | None) -> None:
        for name in _COUNTERS:
            self.counters[name] += getattr(counted, name)
        if last_accepted_at is not None:
            self.last_accepted_at = max(last_accepted_at, self.last_accepted_at or last_accepted_at)


def _primary_key() -> tuple[Any, ...]:
    return (statistics.c.endpoint, statistics.c.span, statistics.c.started_at, statistics.c.writer)


def _larger(row: Row[Any]) -> _Key:
    """The bucket that a row becomes part of."""
    if row.span == MINUTE.seconds:
        return (row.endpoint, HOUR.seconds, _floor(row.started_at, HOUR), ROLLED_UP)
    return (row.endpoint, _TOTAL.seconds, EPOCH, ROLLED_UP)


def _floor(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - EPOCH) % step


def _add(connection: Connection, sums: dict[_Key, _Sum]) -> None:
    names = [column.name for column in _primary_key()]
    # Sorted, so that two who add to the same buckets cannot lock each other out.
    rows = [
        dict(zip(names, key, strict=True)) | each.counters | {"last_accepted_at": each.last_accepted_at}
        for key, each in sorted(sums.items(), key=lambda item: item[0])
    ]
    upsert(connection, statistics, rows, _added)


def _added(new: Any) -> dict[str, Any]:
    old = statistics.c
    added: dict[str, Any] = {name: old[name] + new[name] for name in _COUNTERS}
    is_later = or_(old.last_accepted_at.is_(None), new.last_accepted_at > old.last_accepted_at)
    added["last_accepted_at"] = case((is_later, new.last_accepted_at), else_=old.last_accepted_at)
    return added


def _sums(connection: Connection, wanted: set[int], since: datetime | None) -> dict[int, Row[Any]]:
    query = (
        select(
            statistics.c.endpoint,
            *(func.sum(statistics.c[name]).label(name) for name in _COUNTERS),
            func.max(statistics.c.last_accepted_at).label("last_accepted_at"),
        )
        .where(statistics.c.endpoint.in_(wanted))
        .group_by(statistics.c.endpoint)
    )
    if since is not None:
        query = query.where(statistics.c.span == MINUTE.seconds, statistics.c.started_at >= since)
    rows: Iterable[Any] = connection.execute(query)
    return {row.endpoint: row for row in rows}


def _counts(row: Row[Any] | None) -> Counts:
    # Work that is retried within a second may be taken off the dead before it was counted among them.
    return Counts() if row is None else Counts(*(max(int(getattr(row, name)), 0) for name in _COUNTERS))
