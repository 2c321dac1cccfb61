"""Replays of an event: events with the same bytes. Nothing points to them, so they are looked for."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, select

from kanca.storage.tables import events

LOOKED_AT = 20_000
"""Events of one query."""
AT_ONCE = 100
"""Events that are changed in one transaction."""


class Part(NamedTuple):
    """What one look found."""

    replays: tuple[UUID, ...]
    last: UUID | None
    """Where the next look begins; None: there is nothing more."""


def replays_after(connection: Connection, endpoint: int, original: UUID, after: UUID) -> Part:
    """Look at the next events of an endpoint for replays of that one."""
    query = (
        select(events.c.id, events.c.replay_of)
        .where(events.c.endpoint == endpoint, events.c.id > after)
        .order_by(events.c.id)
        .limit(LOOKED_AT)
    )
    rows = connection.execute(query).all()
    found = tuple(row.id for row in rows if row.replay_of == original)
    return Part(found, rows[-1].id if len(rows) == LOOKED_AT else None)
