"""What every claimed batch asks for: through SQLAlchemy it would cost as much as all else that is done with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from functools import partial
from typing import Any
from uuid import UUID

from kanca.domain.event import StoredEvent
from kanca.storage.dialects.sqlite.engine import SqliteEngine
from kanca.storage.types import from_microseconds

_VERSIONS = "SELECT subject || '=' || version FROM kanca_versions ORDER BY subject"
_EVENTS = """
SELECT id, endpoint, tenant, type, received_at, source_event_id, correlation_id, request, body, replay_of
FROM kanca_events WHERE id IN ({})
"""
_AT_ONCE = 500
"""SQLite takes 32 766 values in a statement, and prepares each length anew."""


async def read_claimed(engine: SqliteEngine, ids: Collection[UUID]) -> tuple[str, dict[UUID, StoredEvent]]:
    """See ``QueueStore.read_claimed``."""
    return await engine.run_read(partial(_read, keys=[identifier.bytes for identifier in ids]))


def _read(connection: sqlite3.Connection, keys: list[bytes]) -> tuple[str, dict[UUID, StoredEvent]]:
    events: dict[UUID, StoredEvent] = {}
    for start in range(0, len(keys), _AT_ONCE):
        part = keys[start : start + _AT_ONCE]
        for row in connection.execute(_EVENTS.format(",".join("?" * len(part))), part):
            event = _event(row)
            events[event.id] = event
    return " ".join(text for (text,) in connection.execute(_VERSIONS)), events


def _event(row: Any) -> StoredEvent:
    identifier, endpoint, tenant, kind, received_at, source, correlation, request, body, replay_of = row
    return StoredEvent(
        UUID(bytes=identifier),
        endpoint,
        tenant,
        kind,
        from_microseconds(received_at),
        source,
        correlation,
        request,
        body,
        UUID(bytes=replay_of) if replay_of else None,
    )
