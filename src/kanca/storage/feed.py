"""The feed: every event that was stored, numbered, so that a tail can be read on from where it was left.

What is read here must be settled (see ``ports.Horizon``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, case, delete, func, literal, select

from kanca.domain.event import StoredEvent
from kanca.domain.ids import uuid7_int
from kanca.storage.endpoints import EndpointName, names
from kanca.storage.events import padded
from kanca.storage.tables import events, feed

LARGEST_BODY_BYTES = 64 * 1024
"""Larger bodies are not read: whoever needs one asks for it."""
DISORDER = timedelta(minutes=5)
"""The most that an event's id may be older than those before it in the feed: it waited, by another clock."""

_LAST_MS = (1 << 48) - 1


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One event in its place."""

    number: int
    event: StoredEvent
    """Its body is empty when it is larger than ``LARGEST_BODY_BYTES``."""
    body_bytes: int
    endpoint: EndpointName | None
    """None for one that was published."""

    @property
    def is_whole(self) -> bool:
        """Whether the body is there."""
        return len(self.event.body) == self.body_bytes


@dataclass(frozen=True, slots=True)
class FeedPart:
    """A part of the feed, in order."""

    events: tuple[FeedEvent, ...]
    """Without those that retention has taken."""
    through: int
    """Up to which number that is all."""


def read(connection: Connection, after: int, through: int, limit: int) -> FeedPart:
    """Give what comes after a number, up to another that is settled; at most ``limit`` events."""
    query = (
        select(feed.c.number, feed.c.event_id)
        .where(feed.c.number > after, feed.c.number <= through)
        .order_by(feed.c.number)
        .limit(limit)
    )
    rows = connection.execute(query).all()
    found = _events(connection, [row.event_id for row in rows])
    named = names(connection, {event.endpoint for event, _ in found.values() if event.endpoint})
    return FeedPart(
        tuple(
            FeedEvent(row.number, event, size, named.get(event.endpoint))
            for row in rows
            if row.event_id in found
            for event, size in (found[row.event_id],)
        ),
        rows[-1].number if len(rows) == limit else max(through, after),
    )


def first_kept(connection: Connection) -> int | None:
    """Give the first number that retention has left; None when nothing is there."""
    number: int | None = connection.scalar(select(func.min(feed.c.number)))
    return number


def is_kept(connection: Connection, place: int, newest: int) -> bool:
    """Whether what came right after a place is there, if anything came: retention has not got that far."""
    first = first_kept(connection)
    return place + 1 >= (newest + 1 if first is None else first)


def before_event(connection: Connection, event_id: UUID, newest: int) -> int | None:
    """Give the number of an event: what follows it comes after that. None when the feed does not have it."""
    low = before_id(connection, _moved(event_id, -DISORDER), newest)
    high = before_id(connection, _moved(event_id, DISORDER), newest)
    within = feed.c.number.between(low, high + 1)
    number: int | None = connection.scalar(select(feed.c.number).where(within, feed.c.event_id == event_id))
    return number


def forget(connection: Connection, event_ids: Collection[UUID]) -> None:
    """Take events out of the feed that are no more. Numbers are not given out again."""
    newest: int | None = connection.scalar(select(func.max(feed.c.number)))
    if newest is None or not event_ids:
        return
    low = before_id(connection, _moved(min(event_ids), -DISORDER), newest)
    high = before_id(connection, _moved(max(event_ids), DISORDER), newest)
    within = feed.c.number.between(low, high + 1)
    connection.execute(delete(feed).where(within, feed.c.event_id.in_(padded(event_ids))))


def before_id(connection: Connection, bound: UUID, newest: int) -> int:
    """Give a number after which come, ``DISORDER`` allowed for, all events with ids from ``bound`` on.

    ``bound`` must have been moved back by that already. The feed is nearly in the order of ids, so halving finds it.
    """
    low, high = first_kept(connection) or newest + 1, newest + 1
    while low < high:
        middle = (low + high) // 2
        query = select(feed.c.number, feed.c.event_id).where(feed.c.number >= middle)
        row = connection.execute(query.order_by(feed.c.number).limit(1)).one_or_none()
        if row is None or row.event_id >= bound:
            high = middle
        else:
            low = row.number + 1
    return low - 1


def _moved(identifier: UUID, by: timedelta) -> UUID:
    """An id's moment, moved: a bound. Whoever asks may have made up the id, so it stays within what ids can be."""
    unix_ms = (identifier.int >> 80) + by // timedelta(milliseconds=1)
    return UUID(int=uuid7_int(min(max(unix_ms, 0), _LAST_MS), 0))


def _events(connection: Connection, event_ids: list[UUID]) -> dict[UUID, tuple[StoredEvent, int]]:
    if not event_ids:
        return {}
    size = func.length(events.c.body)
    body = case((size <= LARGEST_BODY_BYTES, events.c.body), else_=literal(b"", events.c.body.type))
    columns = [body if each.name == "body" else events.c[each.name] for each in fields(StoredEvent)]
    # The bounds let PostgreSQL look only at the days in question.
    within = events.c.id.between(min(event_ids), max(event_ids))
    query = select(*columns, size).where(events.c.id.in_(padded(event_ids)), within)
    return {row[0]: (StoredEvent(*row[:-1]), row[-1]) for row in connection.execute(query)}
