"""Deliveries that are made again: nothing is made twice, and no attempt is forgotten."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from kanca.domain.delivery import Key, delivery_id
from kanca.domain.status import DeliveryStatus, EventStatus
from kanca.domain.task import TaskKind, TaskState
from kanca.errors import DeliveryNotFound, DeliveryOpen, SubscriptionNotFound
from kanca.storage import dead_letters, deliveries, events, statistics
from kanca.storage import subscriptions as subscriptions_store
from kanca.storage.delivery_details import read_detail
from kanca.storage.ports import Database
from kanca.storage.resending import resend
from tests.sending import (
    REPORT,
    a_delivery,
    a_failed_attempt,
    a_letter,
    ended,
    keys_of,
    opened,
    publish,
    queued,
    records,
    subscribe,
)

DELIVERED, DEAD, SKIPPED = DeliveryStatus.DELIVERED, DeliveryStatus.DEAD, DeliveryStatus.SKIPPED


def now() -> datetime:
    return datetime.now(UTC)


async def _status(database: Database, key: Key) -> EventStatus:
    return (await database.read(events.statuses_of, [key[0]]))[key[0]]


async def _attempts(database: Database, key: Key) -> list[tuple[int, str, Any]]:
    view = await database.read(deliveries.get, delivery_id(*key))
    assert view is not None
    found = await database.read(deliveries.attempts_of, view)
    return [(each.attempt_number, each.code, json.loads(each.error).get("attempt")) for each in found]


async def test_a_dead_delivery_that_is_resent_is_open_and_remembers_its_attempts(database: Database) -> None:
    shop = await subscribe(database)
    event = await publish(database)
    key = event.id, shop.number
    await ended(
        database,
        a_failed_attempt(event, shop.number),
        a_delivery(key, DEAD, attempts=2),
        a_letter(event, shop.number),
    )
    await database.write(statistics.add, "worker", [statistics.Counted(event.endpoint, now(), dead=2)])
    assert await _status(database, key) is EventStatus.DEAD

    await database.write(resend, key, now())

    [task] = await queued(database)
    assert (task.ref, task.target, task.state, task.attempt, task.order_key) == (
        *key,
        TaskState.READY,
        0,
        None,
    )
    assert read_detail(task.detail).attempts == 2
    assert await _status(database, key) is EventStatus.PENDING
    assert await database.read(dead_letters.count) == 0
    assert await records(database) == {}
    # The first one failed when it was made; the last one was part of the record.
    assert await _attempts(database, key) == [
        (1, "handler_failed", json.loads(REPORT)),
        (2, "http_status", json.loads(REPORT)),
    ]
    counted = await database.read(statistics.of_endpoints, [event.endpoint], now())
    assert counted[event.endpoint].total.dead == 1


async def test_a_delivered_delivery_keeps_its_record_until_it_has_ended_anew(database: Database) -> None:
    shop = await subscribe(database)
    event = await publish(database)
    key = event.id, shop.number
    await ended(database, a_delivery(key))

    await database.write(resend, key, now())

    assert await _status(database, key) is EventStatus.SUCCEEDED
    assert await records(database) == {key: DELIVERED}
    [(number, code, report)] = await _attempts(database, key)
    assert (number, code, report["status"]) == (1, "delivered", 200)


async def test_a_skipped_delivery_that_was_never_tried_has_nothing_to_remember(database: Database) -> None:
    shop = await subscribe(database)
    key = (await publish(database)).id, shop.number
    await ended(database, a_delivery(key, SKIPPED, attempts=0, attempt=None, started_at=None))

    await database.write(resend, key, now())

    [task] = await queued(database)
    assert task.detail is None
    assert await _attempts(database, key) == []


async def test_what_is_open_is_not_resent(database: Database) -> None:
    shop = await subscribe(database)
    key = (await publish(database)).id, shop.number
    await opened(database, key)
    with pytest.raises(DeliveryOpen):
        await database.write(resend, key, now())
    assert len(await queued(database)) == 1


async def test_what_is_not_there_is_not_resent(database: Database) -> None:
    shop = await subscribe(database)
    event = await publish(database)
    with pytest.raises(DeliveryNotFound):
        await database.write(resend, (event.id, shop.number), now())
    await ended(database, a_delivery((event.id, shop.number)))
    await database.write(subscriptions_store.delete, "shop", now())
    with pytest.raises(SubscriptionNotFound):
        await database.write(resend, (event.id, shop.number), now())
    assert await queued(database) == []


@pytest.mark.parametrize("status", [DELIVERED, DEAD])
async def test_of_many_who_resend_at_once_one_does(database: Database, status: DeliveryStatus) -> None:
    shop = await subscribe(database)
    event = await publish(database)
    key = event.id, shop.number
    await ended(database, a_delivery(key, status), a_letter(event, shop.number))

    answers = await asyncio.gather(
        *(database.write(resend, key, now()) for _ in range(6)), return_exceptions=True
    )

    assert sorted(type(answer).__name__ for answer in answers) == ["DeliveryOpen"] * 5 + ["NoneType"]
    assert keys_of(await queued(database)) == [key]
    assert len(await _attempts(database, key)) == 1


async def test_who_resends_and_who_retries_the_dead_letter_make_one_task(database: Database) -> None:
    shop = await subscribe(database)
    for _ in range(10):
        event = await publish(database)
        key = event.id, shop.number
        letter = a_letter(event, shop.number)
        await ended(database, a_delivery(key, DEAD), letter)

        await asyncio.gather(
            database.write(resend, key, now()),
            database.write(dead_letters.retry, letter.id, now()),
            return_exceptions=True,
        )

        assert keys_of(await queued(database))[-1] == key
        assert await _attempts(database, key) == [(1, "http_status", json.loads(REPORT))]
    assert len(await queued(database)) == 10
    assert await database.read(dead_letters.count) == 0


async def test_retrying_the_dead_letter_of_a_delivery_opens_it_again(database: Database) -> None:
    shop = await subscribe(database)
    event = await publish(database)
    key = event.id, shop.number
    letter = a_letter(event, shop.number, order_key=7)
    await ended(database, a_delivery(key, DEAD, attempts=4), letter)

    assert await database.write(dead_letters.retry, letter.id, now())

    [task] = await queued(database)
    assert (task.kind, task.ref, task.target, task.order_key) == (TaskKind.DELIVER, *key, 7)
    assert read_detail(task.detail).attempts == 4
    assert await _status(database, key) is EventStatus.PENDING
    assert await _attempts(database, key) == [(4, "http_status", json.loads(REPORT))]
