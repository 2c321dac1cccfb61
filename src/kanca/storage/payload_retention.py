"""Payloads that are kept for a shorter time than their events: expunged some at a time, each looked at once.

An event whose work has not ended by then keeps its payload until it has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select

from kanca.domain.ids import id_at
from kanca.domain.published import PUBLISHED
from kanca.domain.subscription import OPERATIONAL_ENDPOINT
from kanca.storage.dialects.locking import lock_names
from kanca.storage.dialects.upsert import upsert
from kanca.storage.events import padded
from kanca.storage.expunging import expunge
from kanca.storage.tables import endpoints, events, payload_sweeps, payloads_in_use, rejections

AT_ONCE = 50
"""Events of one transaction: so few that nobody who accepts waits long for it."""


def retentions(connection: Connection, default: timedelta | None) -> dict[int, timedelta]:
    """Give how long payloads are kept, by endpoint number, deleted ones too; without those that keep them all."""
    found = {} if default is None else {PUBLISHED: default, OPERATIONAL_ENDPOINT: default}
    for row in connection.execute(select(endpoints.c.number, endpoints.c.config)):
        days = json.loads(row.config).get("payload_retention_days")
        kept = default if days is None else timedelta(days=days)
        if kept is not None:
            found[row.number] = kept
    return found


def due(connection: Connection, kept: Mapping[int, timedelta], now: datetime) -> list[int]:
    """Give those of the endpoints of which there is something that is older."""
    positions: dict[int, UUID] = {
        row.endpoint: row.position for row in connection.execute(select(payload_sweeps))
    }
    waiting = set(connection.scalars(select(payloads_in_use.c.endpoint).distinct()))
    return [
        number
        for number, retention in kept.items()
        if number in waiting or _next(connection, number, positions.get(number), now - retention, 1)
    ]


def sweep(connection: Connection, endpoint: int, before: datetime, now: datetime) -> int:
    """Expunge the next payloads of an endpoint's events from before that moment; gives how many were looked at.

    Its rejections from before then go too: they have the beginnings of bodies.
    """
    lock_names(connection, [f"payloads of {endpoint}"])
    position = connection.scalar(
        select(payload_sweeps.c.position).where(payload_sweeps.c.endpoint == endpoint)
    )
    following = _next(connection, endpoint, position, before, AT_ONCE)
    done = expunge(connection, following, now)
    if done.in_use:
        rows = [{"event_id": event_id, "endpoint": endpoint} for event_id in sorted(done.in_use)]
        connection.execute(insert(payloads_in_use), rows)
    if following:
        at = {"endpoint": endpoint, "position": following[-1]}
        upsert(connection, payload_sweeps, [at], lambda new: {"position": new.position})
    old = rejections.c.endpoint == endpoint, rejections.c.id < id_at(before)
    connection.execute(delete(rejections).where(*old))
    return len(following)


def sweep_those_in_use(
    connection: Connection, endpoint: int, after: UUID | None, now: datetime
) -> UUID | None:
    """Expunge what was in use when it was swept, and has ended since. Gives where to go on; None at the end."""
    query = select(payloads_in_use.c.event_id).where(payloads_in_use.c.endpoint == endpoint)
    if after is not None:
        query = query.where(payloads_in_use.c.event_id > after)
    waiting = list(connection.scalars(query.order_by(payloads_in_use.c.event_id).limit(AT_ONCE)))
    gone = expunge(connection, waiting, now).gone
    if gone:
        connection.execute(delete(payloads_in_use).where(payloads_in_use.c.event_id.in_(padded(gone))))
    return waiting[-1] if len(waiting) == AT_ONCE else None


def _next(
    connection: Connection, endpoint: int, position: UUID | None, before: datetime, limit: int
) -> list[UUID]:
    query = select(events.c.id).where(events.c.endpoint == endpoint, events.c.id < id_at(before))
    if position is not None:
        query = query.where(events.c.id > position)
    return list(connection.scalars(query.order_by(events.c.id).limit(limit)))
