"""What runs answered to whoever sent the event that started them, and how runs ended that said nothing."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, delete, select

from kanca.domain.ids import id_at
from kanca.domain.status import (
    DeliveryStatus,
    EventStatus,
    OutcomeStatus,
    depends_on_deliveries,
    event_status,
)
from kanca.storage.events import ended_deliveries, padded
from kanca.storage.tables import answers, outcomes

_OF_RUNS = "workflow:"
_AS_ENDED = {
    EventStatus.SUCCEEDED: OutcomeStatus.SUCCEEDED,
    EventStatus.DEAD: OutcomeStatus.DEAD,
    EventStatus.SKIPPED: OutcomeStatus.SKIPPED,
}


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as a run gave it. Whether a gateway may send such headers is not looked at."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def read(connection: Connection, event_ids: Collection[UUID]) -> dict[UUID, StoredAnswer]:
    """Give the answers to those of these events that have one."""
    if not event_ids:
        return {}
    columns = answers.c.event_id, answers.c.status, answers.c.headers, answers.c.body
    query = select(*columns).where(answers.c.event_id.in_(padded(event_ids)))
    return {
        row.event_id: StoredAnswer(row.status, tuple(json.loads(row.headers).items()), bytes(row.body))
        for row in connection.execute(query)
    }


def ends(connection: Connection, event_ids: Collection[UUID]) -> dict[UUID, OutcomeStatus]:
    """Say how the run of each event ended, or where none was started, all of its work; without those that go on.

    An answer is stored before its run ends: who reads this first, and then the answers, overlooks none.
    """
    if not event_ids:
        return {}
    columns = outcomes.c.event_id, outcomes.c.work, outcomes.c.status, outcomes.c.works
    query: Select[Any] = select(*columns).where(
        outcomes.c.event_id.in_(padded(event_ids)),
        # The bounds let PostgreSQL look only at the days in question.
        outcomes.c.event_id.between(min(event_ids), max(event_ids)),
    )
    found: dict[UUID, list[Row[Any]]] = {}
    for row in connection.execute(query):
        found.setdefault(row.event_id, []).append(row)
    depend = [event_id for event_id, rows in found.items() if depends_on_deliveries(_said(rows))]
    delivered = ended_deliveries(connection, depend)
    ended = {
        event_id: _end(rows, delivered[event_id].numbers if event_id in delivered else {})
        for event_id, rows in found.items()
    }
    return {event_id: end for event_id, end in ended.items() if end is not None}


def drop_before(connection: Connection, moment: datetime, limit: int) -> int:
    """Delete up to ``limit`` answers to events from before ``moment``, the oldest first; gives how many."""
    oldest = select(answers.c.event_id).where(answers.c.event_id < id_at(moment))
    oldest = oldest.order_by(answers.c.event_id).limit(limit)
    return connection.execute(delete(answers).where(answers.c.event_id.in_(oldest))).rowcount


def _end(rows: Sequence[Row[Any]], delivered: Mapping[DeliveryStatus, int]) -> OutcomeStatus | None:
    for row in rows:
        if row.work.startswith(_OF_RUNS):
            return OutcomeStatus(row.status)
    return _AS_ENDED.get(event_status(_said(rows), delivered))


def _said(rows: Iterable[Row[Any]]) -> list[tuple[OutcomeStatus, int | None]]:
    return [(OutcomeStatus(row.status), row.works) for row in rows]
