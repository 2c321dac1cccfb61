"""Deliveries that are made again: their records are taken away, and what was known of their last attempts is kept.

Whoever does so locks first, so that of two who want the same one finds it open. That it ends meanwhile does no harm:
only what is not open is touched, and only by who has the lock.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, select

from kanca.domain.delivery import Key, delivery_id, work_of
from kanca.domain.ids import derived_id, id_at
from kanca.domain.status import DeliveryStatus
from kanca.domain.task import Attempt, Delivery
from kanca.storage.delivery_rows import IS_DELIVERY
from kanca.storage.dialects.locking import lock_names
from kanca.storage.events import padded
from kanca.storage.subscriptions import ids_of
from kanca.storage.tables import attempts, deliveries, tasks

DELIVERED = DeliveryStatus.DELIVERED.value
"""The code of a stored attempt that did not fail."""
_NAME = "deliveries that are made again"
_AT_ONCE = 500


def lock(connection: Connection) -> None:
    """Wait until nobody else makes deliveries again, and let nobody until this transaction ends."""
    lock_names(connection, [_NAME])


def open_among(connection: Connection, keys: Collection[Key]) -> set[Key]:
    """Give those of the deliveries that are open."""
    wanted, found = set(keys), set[Key]()
    for event_ids, numbers in _parts(wanted):
        query = select(tasks.c.ref, tasks.c.target).where(IS_DELIVERY, tasks.c.ref.in_(event_ids))
        if numbers:
            query = query.where(tasks.c.target.in_(numbers))
        found |= {(row.ref, row.target) for row in connection.execute(query)}
    return found & wanted


def statuses_among(connection: Connection, keys: Collection[Key]) -> dict[Key, DeliveryStatus]:
    """Give how those of the deliveries have ended that have a record."""
    columns = deliveries.c.event_id, deliveries.c.subscription, deliveries.c.status
    rows = _records(connection, select(*columns), keys)
    return {(row.event_id, row.subscription): DeliveryStatus(row.status) for row in rows}


def reopen(connection: Connection, keys: Collection[Key], now: datetime) -> dict[Key, int]:
    """Make deliveries that are not open count as open; gives the attempts that were made, of those that had a record.

    Records of what was delivered stay: it was. They are replaced when the delivery has ended anew.
    """
    rows = _records(connection, select(deliveries), keys)
    ended = {(row.event_id, row.subscription): _delivery(row) for row in rows}
    if not ended:
        return {}
    names = ids_of(connection, {number for _, number in ended})
    kept = [asdict(each) for each in _last_attempts(ended, names, now)]
    if kept:
        connection.execute(insert(attempts), kept)
    undelivered = [
        {"of_event": event_id, "of_subscription": number}
        for (event_id, number), each in ended.items()
        if each.status is not DeliveryStatus.DELIVERED
    ]
    if undelivered:
        connection.execute(_REMOVE, undelivered)
    return {key: each.attempts for key, each in ended.items()}


_REMOVE = delete(deliveries).where(
    deliveries.c.event_id == bindparam("of_event"), deliveries.c.subscription == bindparam("of_subscription")
)


def _last_attempts(
    ended: Mapping[Key, Delivery], names: Mapping[int, str], now: datetime
) -> Iterator[Attempt]:
    """The last attempts of deliveries, which until now were part of their records."""
    for key, each in ended.items():
        if each.attempt is None:
            continue
        event_id, number = key
        call_id = delivery_id(event_id, number)
        report = json.loads(each.attempt)
        code = report.get("code") or each.reason or DELIVERED
        message = report.get("message") or "The receiver has taken it."
        yield Attempt(
            id=derived_id(id_at(now), call_id.hex, str(each.attempts)),
            event_id=event_id,
            work=work_of(names.get(number, str(number))),
            call_id=call_id,
            attempt_number=each.attempts,
            started_at=each.started_at or each.finished_at,
            finished_at=each.finished_at,
            code=DELIVERED if each.status is DeliveryStatus.DELIVERED else code,
            error=json.dumps({"code": code, "message": message, "attempt": report}).encode(),
        )


def _records(connection: Connection, columns: Select[Any], keys: Collection[Key]) -> Iterator[Row[Any]]:
    wanted = set(keys)
    for event_ids, numbers in _parts(wanted):
        query = columns.where(
            deliveries.c.event_id.in_(event_ids),
            # The bounds let PostgreSQL look only at the days in question.
            deliveries.c.event_id.between(min(event_ids), max(event_ids)),
        )
        if numbers:
            query = query.where(deliveries.c.subscription.in_(numbers))
        for row in connection.execute(query):
            if (row.event_id, row.subscription) in wanted:
                yield row


def _parts(keys: Iterable[Key]) -> Iterator[tuple[list[UUID], list[int]]]:
    """The events of keys, some at a time, and the numbers that go with them; none when they are too many to name."""
    by_event: dict[UUID, set[int]] = {}
    for event_id, number in keys:
        by_event.setdefault(event_id, set()).add(number)
    event_ids = list(by_event)
    for start in range(0, len(event_ids), _AT_ONCE):
        part = event_ids[start : start + _AT_ONCE]
        numbers = set[int]().union(*(by_event[event_id] for event_id in part))
        yield padded(part), padded(numbers) if len(numbers) <= _AT_ONCE else []


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(**row._asdict() | {"status": DeliveryStatus(row.status)})
