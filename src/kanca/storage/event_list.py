"""Listing and searching events, with what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, select

from kanca.domain.event import StoredEvent
from kanca.domain.ids import id_at
from kanca.domain.status import EventStatus
from kanca.domain.task import Attempt, Outcome
from kanca.errors import InvalidInput
from kanca.storage.events import (
    NONE_ENDED,
    EndedDeliveries,
    attempts_of,
    deliveries_beside,
    outcomes_of,
    padded,
    read_events,
    status_of,
    statuses_of,
)
from kanca.storage.pages import Page, check_limit, cursor_after, read_id_cursor
from kanca.storage.scanning import IN_DATABASE, ROW_BY_ROW, Scan, look
from kanca.storage.tables import event_fields, events

MAX_OFFSET = 10_000


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; what is None does not matter."""

    endpoint: int | None = None
    tenant: str | None = None
    type: str | None = None
    correlation_id: str | None = None
    status: EventStatus | None = None
    since: datetime | None = None
    """Received at or after."""
    until: datetime | None = None
    """Received before."""
    field: tuple[str, str] | None = None
    """A path and the value that is stored there (``domain.event_fields``)."""


ALL = EventFilter()


@dataclass(frozen=True, slots=True)
class EventWithOutcomes:
    """An event and what became of it."""

    event: StoredEvent
    status: EventStatus
    outcomes: tuple[Outcome, ...]
    attempts: tuple[Attempt, ...]
    """Those that failed, the oldest first. Lists leave them out for events whose work ended well."""
    deliveries: EndedDeliveries = NONE_ENDED


def page(
    connection: Connection,
    wanted: EventFilter = ALL,
    limit: int = 50,
    cursor: str | None = None,
    offset: int = 0,
) -> Page[EventWithOutcomes]:
    """List events, newest first. Raises InvalidInput for a wrong limit, cursor or offset.

    A page may hold fewer events than ``limit`` although there are more, even none: looking for what is rare goes back
    only so far at once. ``next_cursor`` is None only at the end.
    """
    if not 0 <= offset <= MAX_OFFSET:
        raise InvalidInput(f"offset must be from 0 to {MAX_OFFSET}; follow next_cursor to go further")
    in_rows = {
        name: value
        for name in ("tenant", "type", "correlation_id")
        if (value := getattr(wanted, name)) is not None
    }
    is_found_by_field = wanted.field is not None
    effort = ROW_BY_ROW if wanted.status or is_found_by_field else IN_DATABASE if in_rows else None
    scan = Scan(check_limit(limit), read_id_cursor(cursor) if cursor else None, effort, offset)
    while scan.is_on:
        if wanted.field is not None:
            fitting, last = _look_by_field(connection, scan, wanted, wanted.field, in_rows)
        else:
            fitting, last = look(connection, events, scan, _bounds(wanted), in_rows)
        if wanted.status is not None:
            statuses = statuses_of(connection, fitting)
            fitting = [event_id for event_id in fitting if statuses[event_id] is wanted.status]
        scan.saw(fitting, last)
    cursor_of_next = cursor_after(scan.goes_on_before) if scan.goes_on_before else None
    return Page(_with_outcomes(connection, scan.found, _UNWELL), cursor_of_next)


def get(connection: Connection, event_id: UUID) -> EventWithOutcomes | None:
    """Give one event and what became of it."""
    return next(iter(_with_outcomes(connection, [event_id], frozenset(EventStatus))), None)


def _look_by_field(
    connection: Connection,
    scan: Scan[UUID],
    wanted: EventFilter,
    field: tuple[str, str],
    in_rows: dict[str, Any],
) -> tuple[list[UUID], UUID | None]:
    """As ``look`` gives it: what fits in the next window of those events that have this value, and its last one."""
    path, value = field
    found = event_fields.c.event_id
    bounds = [event_fields.c.path == path, event_fields.c.value == value]
    if scan.before is not None:
        bounds.append(found < scan.before)
    if wanted.since is not None:
        bounds.append(found >= id_at(wanted.since))
    if wanted.until is not None:
        bounds.append(found < id_at(wanted.until))
    window = list(connection.scalars(select(found).where(*bounds).order_by(found.desc()).limit(scan.window)))
    if not window:
        return [], None
    query = (
        select(events.c.id)
        .where(
            events.c.id.in_(padded(window)),
            events.c.id.between(window[-1], window[0]),
            *_bounds(wanted),
            *(events.c[name] == wish for name, wish in in_rows.items()),
        )
        .order_by(events.c.id.desc())
    )
    return list(connection.scalars(query)), window[-1]


def _bounds(wanted: EventFilter) -> list[ColumnElement[bool]]:
    bounds = []
    if wanted.endpoint is not None:
        bounds.append(events.c.endpoint == wanted.endpoint)
    if wanted.since is not None:
        bounds.append(events.c.id >= id_at(wanted.since))
    if wanted.until is not None:
        bounds.append(events.c.id < id_at(wanted.until))
    return bounds


_UNWELL = frozenset({EventStatus.PENDING, EventStatus.DEAD})


def _with_outcomes(
    connection: Connection, event_ids: list[UUID], with_attempts: frozenset[EventStatus]
) -> tuple[EventWithOutcomes, ...]:
    found = read_events(connection, event_ids)
    ended = outcomes_of(connection, found)
    delivered = deliveries_beside(connection, ended)
    statuses = {each: status_of(its, delivered.get(each, NONE_ENDED)) for each, its in ended.items()}
    failed = attempts_of(connection, [each for each in found if statuses[each] in with_attempts])
    return tuple(
        EventWithOutcomes(
            found[event_id],
            statuses[event_id],
            ended[event_id],
            failed.get(event_id, ()),
            delivered.get(event_id, NONE_ENDED),
        )
        for event_id in event_ids
        if event_id in found
    )
