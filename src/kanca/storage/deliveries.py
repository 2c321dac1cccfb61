"""Deliveries: listing and reading them, with their events and attempts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select

from kanca.domain.delivery import Key, delivery_id
from kanca.domain.ids import id_at, time_of
from kanca.domain.status import DeliveryStatus
from kanca.domain.task import Attempt
from kanca.errors import InvalidInput
from kanca.storage.delivery_rows import (
    IS_DELIVERY,
    IS_OPEN,
    OPEN_STATUSES,
    DeliveryRow,
    Range,
    end_of_window,
    keys_between,
    read_row,
    read_rows,
    status_of_task,
)
from kanca.storage.events import CLOCKS_DIFFER_BY, padded
from kanca.storage.pages import MAX_NUMBER, Page, check_limit, cursor_after, read_cursor
from kanca.storage.scanning import IN_DATABASE, ROW_BY_ROW, Effort, Scan
from kanca.storage.subscriptions import ids_of
from kanca.storage.tables import attempts, deliveries, events, tasks

_ATTEMPT = [attempts.c[field.name] for field in fields(Attempt)]


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries; what is None does not matter."""

    subscriptions: Collection[int] | None = None
    """Their numbers: few."""
    tenant: str | None = None
    status: DeliveryStatus | None = None
    event_type: str | None = None
    event_id: UUID | None = None
    since: datetime | None = None
    """Of events from then on."""
    until: datetime | None = None
    """Of events from before then."""


ALL = DeliveryFilter()


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A delivery as it is, open or ended, with what people know its event and subscription by."""

    row: DeliveryRow
    subscription_id: str | None
    event_type: str | None
    """None: the event is gone."""
    tenant: str | None
    source_event_id: str | None
    last_attempt: bytes | None = None
    """Of one that has ended: an ``AttemptReport`` as JSON. Lists leave it out."""

    @property
    def id(self) -> UUID:
        """What it is called."""
        return delivery_id(*self.row.key)


def page(
    connection: Connection, wanted: DeliveryFilter = ALL, limit: int = 50, cursor: str | None = None
) -> Page[DeliveryView]:
    """List deliveries, those of the newest events first. Raises InvalidInput for a wrong limit or cursor.

    A page may hold fewer than ``limit`` although there are more, even none: looking for what is rare goes back only so
    far at once. ``next_cursor`` is None only at the end.
    """
    scan = Scan(check_limit(limit), _read_key_cursor(cursor) if cursor else None, _effort(wanted))
    views: dict[Key, DeliveryView] = {}
    while scan.is_on:
        rows, last = _look(connection, wanted, scan)
        fitting = {each.row.key: each for each in _views(connection, rows) if _fits(each, wanted)}
        views |= fitting
        scan.saw(list(fitting), last)
    following = scan.goes_on_before
    return Page(tuple(views[key] for key in scan.found), _key_cursor(following) if following else None)


def get(connection: Connection, identifier: UUID) -> DeliveryView | None:
    """Give the delivery with that id, with its last attempt if it has ended."""
    # The id has the time of its event, and says no more of it.
    first = UUID(int=identifier.int >> 80 << 80)
    end = UUID(int=first.int | (1 << 80) - 1)
    found = (key for key in keys_between(connection, first, end) if delivery_id(*key) == identifier)
    key = next(found, None)
    return None if key is None else by_key(connection, key)


def by_key(connection: Connection, key: Key) -> DeliveryView | None:
    """Give the delivery of that event for that subscription."""
    row = read_row(connection, key)
    if row is None:
        return None
    [view] = _views(connection, [row])
    if row.is_open:
        return view
    event_id, number = key
    its = deliveries.c.event_id == event_id, deliveries.c.subscription == number
    return replace(view, last_attempt=connection.scalar(select(deliveries.c.attempt).where(*its)))


def attempts_of(connection: Connection, delivery: DeliveryView) -> tuple[Attempt, ...]:
    """Give all attempts of a delivery but the last one of an ended one, the oldest first."""
    event_id, _ = delivery.row.key
    query = (
        select(*_ATTEMPT)
        # An attempt is as old as its event at most: this finds the partitions.
        .where(
            attempts.c.call_id == delivery.id, attempts.c.id >= id_at(time_of(event_id) - CLOCKS_DIFFER_BY)
        )
        .order_by(attempts.c.attempt_number, attempts.c.id)
    )
    return tuple(Attempt(**row._asdict()) for row in connection.execute(query))


def count_of(connection: Connection, event_id: UUID) -> Mapping[DeliveryStatus, int]:
    """Count the deliveries of an event by where they are."""
    counted: Counter[DeliveryStatus] = Counter()
    ended = (
        select(deliveries.c.status, func.count().label("number"))
        .where(deliveries.c.event_id == event_id, ~IS_OPEN)
        .group_by(deliveries.c.status)
    )
    for row in connection.execute(ended):
        counted[DeliveryStatus(row.status)] += row.number
    is_first = (tasks.c.attempt == 0).label("is_first")
    going_on = (
        select(is_first, tasks.c.detail, func.count().label("number"))
        .where(IS_DELIVERY, tasks.c.ref == event_id)
        .group_by(is_first, tasks.c.detail)
    )
    for row in connection.execute(going_on):
        status, _ = status_of_task(0 if row.is_first else 1, row.detail)
        counted[status] += row.number
    return counted


def _look(
    connection: Connection, wanted: DeliveryFilter, scan: Scan[Key]
) -> tuple[list[DeliveryRow], Key | None]:
    """Look at the scan's next window: what may fit, and the key down to which was looked (None: to the end)."""
    ranges = [replace(each, before=scan.before) for each in _ranges(wanted)]
    if not ranges:
        return [], None
    if wanted.status is None or wanted.status in OPEN_STATUSES:
        return read_rows(connection, ranges, wanted.status, scan.window)
    end = end_of_window(connection, ranges, wanted.status, scan.window)
    ranges = [replace(each, down_to=end) for each in ranges]
    rows, complete_to = read_rows(connection, ranges, wanted.status, min(scan.window, ROW_BY_ROW.window + 1))
    return rows, complete_to or end


def _ranges(wanted: DeliveryFilter) -> list[Range]:
    first = id_at(wanted.since) if wanted.since else None
    end = id_at(wanted.until) if wanted.until else None
    if wanted.event_id is not None:
        first = max(wanted.event_id, first or wanted.event_id)
        after = UUID(int=min(wanted.event_id.int + 1, 2**128 - 1))
        end = min(after, end or after)
    numbers = [None] if wanted.subscriptions is None else sorted(wanted.subscriptions)
    return [Range(first, end, number) for number in numbers]


def _effort(wanted: DeliveryFilter) -> Effort | None:
    if wanted.tenant or wanted.event_type or wanted.status in OPEN_STATUSES:
        return ROW_BY_ROW
    return IN_DATABASE if wanted.status else None


def _fits(view: DeliveryView, wanted: DeliveryFilter) -> bool:
    return (
        wanted.status in {None, view.row.status}
        and wanted.tenant in {None, view.tenant}
        and wanted.event_type in {None, view.event_type}
    )


def _views(connection: Connection, rows: Sequence[DeliveryRow]) -> list[DeliveryView]:
    names = ids_of(connection, {row.key[1] for row in rows})
    known = _events(connection, {row.key[0] for row in rows})
    views = []
    for row in rows:
        event_id, number = row.key
        event = known.get(event_id)
        about = (event.type, event.tenant, event.source_event_id) if event else (None, None, None)
        views.append(DeliveryView(row, names.get(number), *about))
    return views


def _events(connection: Connection, event_ids: Collection[UUID]) -> dict[UUID, Any]:
    if not event_ids:
        return {}
    columns = events.c.id, events.c.type, events.c.tenant, events.c.source_event_id
    query = select(*columns).where(
        events.c.id.in_(padded(event_ids)), events.c.id.between(min(event_ids), max(event_ids))
    )
    return {row.id: row for row in connection.execute(query)}


def _key_cursor(key: Key) -> str:
    return cursor_after(f"{key[0].hex}.{key[1]}")


def _read_key_cursor(cursor: str) -> Key:
    event, _, number = read_cursor(cursor).partition(".")
    try:
        key = UUID(hex=event), int(number)
    except ValueError:
        key = UUID(int=0), -1
    if not 0 <= key[1] <= MAX_NUMBER:
        raise InvalidInput("cursor is not one that this list gave")
    return key
