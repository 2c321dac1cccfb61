from __future__ import annotations

from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from kanca.domain.delivery import Key, delivery_id
from kanca.domain.ids import DELIVERY, show_id
from kanca.domain.status import DeliveryStatus
from kanca.storage.ports import Database
from tests.api.conftest import Wakes
from tests.api.rows import shown
from tests.sending import (
    a_delivery,
    a_failed_attempt,
    a_letter,
    ended,
    keys_of,
    opened,
    publish,
    queued,
    subscribe,
)

DELIVERIES = "/api/deliveries"


def name(key: Key) -> str:
    return show_id(DELIVERY, delivery_id(*key))


async def test_deliveries_are_listed_those_of_the_newest_events_first(
    client: httpx.AsyncClient, database: Database
) -> None:
    shop, other = await subscribe(database), await subscribe(database, id="other")
    old = await publish(database, type="order.paid", tenant="acme")
    new = await publish(database, source_event_id="order-1")
    keys = [(new.id, other.number), (new.id, shop.number), (old.id, shop.number)]
    await ended(database, a_delivery(keys[1]), a_delivery(keys[2], DeliveryStatus.DEAD, attempts=10))
    await opened(database, keys[0], attempt=2)

    async def listed(**query: Any) -> list[str]:
        answer = await client.get(DELIVERIES, params=query)
        return [item["id"] for item in answer.json()["items"]]

    first = (await client.get(DELIVERIES, params={"limit": 2})).json()
    second = (await client.get(DELIVERIES, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [item["id"] for item in first["items"] + second["items"]] == [name(key) for key in keys]
    assert second["next_cursor"] is None
    assert [item["status"] for item in first["items"]] == ["retrying", "delivered"]
    assert first["items"][1] | {"started_at": "", "finished_at": ""} == {
        "id": name(keys[1]),
        "event_id": shown(new),
        "subscription_id": "shop",
        "event_type": "order.created",
        "tenant": "default",
        "source_event_id": "order-1",
        "status": "delivered",
        "attempt_count": 1,
        "reason": None,
        "response_status": 200,
        "started_at": "",
        "finished_at": "",
        "next_attempt_at": None,
    }
    assert await listed(subscription_id="other") == [name(keys[0])]
    assert await listed(event_id=shown(new)) == [name(key) for key in keys[:2]]
    assert await listed(event_type="order.paid") == [name(keys[2])]
    assert await listed(tenant="acme") == [name(keys[2])]
    assert await listed(status="dead") == [name(keys[2])]
    assert await listed(status="pending") == []


async def test_a_delivery_is_read_with_each_of_its_attempts(
    client: httpx.AsyncClient, database: Database
) -> None:
    shop = await subscribe(database)
    event = await publish(database)
    key = event.id, shop.number
    await ended(
        database,
        a_failed_attempt(event, shop.number, code="http_status"),
        a_failed_attempt(
            event,
            shop.number,
            attempt_number=2,
            code="internal_error",
            error=b'{"code":"internal_error","message":"A mistake"}',
        ),
        a_delivery(key, attempts=3),
    )

    found = (await client.get(f"{DELIVERIES}/{name(key)}")).json()

    assert (found["status"], found["attempt_count"]) == ("delivered", 3)
    assert [
        (each["number"], each["url"], each["status"], each["code"], each["message"])
        for each in found["attempts"]
    ] == [
        (1, "https://shop.example.com/hook", 500, "http_status", "It answered 500"),
        (2, None, None, "internal_error", "A mistake"),
        (3, "https://shop.example.com/hook", 200, None, None),
    ]


@pytest.mark.parametrize("status", [DeliveryStatus.DEAD, DeliveryStatus.DELIVERED])
async def test_a_delivery_that_has_ended_is_resent(
    client: httpx.AsyncClient, database: Database, wakes: Wakes, status: DeliveryStatus
) -> None:
    shop = await subscribe(database)
    event = await publish(database)
    key = event.id, shop.number
    await ended(database, a_delivery(key, status), a_letter(event, shop.number))

    with capture_logs() as logs:
        answer = await client.post(f"{DELIVERIES}/{name(key)}/resend")
    again = await client.post(f"{DELIVERIES}/{name(key)}/resend")

    assert answer.json() == {"status": "resend_scheduled", "id": name(key)}
    assert (again.status_code, again.json()["code"]) == (409, "delivery_open")
    assert keys_of(await queued(database)) == [key]
    assert wakes.count == 1
    assert logs[0]["action"] == "delivery.resent"
    found = (await client.get(f"{DELIVERIES}/{name(key)}")).json()
    assert (found["status"], found["attempt_count"], len(found["attempts"])) == ("retrying", 1, 1)
    assert (found["attempts"][0]["code"] is None) is (status is DeliveryStatus.DELIVERED)
    assert (await client.get("/admin/dlq")).json()["count"] == 0


async def test_an_event_says_how_many_deliveries_it_has(
    client: httpx.AsyncClient, database: Database
) -> None:
    event = await publish(database, works=3)
    await ended(database, a_delivery((event.id, 1)), a_delivery((event.id, 2), DeliveryStatus.DEAD))
    await opened(database, (event.id, 3))

    found = (await client.get(f"/api/events/{shown(event)}")).json()

    path = f"{DELIVERIES}?event_id={shown(event)}"
    numbers = {"total": 3, "pending": 1, "retrying": 0, "delivered": 1, "dead": 1, "skipped": 0}
    assert found["deliveries"] == {**numbers, "path": path}
    assert (found["status"], found["processed_at"], found["error_message"]) == ("pending", None, None)
    assert len((await client.get(path)).json()["items"]) == 3


async def test_an_event_whose_deliveries_are_dead_says_so(
    client: httpx.AsyncClient, database: Database
) -> None:
    event = await publish(database, works=2)
    await ended(database, a_failed_attempt(event, 2))
    first, last = a_delivery((event.id, 1)), a_delivery((event.id, 2), DeliveryStatus.DEAD)
    await ended(database, first, last)

    found = (await client.get(f"/api/events/{shown(event)}")).json()

    assert (found["status"], found["error_message"]) == ("dead", "1 of its deliveries is dead.")
    assert found["processed_at"] == last.finished_at.isoformat().replace("+00:00", "Z")


async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, database: Database) -> None:
    event = await publish(database)
    for delivery in (
        "x",
        "dlv_1",
        name((event.id, 1)),
        show_id(DELIVERY, event.id),
        f"dlv_{'f' * 32}",
        "%00",
    ):
        for method, path in (("GET", ""), ("POST", "/resend")):
            answer = await client.request(method, f"{DELIVERIES}/{delivery}{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "delivery_not_found"), delivery
    answer = await client.get(DELIVERIES, params={"subscription_id": "nobody"})
    assert (answer.status_code, answer.json()["code"]) == (404, "subscription_not_found")


async def test_what_cannot_be_is_refused(client: httpx.AsyncClient) -> None:
    for query in (
        "limit=0",
        "cursor=!",
        "cursor=MTI",
        "status=lost",
        "colour=red",
        "event_id=x",
        "subscription_id=%00",
        f"event_id=evt_{'f' * 32}&limit=0",
    ):
        assert (await client.get(f"{DELIVERIES}?{query}")).status_code == 422, query
    assert (await client.get(f"{DELIVERIES}?event_id=evt_{'f' * 32}")).json()["items"] == []
