"""The catalogue of event types: what they mean, and what their data look like.

Every change first moves the version that caches watch. That row is a lock, so that changes come one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from kanca.errors import EventTypeNotFound
from kanca.storage.pages import Page, check_limit, cursor_after, read_cursor
from kanca.storage.tables import event_types
from kanca.storage.versions import bump_version


@dataclass(frozen=True, slots=True)
class EventType:
    """A type in the catalogue."""

    name: str
    description: str
    schema: str | None
    """What the data look like: a JSON Schema."""
    example: str | None
    """Data of such an event, as JSON."""
    is_enforced: bool
    """Data that do not fit the schema are not published."""
    created_at: datetime
    updated_at: datetime


def put(connection: Connection, event_type: EventType) -> tuple[EventType, bool]:
    """Store a type, in the place of another of that name, whose age it keeps; gives it, and whether it is new."""
    bump_version(connection, "event_types")
    values = asdict(event_type)
    kept = {name: value for name, value in values.items() if name not in ("name", "created_at")}
    is_same = event_types.c.name == event_type.name
    is_new = not connection.execute(update(event_types).where(is_same).values(kept)).rowcount
    if is_new:
        connection.execute(insert(event_types).values(values))
    return get(connection, event_type.name), is_new


def get(connection: Connection, name: str) -> EventType:
    """Give the type of that name. Raises EventTypeNotFound."""
    row = connection.execute(select(event_types).where(event_types.c.name == name)).one_or_none()
    if row is None:
        raise not_found(name)
    return EventType(**row._asdict())


def page(connection: Connection, limit: int = 50, cursor: str | None = None) -> Page[EventType]:
    """List types by name. Raises InvalidInput for a wrong limit or cursor."""
    query = select(event_types).order_by(event_types.c.name).limit(check_limit(limit) + 1)
    if cursor is not None:
        query = query.where(event_types.c.name > read_cursor(cursor))
    rows = [EventType(**row._asdict()) for row in connection.execute(query)]
    items = tuple(rows[:limit])
    return Page(items, cursor_after(items[-1].name) if len(rows) > limit else None)


def read_all(connection: Connection) -> list[EventType]:
    """Give all types: what events are checked with."""
    query = select(event_types).order_by(event_types.c.name)
    return [EventType(**row._asdict()) for row in connection.execute(query)]


def examples_of(connection: Connection, types: Collection[str]) -> dict[str, Any]:
    """Give the example data of those of the event types that the catalogue has one of, by type."""
    query = select(event_types.c.name, event_types.c.example).where(
        event_types.c.name.in_(set(types)), event_types.c.example.is_not(None)
    )
    return {row.name: json.loads(row.example) for row in connection.execute(query)}


def remove(connection: Connection, name: str) -> None:
    """Delete a type. Raises EventTypeNotFound."""
    bump_version(connection, "event_types")
    if not connection.execute(delete(event_types).where(event_types.c.name == name)).rowcount:
        raise not_found(name)


def not_found(name: str) -> EventTypeNotFound:
    """The error for a name that no type in the catalogue has."""
    return EventTypeNotFound(f"There is no event type {name[:64]!a} in the catalogue")
