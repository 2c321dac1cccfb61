"""Deliveries as workers leave them, put into the database without a worker."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select

from kanca.domain.delivery import Key, delivery_id, work_of
from kanca.domain.event import NewEvent
from kanca.domain.ids import IdFactory
from kanca.domain.status import DeliveryStatus, OutcomeStatus, ReplayOnly, ReplayStatus
from kanca.domain.subscription import Subscription
from kanca.domain.task import Attempt, DeadLetter, Delivery, NewTask, Replay, TaskKind
from kanca.storage import subscriptions
from kanca.storage.delivery_details import DeliverDetail
from kanca.storage.new_tasks import add_tasks
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import attempts, dead_letters, deliveries, outcomes, tasks
from tests import factories
from tests.factories import a_dead_letter, an_attempt, an_outcome, ids, new_event

BOX = SecretBox(["a key for tests"])
REPORT = (
    b'{"url":"https://shop.example.com/hook","status":500,"code":"http_status","message":"It answered 500"}'
)

_milliseconds = itertools.count(int(datetime.now(UTC).timestamp() * 1000))
later_ids = IdFactory(lambda: next(_milliseconds) / 1000)
"""Each later than the one before."""


def new_subscription(**values: Any) -> Subscription:
    """A subscription about to be created, that wants all that is published."""
    fields = {"id": "shop", "name": "Shop", "url": "https://shop.example.com/hook", "events": ("*",)}
    return factories.new_subscription(**fields | values)


async def subscribe(database: Database, **values: Any) -> Subscription:
    """A stored subscription."""
    return await database.write(subscriptions.create, BOX, new_subscription(**values))


async def publish(database: Database, **values: Any) -> NewEvent:
    """A published event that was dispatched: of one piece of work, unless ``works`` is given (None: not dispatched)."""
    works = values.pop("works", 1)
    event = new_event(**{"id": later_ids.new(), "endpoint": 0} | values)
    assert not isinstance((await database.accepting.append([event]))[0], Exception)

    def dispatched(connection: Connection) -> None:
        connection.execute(delete(tasks).where(tasks.c.ref == event.id))
        outcome = an_outcome(event, work="dispatch", status=OutcomeStatus.EXPANDED, works=works)
        connection.execute(insert(outcomes), asdict(outcome))

    if works is not None:
        await database.write(dispatched)
    return event


def a_delivery(key: Key, status: DeliveryStatus = DeliveryStatus.DELIVERED, **values: Any) -> Delivery:
    """A delivery that has ended."""
    now = datetime.now(UTC)
    is_delivered = status is DeliveryStatus.DELIVERED
    fields: dict[str, Any] = {
        "event_id": key[0],
        "subscription": key[1],
        "status": status,
        "attempts": 1,
        "reason": None if is_delivered else "http_status",
        "response_status": 200 if is_delivered else 500,
        "started_at": now,
        "finished_at": now,
        "attempt": b'{"url":"https://shop.example.com/hook","status":200}' if is_delivered else REPORT,
    }
    return Delivery(**fields | values)


def a_letter(event: NewEvent, number: int, **values: Any) -> DeadLetter:
    """The dead letter of a delivery."""
    fields = {"kind": TaskKind.DELIVER, "target": number, "work": work_of("shop"), "code": "http_status"}
    return a_dead_letter(event, **fields | values)


async def ended(database: Database, *rows: Delivery | DeadLetter | Attempt) -> None:
    """Store records."""
    table_of = {Delivery: deliveries, DeadLetter: dead_letters, Attempt: attempts}

    def write(connection: Connection) -> None:
        for row in rows:
            connection.execute(insert(table_of[type(row)]), asdict(row))

    await database.write(write)


async def opened(database: Database, key: Key, *, attempt: int = 0, **detail: Any) -> None:
    """Queue a delivery of which so many attempts have failed."""

    def write(connection: Connection) -> None:
        task = NewTask(TaskKind.DELIVER, *key, DeliverDetail(**detail).encode())
        add_tasks(connection, [task], datetime.now(UTC))
        its = tasks.c.ref == key[0], tasks.c.target == key[1]
        connection.execute(tasks.update().where(*its).values(attempt=attempt))

    await database.write(write)


def a_failed_attempt(event: NewEvent, number: int, **values: Any) -> Attempt:
    """A failed attempt of a delivery."""
    error = b'{"code":"http_status","message":"It answered 500","attempt":' + REPORT + b"}"
    fields = {"work": work_of("shop"), "call_id": delivery_id(event.id, number), "error": error}
    return an_attempt(event, **fields | values)


async def queued(database: Database, kind: TaskKind = TaskKind.DELIVER) -> list[Any]:
    """The tasks of a kind, in the order in which they were added."""
    query = select(tasks).where(tasks.c.kind == kind).order_by(tasks.c.id)
    return await database.read(lambda connection: list(connection.execute(query).all()))


async def records(database: Database) -> dict[Key, DeliveryStatus]:
    """The records of deliveries that have ended."""
    rows = await database.read(lambda connection: connection.execute(select(deliveries)).all())
    return {(row.event_id, row.subscription): DeliveryStatus(row.status) for row in rows}


def a_replay(**values: Any) -> Replay:
    """A replay of the last day."""
    now = datetime.now(UTC)
    fields: dict[str, Any] = {
        "id": ids.new(),
        "tenant": None,
        "subscription": None,
        "only": ReplayOnly.MISSING,
        "since": now - timedelta(hours=1),
        "until": now + timedelta(hours=1),
        "event_types": (),
        "rate_per_second": None,
        "status": ReplayStatus.PENDING,
        "position": None,
        "total": 0,
        "queued": 0,
        "created_at": now,
    }
    return Replay(**fields | values)


def changed(subscription: Subscription, **values: Any) -> Subscription:
    """The subscription with other values of its config."""
    return replace(subscription, config=replace(subscription.config, **values))


def keys_of(rows: Sequence[Any]) -> list[tuple[UUID, int]]:
    """What tasks of deliveries are about."""
    return [(row.ref, row.target) for row in rows]
