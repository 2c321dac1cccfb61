"""Deliveries are one list, though the open ones are tasks and the ended ones records."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete

from kanca.domain.delivery import Key, delivery_id
from kanca.domain.event import NewEvent
from kanca.domain.ids import time_of
from kanca.domain.status import DeliveryStatus, EventStatus
from kanca.errors import InvalidInput
from kanca.storage import deliveries, event_list, events
from kanca.storage import tables as t
from kanca.storage.deliveries import DeliveryFilter, DeliveryView
from kanca.storage.ports import Database
from kanca.storage.scanning import Effort
from tests.factories import an_attempt, ids
from tests.sending import REPORT, a_delivery, a_failed_attempt, ended, opened, publish, subscribe

PENDING, RETRYING, DELIVERED, DEAD, SKIPPED = DeliveryStatus
TENANTS, TYPES = ("a", "b"), ("order.created", "order.paid")


async def _all(database: Database, wanted: DeliveryFilter, limit: int) -> list[tuple[Key, DeliveryStatus]]:
    found: list[DeliveryView] = []
    cursor = None
    while True:
        page = await database.read(deliveries.page, wanted, limit, cursor)
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return [(each.row.key, each.row.status) for each in found]


async def test_an_ended_delivery_is_read_back_with_its_attempts(database: Database) -> None:
    shop = await subscribe(database)
    event = await publish(database, source_event_id="order-1", tenant="default")
    failed = [a_failed_attempt(event, shop.number, attempt_number=number) for number in (1, 2)]
    record = a_delivery((event.id, shop.number), DEAD, attempts=3)
    await ended(database, record, *failed, an_attempt(event))

    found = await database.read(deliveries.get, delivery_id(event.id, shop.number))

    assert found is not None
    assert found.id == delivery_id(event.id, shop.number)
    assert (found.subscription_id, found.event_type, found.tenant, found.source_event_id) == (
        "shop",
        "order.created",
        "default",
        "order-1",
    )
    row = found.row
    assert (row.status, row.attempts, row.reason, row.response_status) == (DEAD, 3, "http_status", 500)
    assert (row.started_at, row.finished_at, row.next_attempt_at) == (
        record.started_at,
        record.finished_at,
        None,
    )
    assert found.last_attempt == REPORT
    assert await database.read(deliveries.attempts_of, found) == tuple(failed)
    for nothing in (ids.new(), delivery_id(event.id, 99), event.id, *map(_uuid, (0, 2**128 - 1))):
        assert await database.read(deliveries.get, nothing) is None


def _uuid(number: int) -> Any:
    return type(ids.new())(int=number)


async def test_an_open_delivery_says_how_often_it_was_tried(database: Database) -> None:
    shop = await subscribe(database)
    event = await publish(database)
    key = event.id, shop.number
    expected = ((0, 0, PENDING), (2, 0, RETRYING), (0, 3, RETRYING), (1, 3, RETRYING))
    for attempt, before, status in expected:
        await database.write(lambda connection: connection.execute(delete(t.tasks)) and None)
        await opened(database, key, attempt=attempt, attempts=before)
        found = await database.read(deliveries.get, delivery_id(*key))
        assert found is not None
        assert (found.row.status, found.row.attempts) == (status, attempt + before)


async def test_what_is_open_again_is_not_listed_as_it_ended(database: Database) -> None:
    shop = await subscribe(database)
    key = (await publish(database)).id, shop.number
    await ended(database, a_delivery(key))
    await opened(database, key, attempts=1)

    assert await _all(database, DeliveryFilter(), 5) == [(key, RETRYING)]
    assert await _all(database, DeliveryFilter(status=DELIVERED), 5) == []
    found = await database.read(deliveries.get, delivery_id(*key))
    assert found is not None
    assert (found.row.status, found.last_attempt) == (RETRYING, None)


cells = st.sampled_from([None, PENDING, RETRYING, DELIVERED, DEAD, SKIPPED, "delivered and open"])


@given(
    rows=st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=6),
    limit=st.integers(1, 5),
    effort=st.sampled_from([Effort(500, 20_000), Effort(2, 20_000), Effort(3, 5)]),
)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_filter_finds_what_it_says_page_by_page(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[list[Any]],
    limit: int,
    effort: Effort,
) -> None:
    for name in ("IN_DATABASE", "ROW_BY_ROW"):
        monkeypatch.setattr(deliveries, name, effort)
    await database.write(_clear)
    stored = [
        await publish(database, tenant=TENANTS[number % 2], type=TYPES[number // 2 % 2])
        for number in range(len(rows))
    ]
    model: dict[Key, DeliveryStatus] = {}
    for event, row in zip(stored, rows, strict=True):
        for number, cell in enumerate(row, start=1):
            await _put(database, model, (event.id, number), cell)
    by_id = {event.id: event for event in stored}
    middle = stored[len(stored) // 2]

    def expected(wanted: DeliveryFilter) -> list[tuple[Key, DeliveryStatus]]:
        return [
            (key, status)
            for key, status in sorted(model.items(), reverse=True)
            if _fits(wanted, by_id[key[0]], key, status)
        ]

    filters = [
        DeliveryFilter(),
        *(DeliveryFilter(status=status) for status in DeliveryStatus),
        DeliveryFilter(subscriptions=[2]),
        DeliveryFilter(subscriptions=[1, 3]),
        DeliveryFilter(subscriptions=[]),
        *(DeliveryFilter(subscriptions=[2], status=status) for status in DeliveryStatus),
        DeliveryFilter(tenant="a"),
        DeliveryFilter(tenant="b", status=DEAD),
        DeliveryFilter(event_type="order.paid"),
        DeliveryFilter(event_id=middle.id),
        DeliveryFilter(event_id=middle.id, status=SKIPPED),
        DeliveryFilter(since=time_of(middle.id)),
        DeliveryFilter(until=time_of(middle.id)),
        DeliveryFilter(event_id=middle.id, until=time_of(middle.id)),
    ]
    for wanted in filters:
        assert await _all(database, wanted, limit) == expected(wanted), wanted


def _clear(connection: Connection) -> None:
    for table in (t.deliveries, t.tasks):
        connection.execute(delete(table))


async def _put(database: Database, model: dict[Key, DeliveryStatus], key: Key, cell: Any) -> None:
    if cell in (DELIVERED, DEAD, SKIPPED, "delivered and open"):
        await ended(database, a_delivery(key, cell if isinstance(cell, DeliveryStatus) else DELIVERED))
    if cell in (PENDING, RETRYING, "delivered and open"):
        await opened(database, key, attempt=0 if cell == PENDING else 1)
    if cell is not None:
        model[key] = cell if isinstance(cell, DeliveryStatus) else RETRYING


def _fits(wanted: DeliveryFilter, event: NewEvent, key: Key, status: DeliveryStatus) -> bool:
    return (
        (wanted.subscriptions is None or key[1] in wanted.subscriptions)
        and wanted.tenant in {None, event.tenant}
        and wanted.event_type in {None, event.type}
        and wanted.status in {None, status}
        and wanted.event_id in {None, event.id}
        and (wanted.since is None or time_of(event.id) >= wanted.since)
        and (wanted.until is None or time_of(event.id) < wanted.until)
    )


async def test_a_cursor_of_another_list_is_refused(database: Database) -> None:
    for cursor in ("?", "MTI", "MDE5NTAzZjBhMWMyN2QzZThmMDBiNGE2YzhkMmUxZjAuLTE"):
        with pytest.raises(InvalidInput, match="cursor"):
            await database.read(deliveries.page, cursor=cursor)


async def test_an_event_goes_on_until_its_deliveries_have_ended(database: Database) -> None:
    event = await publish(database, works=3)

    async def status() -> EventStatus:
        one = (await database.read(events.statuses_of, [event.id]))[event.id]
        [listed] = (await database.read(event_list.page)).items
        told = (await database.read(events.originals, [event.id]))[event.id]
        assert one is listed.status is told.status
        return one

    assert await status() is EventStatus.PENDING
    await ended(database, a_delivery((event.id, 1)), a_delivery((event.id, 2), SKIPPED))
    assert await status() is EventStatus.PENDING
    last = a_delivery((event.id, 3))
    await ended(database, last)
    assert await status() is EventStatus.SUCCEEDED
    told = (await database.read(events.originals, [event.id]))[event.id]
    assert told.processed_at == last.finished_at


@pytest.mark.parametrize(
    ("statuses", "status"),
    [([DEAD, DELIVERED], EventStatus.DEAD), ([SKIPPED, SKIPPED], EventStatus.SKIPPED)],
)
async def test_an_event_became_what_its_deliveries_became(
    database: Database, statuses: list[DeliveryStatus], status: EventStatus
) -> None:
    event = await publish(database, works=2)
    await ended(
        database, *(a_delivery((event.id, number), each) for number, each in enumerate(statuses, start=1))
    )
    assert (await database.read(events.statuses_of, [event.id]))[event.id] is status
    page = await database.read(event_list.page, event_list.EventFilter(status=status))
    assert [each.event.id for each in page.items] == [event.id]


async def test_deliveries_of_an_event_are_counted_by_where_they_are(database: Database) -> None:
    event = await publish(database, works=6)
    await ended(
        database,
        a_delivery((event.id, 1)),
        a_delivery((event.id, 2), DEAD),
        a_delivery((event.id, 3)),
        a_failed_attempt(event, 2),
    )
    await opened(database, (event.id, 3), attempts=1)
    await opened(database, (event.id, 4), replay="rpl_1")
    await opened(database, (event.id, 5), attempt=2)

    assert await database.read(deliveries.count_of, event.id) == {
        DELIVERED: 1,
        DEAD: 1,
        PENDING: 1,
        RETRYING: 2,
    }
    found = await database.read(event_list.get, event.id)
    assert found is not None
    assert found.attempts == ()


async def test_pages_of_many_deliveries_of_one_event_do_not_read_all_of_them(database: Database) -> None:
    event = await publish(database, works=40)
    for number in range(1, 41):
        await ended(database, a_delivery((event.id, number)))
    page = await database.read(deliveries.page, DeliveryFilter(event_id=event.id), 15)
    assert [each.row.key[1] for each in page.items] == list(range(40, 25, -1))
    late = DeliveryFilter(event_id=event.id, since=event.received_at + timedelta(hours=1))
    assert (await database.read(deliveries.page, late)).items == ()
