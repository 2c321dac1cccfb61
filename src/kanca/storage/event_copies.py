"""Replays of an event: events with the same bytes. Nothing points to them, so they are looked for.

Who makes one and who expunges the original take the same lock: what is made is found, or is not made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, select

from kanca.domain.event import NewEvent
from kanca.domain.expunged import expunged_at
from kanca.storage import redelivering
from kanca.storage.events import add_to_dispatch, as_replay, read_events
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


def make_replays(
    connection: Connection, originals: Sequence[UUID], new_id: Callable[[], UUID], now: datetime
) -> list[NewEvent]:
    """Store a new event with the bytes of each of these, to be dispatched; none of what is gone, or was expunged.

    Wake the workers once it has committed.
    """
    redelivering.lock(connection)
    stored = read_events(connection, originals)
    there = [stored[each] for each in originals if each in stored]
    new = [as_replay(event, new_id(), now) for event in there if expunged_at(event.request) is None]
    return add_to_dispatch(connection, new, now)


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
