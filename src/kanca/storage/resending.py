"""Deliveries that a person or a replay wants again: the same delivery, of the same name at the receiver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from kanca.domain.delivery import ADDED_WORK, Key
from kanca.domain.status import OutcomeStatus
from kanca.domain.task import NewTask, TaskKind
from kanca.errors import DeliveryNotFound, DeliveryOpen, PayloadExpunged, SubscriptionNotFound
from kanca.storage import dead_letters, redelivering
from kanca.storage.delivery_details import DeliverDetail
from kanca.storage.dialects.upsert import upsert
from kanca.storage.expunging import expunged_among
from kanca.storage.new_tasks import add_tasks
from kanca.storage.tables import outcomes, subscriptions

AT_ONCE = timedelta(0)


def resend(connection: Connection, key: Key, now: datetime) -> None:
    """Have a delivery that has ended made once more, whatever became of it. Wake the workers once it has committed.

    Raises DeliveryOpen when it has not ended, or somebody else resends it; SubscriptionNotFound when there is nobody to
    send it to any more; PayloadExpunged; DeliveryNotFound.
    """
    event_id, number = key
    query = select(subscriptions.c.number).where(
        subscriptions.c.number == number, subscriptions.c.deleted_at.is_(None)
    )
    if connection.scalar(query) is None:
        raise SubscriptionNotFound("The subscription of this delivery was deleted")
    redelivering.lock(connection)
    if redelivering.open_among(connection, [key]):
        raise DeliveryOpen("The delivery has not ended: another attempt follows by itself")
    if expunged_among(connection, [event_id]):
        raise PayloadExpunged("The payload of this delivery's event was expunged: there is nothing to send")
    if key not in redelivering.statuses_among(connection, [key]):
        raise DeliveryNotFound("There is no such delivery any more")
    send_again(connection, [key], now)


def send_again(
    connection: Connection,
    keys: Sequence[Key],
    now: datetime,
    *,
    replay: str | None = None,
    apart: timedelta = AT_ONCE,
) -> None:
    """Queue deliveries none of which is open, each so much later than the one before.

    The caller holds the lock (``redelivering.lock``). Their dead letters go, and their events are pending again; where
    an event has had no such delivery, its work has grown by one. They are in no order.
    """
    dead_letters.settle_deliveries(connection, keys, now)
    made = redelivering.reopen(connection, keys, now)
    _add_work(connection, [key for key in keys if key not in made])
    new = []
    for position, (event_id, number) in enumerate(keys):
        detail = DeliverDetail(attempts=made.get((event_id, number), 0), replay=replay)
        due_at = now + position * apart if position and apart else None
        new.append(NewTask(TaskKind.DELIVER, event_id, number, detail.encode(), due_at=due_at))
    add_tasks(connection, new, now)


def _add_work(connection: Connection, keys: Collection[Key]) -> None:
    rows = [
        {
            "event_id": event_id,
            "work": ADDED_WORK,
            "status": OutcomeStatus.ADDED,
            "works": number,
            "attempt_number": 1,
        }
        for event_id, number in Counter(event_id for event_id, _ in keys).items()
    ]
    upsert(connection, outcomes, rows, lambda new: {"works": outcomes.c.works + new.works})
