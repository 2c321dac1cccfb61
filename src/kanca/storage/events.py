"""Stored events: one, many, and what a sender of a duplicate is told."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Row, Select, func, insert, select

from kanca.domain.event import NewEvent, StoredEvent
from kanca.domain.expunged import expunged_at
from kanca.domain.ids import id_at, time_of
from kanca.domain.status import (
    DeliveryStatus,
    EventStatus,
    OutcomeStatus,
    depends_on_deliveries,
    event_status,
)
from kanca.domain.task import Attempt, NewTask, Outcome, TaskKind
from kanca.errors import PayloadExpunged
from kanca.storage.new_tasks import add_tasks
from kanca.storage.tables import attempts, deliveries, events, outcomes

V = TypeVar("V")

_EVENT = [events.c[field.name] for field in fields(StoredEvent)]
_OUTCOME = [outcomes.c[field.name] for field in fields(Outcome)]
_ATTEMPT = [attempts.c[field.name] for field in fields(Attempt)]

CLOCKS_DIFFER_BY = timedelta(hours=1)
"""The most that the clock of a worker may be behind that of a gateway: an attempt's id is newer than its event's."""


@dataclass(frozen=True, slots=True)
class EndedDeliveries:
    """What became of those deliveries of an event that have ended."""

    numbers: Mapping[DeliveryStatus, int] = field(default_factory=dict)
    finished_at: datetime | None = None
    """When the last of them ended."""
    reason: str | None = None
    """Why one of them was skipped, or is dead."""


NONE_ENDED = EndedDeliveries()


@dataclass(frozen=True, slots=True)
class Original:
    """What the sender of a duplicate is told of the event that came first."""

    id: UUID
    status: EventStatus
    processed_at: datetime | None
    """When the last of its work ended; None while some is open."""
    result: bytes | None
    """JSON: what its only piece of work returned, or an object of all results by the name of the work."""


def get(connection: Connection, event_id: UUID) -> StoredEvent | None:
    """Give the event with that id."""
    row = connection.execute(select(*_EVENT).where(events.c.id == event_id)).one_or_none()
    return None if row is None else _event(row)


def with_payload(event: StoredEvent) -> StoredEvent:
    """Give the event back, if its payload is there. Raises PayloadExpunged."""
    gone_at = expunged_at(event.request)
    if gone_at is not None:
        raise PayloadExpunged(f"The payload of the event was expunged at {gone_at.isoformat()}")
    return event


def add(connection: Connection, event: NewEvent) -> None:
    """Store an event whose work is added beside it: nobody looks for its targets."""
    connection.execute(
        insert(events).values({column.name: getattr(event, column.name) for column in events.columns})
    )


def add_to_dispatch(connection: Connection, new: Sequence[NewEvent], now: datetime) -> list[NewEvent]:
    """Store events without a dedupe key together with other changes, each with its task; gives them back.

    Wake the workers once it has committed.
    """
    for event in new:
        add(connection, event)
    add_tasks(connection, [NewTask(TaskKind.DISPATCH, event.id, event.endpoint) for event in new], now)
    return list(new)


def read_events(connection: Connection, event_ids: Collection[UUID]) -> dict[UUID, StoredEvent]:
    """Give the events that are there, by id."""
    if not event_ids:
        return {}
    # The bounds let PostgreSQL look only at the days in question.
    query = select(*_EVENT).where(
        events.c.id.in_(padded(event_ids)), events.c.id.between(min(event_ids), max(event_ids))
    )
    return {row.id: _event(row) for row in connection.execute(query)}


def outcomes_of(connection: Connection, event_ids: Collection[UUID]) -> dict[UUID, tuple[Outcome, ...]]:
    """Give the outcomes of each event, by the name of the work; empty for one that has none yet."""
    rows = _rows_of(connection, _OUTCOME, select(*_OUTCOME).order_by(outcomes.c.work), event_ids)
    return {event_id: tuple(map(_outcome, rows.get(event_id, ()))) for event_id in event_ids}


def attempts_of(connection: Connection, event_ids: Collection[UUID]) -> dict[UUID, tuple[Attempt, ...]]:
    """Give the failed attempts of each event, the oldest first, but for those of its deliveries: they may be many."""
    query = select(*_ATTEMPT).where(attempts.c.work.not_like("subscription:%")).order_by(attempts.c.id)
    if event_ids:
        query = query.where(attempts.c.id >= id_at(time_of(min(event_ids)) - CLOCKS_DIFFER_BY))
    rows = _rows_of(connection, _ATTEMPT, query, event_ids)
    return {
        event_id: tuple(Attempt(**row._asdict()) for row in rows.get(event_id, ())) for event_id in event_ids
    }


def statuses_of(connection: Connection, event_ids: Collection[UUID]) -> dict[UUID, EventStatus]:
    """Give the status of each event."""
    columns = [outcomes.c.event_id, outcomes.c.status, outcomes.c.works]
    rows = _rows_of(connection, columns, select(*columns), event_ids)
    said = {
        each: [(OutcomeStatus(row.status), row.works) for row in rows.get(each, ())] for each in event_ids
    }
    delivered = ended_deliveries(connection, [each for each in said if depends_on_deliveries(said[each])])
    return {
        event_id: event_status(its, delivered.get(event_id, NONE_ENDED).numbers)
        for event_id, its in said.items()
    }


def ended_deliveries(connection: Connection, event_ids: Collection[UUID]) -> dict[UUID, EndedDeliveries]:
    """Give what became of those deliveries of each event that have ended; without events that have none."""
    if not event_ids:
        return {}
    each = deliveries.c
    query = (
        select(
            each.event_id,
            each.status,
            func.count().label("number"),
            func.max(each.finished_at, type_=each.finished_at.type).label("finished_at"),
            func.max(each.reason).label("reason"),
        )
        .where(
            each.event_id.in_(padded(event_ids)),
            # The bounds let PostgreSQL look only at the days in question.
            each.event_id.between(min(event_ids), max(event_ids)),
        )
        .group_by(each.event_id, each.status)
    )
    found: dict[UUID, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.event_id].append(row)
    return {event_id: _ended(rows) for event_id, rows in found.items()}


def deliveries_beside(
    connection: Connection, ended: Mapping[UUID, Iterable[Outcome]]
) -> dict[UUID, EndedDeliveries]:
    """Give what became of the deliveries of events with these outcomes, of those whose status depends on it."""
    depend = [event_id for event_id, its in ended.items() if depends_on_deliveries(_said(its))]
    return ended_deliveries(connection, depend)


def originals(connection: Connection, event_ids: Collection[UUID]) -> dict[UUID, Original]:
    """Give what to answer duplicates of these events with, by id."""
    ended = outcomes_of(connection, event_ids)
    delivered = deliveries_beside(connection, ended)
    return {
        event_id: _original(event_id, its, delivered.get(event_id, NONE_ENDED))
        for event_id, its in ended.items()
    }


def status_of(ended: Iterable[Outcome], delivered: EndedDeliveries = NONE_ENDED) -> EventStatus:
    """Say what became of an event with these outcomes and deliveries."""
    return event_status(_said(ended), delivered.numbers)


def as_replay(event: StoredEvent, new_id: UUID, now: datetime) -> NewEvent:
    """Make a new event of a stored one, to be accepted: the same bytes, no dedupe key, ``replay_of`` says whose.

    A replay of a replay is one of the original.
    """
    return NewEvent(
        id=new_id,
        endpoint=event.endpoint,
        tenant=event.tenant,
        type=event.type,
        received_at=now,
        source_event_id=event.source_event_id,
        correlation_id=event.correlation_id,
        request=event.request,
        body=event.body,
        dedupe_key=None,
        dedupe_until=None,
        replay_of=event.replay_of or event.id,
    )


def padded(values: Collection[V]) -> list[V]:
    """Give the values, the last one repeated up to a power of two: few different statements instead of hundreds."""
    found = list(values)
    size = 1 << (len(found) - 1).bit_length() if found else 0
    return found + found[-1:] * (size - len(found))


def _rows_of(
    connection: Connection, columns: Sequence[Any], query: Select[Any], event_ids: Collection[UUID]
) -> dict[UUID, list[Row[Any]]]:
    """The rows of ``query`` by event, for tables that have an ``event_id``."""
    found: dict[UUID, list[Row[Any]]] = defaultdict(list)
    if not event_ids:
        return found
    event_id = columns[0].table.c.event_id
    query = query.where(event_id.in_(padded(event_ids)))
    if columns[0].table is outcomes:
        query = query.where(event_id.between(min(event_ids), max(event_ids)))
    for row in connection.execute(query):
        found[row.event_id].append(row)
    return found


def _said(ended: Iterable[Outcome]) -> list[tuple[OutcomeStatus, int | None]]:
    return [(outcome.status, outcome.works) for outcome in ended]


def _ended(rows: Sequence[Row[Any]]) -> EndedDeliveries:
    return EndedDeliveries(
        {DeliveryStatus(row.status): row.number for row in rows},
        max(row.finished_at for row in rows),
        max((row.reason for row in rows if row.reason), default=None),
    )


def _original(event_id: UUID, all_outcomes: Sequence[Outcome], delivered: EndedDeliveries) -> Original:
    status = status_of(all_outcomes, delivered)
    if status is EventStatus.PENDING:
        return Original(event_id, status, None, None)
    ended = [outcome for outcome in all_outcomes if outcome.status.is_end]
    results = {outcome.work: outcome.result for outcome in ended if outcome.result is not None}
    if len(ended) > 1 and results:
        members = (json.dumps(work).encode() + b":" + result for work, result in results.items())
        result: bytes | None = b"{" + b",".join(members) + b"}"
    else:
        result = next(iter(results.values()), None)
    ends = [*(outcome.finished_at for outcome in ended), delivered.finished_at]
    processed_at = max((moment for moment in ends if moment), default=None)
    return Original(event_id, status, processed_at, result)


def _event(row: Row[Any]) -> StoredEvent:
    values: Iterable[Any] = row
    return StoredEvent(*values)


def _outcome(row: Row[Any]) -> Outcome:
    return Outcome(**row._asdict() | {"status": OutcomeStatus(row.status)})
