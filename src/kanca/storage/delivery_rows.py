"""Deliveries as they stand in the database: ended ones are records, open ones are tasks. Both are read as one list.

Each statement reads both, so that what ends or is opened again meanwhile is neither missed nor found twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    Select,
    SmallInteger,
    cast,
    exists,
    literal,
    literal_column,
    null,
    or_,
    select,
    union_all,
)

from kanca.domain.delivery import Key
from kanca.domain.status import DeliveryStatus
from kanca.domain.task import TaskKind
from kanca.storage.delivery_details import read_detail
from kanca.storage.tables import deliveries, tasks
from kanca.storage.types import Instant

# Written out, for an index of some rows is found by a condition that says the same.
IS_DELIVERY = tasks.c.kind == literal_column(f"{TaskKind.DELIVER:d}")
NOT_DELIVERED = deliveries.c.status != literal_column(f"'{DeliveryStatus.DELIVERED}'")
IS_OPEN = exists(
    select(tasks.c.id).where(
        IS_DELIVERY, tasks.c.ref == deliveries.c.event_id, tasks.c.target == deliveries.c.subscription
    )
)
OPEN_STATUSES = frozenset({DeliveryStatus.PENDING, DeliveryStatus.RETRYING})

_RECORD = [
    deliveries.c[name]
    for name in (
        "event_id",
        "subscription",
        "status",
        "attempts",
        "reason",
        "response_status",
        "started_at",
        "finished_at",
    )
]


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """What either says of a delivery."""

    key: Key
    status: DeliveryStatus
    attempts: int
    """That have ended."""
    reason: str | None = None
    response_status: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    next_attempt_at: datetime | None = None
    """None while it is open: as soon as may be."""

    @property
    def is_open(self) -> bool:
        """Whether another attempt follows."""
        return self.status in OPEN_STATUSES


@dataclass(frozen=True, slots=True)
class Range:
    """Deliveries of one subscription, or of all, between two bounds."""

    first: UUID | None
    """The smallest event."""
    end: UUID | None
    """Events are smaller than this."""
    subscription: int | None
    before: Key | None = None
    """Only what is smaller than this."""
    down_to: Key | None = None
    """And nothing that is smaller than this."""


def read_rows(
    connection: Connection, ranges: Sequence[Range], status: DeliveryStatus | None, most: int
) -> tuple[list[DeliveryRow], Key | None]:
    """Give deliveries within the ranges, by descending key; what is open has a record that does not count.

    With a ``status`` only those that have it; where that is one of open ones, all that are open. Some ``most`` rows are
    read of each range and kind, so the list may end early: the second value then is the last key down to which it is
    complete, else None.
    """
    parts: list[Select[Any]] = []
    for each in ranges:
        if status not in OPEN_STATUSES:
            parts.append(_records(each, status, most))
        if status is None or status in OPEN_STATUSES:
            parts.append(_open(each, most))
    query = union_all(
        *(select(*part.subquery().c, literal(number).label("part")) for number, part in enumerate(parts))
    )
    found: dict[Key, DeliveryRow] = {}
    keys_of: dict[int, list[Key]] = {}
    for row in connection.execute(query):
        delivery = _row(row)
        keys_of.setdefault(row.part, []).append(delivery.key)
        if delivery.is_open or delivery.key not in found:
            found[delivery.key] = delivery
    complete_to = max((min(keys) for keys in keys_of.values() if len(keys) == most), default=None)
    kept = [found[key] for key in sorted(found, reverse=True) if complete_to is None or key >= complete_to]
    return kept, complete_to


def end_of_window(
    connection: Connection, ranges: Sequence[Range], status: DeliveryStatus, size: int
) -> Key | None:
    """Give the key down to which each range has at most ``size`` records; None when that is all of them.

    Of those that are not delivered, where those alone are found by an index.
    """
    ends: list[Key] = []
    for each in ranges:
        query = (
            select(deliveries.c.event_id, deliveries.c.subscription)
            .where(*_of_records(each, status))
            .order_by(deliveries.c.event_id.desc(), deliveries.c.subscription.desc())
            .offset(size - 1)
            .limit(1)
        )
        row = connection.execute(query).one_or_none()
        if row is not None:
            ends.append((row.event_id, row.subscription))
    return max(ends, default=None)


def read_row(connection: Connection, key: Key) -> DeliveryRow | None:
    """Give one delivery."""
    event_id, number = key
    one = Range(event_id, UUID(int=event_id.int + 1), number)
    rows, _ = read_rows(connection, [one], None, 2)
    return next(iter(rows), None)


def keys_between(connection: Connection, first: UUID, end: UUID) -> set[Key]:
    """Give the keys of all deliveries of events from ``first`` to before ``end``."""
    of_records = select(deliveries.c.event_id, deliveries.c.subscription).where(
        deliveries.c.event_id >= first, deliveries.c.event_id < end
    )
    of_tasks = select(tasks.c.ref, tasks.c.target).where(IS_DELIVERY, tasks.c.ref >= first, tasks.c.ref < end)
    return {(row[0], row[1]) for row in connection.execute(union_all(of_records, of_tasks))}


def status_of_task(attempt: int, detail: bytes | None) -> tuple[DeliveryStatus, int]:
    """Where an open delivery is, and how many of its attempts have ended."""
    attempts = attempt + read_detail(detail).attempts
    return (DeliveryStatus.RETRYING if attempts else DeliveryStatus.PENDING), attempts


def _records(within: Range, status: DeliveryStatus | None, most: int) -> Select[Any]:
    conditions = _of_records(within, status)
    if status is not None:
        conditions += [deliveries.c.status == status, ~IS_OPEN]
    columns: list[Any] = [
        *_RECORD,
        cast(null(), SmallInteger).label("attempt"),
        cast(null(), Instant).label("due_at"),
        cast(null(), LargeBinary).label("detail"),
        literal(False).label("is_open"),
    ]
    return (
        select(*columns)
        .where(*conditions)
        .order_by(deliveries.c.event_id.desc(), deliveries.c.subscription.desc())
        .limit(most)
    )


def _open(within: Range, most: int) -> Select[Any]:
    columns: list[Any] = [
        tasks.c.ref.label("event_id"),
        tasks.c.target.label("subscription"),
        *(cast(null(), column.type).label(column.name) for column in _RECORD[2:]),
        tasks.c.attempt,
        tasks.c.due_at,
        tasks.c.detail,
        literal(True).label("is_open"),
    ]
    return (
        select(*columns)
        .where(IS_DELIVERY, *_bounds(within, tasks.c.ref, tasks.c.target))
        .order_by(tasks.c.ref.desc(), tasks.c.target.desc())
        .limit(most)
    )


def _of_records(within: Range, status: DeliveryStatus | None) -> list[ColumnElement[bool]]:
    bounds = _bounds(within, deliveries.c.event_id, deliveries.c.subscription)
    if within.subscription is not None and status in {DeliveryStatus.DEAD, DeliveryStatus.SKIPPED}:
        bounds.append(NOT_DELIVERED)
    return bounds


def _bounds(within: Range, event_id: ColumnElement[Any], number: ColumnElement[Any]) -> list[Any]:
    bounds: list[ColumnElement[bool]] = []
    if within.first is not None:
        bounds.append(event_id >= within.first)
    if within.end is not None:
        bounds.append(event_id < within.end)
    if within.subscription is not None:
        bounds.append(number == within.subscription)
    if within.before is not None:
        last, smallest = within.before
        bounds += [event_id <= last, or_(event_id < last, number < smallest)]
    if within.down_to is not None:
        last, smallest = within.down_to
        bounds += [event_id >= last, or_(event_id > last, number >= smallest)]
    return bounds


def _row(row: Row[Any]) -> DeliveryRow:
    key = row.event_id, row.subscription
    if not row.is_open:
        return DeliveryRow(
            key,
            DeliveryStatus(row.status),
            row.attempts,
            row.reason,
            row.response_status,
            row.started_at,
            row.finished_at,
        )
    status, attempts = status_of_task(row.attempt, row.detail)
    return DeliveryRow(key, status, attempts, next_attempt_at=row.due_at)
