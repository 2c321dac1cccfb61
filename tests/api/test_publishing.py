from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from kanca.api.app import create_api
from kanca.api.publishing import MAX_BATCH_BYTES
from kanca.api.services import Services
from kanca.domain.task import TaskKind
from kanca.errors import CommitQueueFull, DatabaseUnavailable
from kanca.outbound.publisher import Publisher
from kanca.outbound.publishing import MAX_PAYLOAD_BYTES
from kanca.storage.ports import Database
from kanca.storage.tables import dedupe, events
from tests.api.conftest import Clock, Wakes, speaking_to
from tests.api.rows import waiting

TRIGGER = "/events/trigger"
BATCH = "/events/trigger/batch"
EVENT: dict[str, Any] = {"event_type": "order.created", "payload": {"id": 4711}}


async def trigger(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post(TRIGGER, json=EVENT | changes)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def refused(client: httpx.AsyncClient, body: Any, path: str = TRIGGER) -> tuple[int, str, str]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await client.post(path, content=content)
    return answer.status_code, answer.json()["code"], answer.json()["detail"]


async def bodies(database: Database) -> list[bytes]:
    query = select(events.c.body).order_by(events.c.id)
    return await database.read(lambda connection: list(connection.scalars(query)))


async def test_a_published_event_is_stored_with_its_work(
    client: httpx.AsyncClient, database: Database, wakes: Wakes
) -> None:
    done = await trigger(client, event_id="order-4711", tenant="shop", correlation_id="basket 7")

    assert done == {
        "status": "event_triggered",
        "event_type": "order.created",
        "event_id": "order-4711",
        "id": done["id"],
        "subscriber_count": 0,
    }
    found = (await client.get(f"/api/events/{done['id']}")).json()
    assert (found["tenant"], found["source_event_id"], found["correlation_id"]) == (
        "shop",
        "order-4711",
        "basket 7",
    )
    assert found["payload"] == {"event_type": "order.created", "data": {"id": 4711}}
    assert [task.kind for task in await waiting(database)] == [TaskKind.DISPATCH]
    assert wakes.count == 1


async def test_without_an_id_kancas_own_is_the_id_and_each_is_an_event(client: httpx.AsyncClient) -> None:
    one, other = await trigger(client), await trigger(client)

    assert one["event_id"] == one["id"]
    assert one["id"] != other["id"]


@pytest.mark.parametrize(
    "payload",
    [b'{"total":1.50,"n":123456789012345678901234567890,"n":1}', b"[ 1e999 ]", b'"\\u00e7"', "ş".join('""').encode()],
)  # fmt: skip
async def test_the_payload_stays_as_it_was_written(
    client: httpx.AsyncClient, database: Database, payload: bytes
) -> None:
    wrapped = b'{"payload":  ' + payload + b' , "event_type": "a"}'
    assert (await client.post(TRIGGER, content=wrapped)).status_code == 202
    assert (await client.post(f"{TRIGGER}?event_type=a", content=payload + b"\n")).status_code == 202

    assert await bodies(database) == [b'{"event_type":"a","data":' + payload + b"}"] * 2


async def test_the_whole_body_may_be_the_payload(client: httpx.AsyncClient) -> None:
    query = {"event_type": "order.created", "event_id": "a", "tenant": "shop", "correlation_id": "c"}
    done = (await client.post(TRIGGER, params=query, json={"event_type": "is just data"})).json()

    found = (await client.get(f"/api/events/{done['id']}")).json()
    assert (done["event_type"], done["event_id"], found["tenant"]) == ("order.created", "a", "shop")
    assert found["payload"]["data"] == {"event_type": "is just data"}
    code = await refused(client, EVENT, f"{TRIGGER}?event_id=a")
    assert code[:2] == (422, "invalid_request")


async def test_an_id_is_one_event_for_seven_days(client: httpx.AsyncClient, database: Database) -> None:
    first = await trigger(client, event_id="a")
    again = await trigger(client, event_id="a", payload={"id": 4711.0})

    assert again == first | {"status": "already_triggered"}
    for change in ({"payload": {"id": 1}}, {"event_type": "order.deleted"}):
        code = await refused(client, EVENT | {"event_id": "a"} | change)
        assert code[:2] == (409, "event_id_taken")
    assert len(await bodies(database)) == 1


async def test_an_id_is_not_kept_for_longer_than_its_event(
    client: httpx.AsyncClient, services: Services, database: Database, clock: Clock
) -> None:
    async with speaking_to(create_api(replace(services, retention_days=2))) as short_lived:
        await trigger(short_lived, event_id="a")
    await trigger(client, event_id="b")

    query = select(dedupe.c.expires_at).order_by(dedupe.c.expires_at)
    ends = await database.read(lambda connection: list(connection.scalars(query)))
    assert ends == [clock.now + timedelta(days=2), clock.now + timedelta(days=7)]


async def test_what_comes_round_says_how_often(client: httpx.AsyncClient, database: Database) -> None:
    for header in ("3", "x", "-1", "9" * 30):
        answer = await client.post(TRIGGER, json=EVENT, headers={"X-Webhook-Hops": header})
        assert answer.status_code == 202
    query = select(events.c.request).order_by(events.c.id)
    requests = await database.read(lambda connection: list(connection.scalars(query)))

    assert [json.loads(request)["hops"] for request in requests] == [3, 0, 0, 999_999]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "invalid_request"),
        (b"{", 422, "invalid_request"),
        (b"[]", 422, "invalid_request"),
        (b"\xff", 422, "invalid_request"),
        (b"[" * 100_000, 422, "invalid_request"),
        ({"payload": {}}, 422, "invalid_request"),
        ({"event_type": "a"}, 422, "invalid_request"),
        (EVENT | {"type": "a"}, 422, "invalid_request"),
        (EVENT | {"event_id": 7}, 422, "invalid_request"),
        (EVENT | {"event_type": " "}, 422, "invalid_event"),
        (EVENT | {"event_type": "a" * 257}, 422, "invalid_event"),
        (EVENT | {"event_id": ""}, 422, "invalid_event"),
        (EVENT | {"event_id": "a\x00"}, 422, "invalid_event"),
        (EVENT | {"tenant": "a b"}, 422, "invalid_event"),
        (b'{"event_type":"a","payload":"\xff"}', 422, "invalid_event"),
        (b'{"event_type":"a","payload":' + b"[" * 300 + b"]" * 300 + b"}", 422, "invalid_event"),
        (EVENT | {"payload": "a" * MAX_PAYLOAD_BYTES}, 413, "payload_too_large"),
        (b" " * 2 * MAX_PAYLOAD_BYTES, 413, "payload_too_large"),
    ],
)
async def test_what_cannot_be_published_is_refused(
    client: httpx.AsyncClient, database: Database, body: Any, status: int, code: str
) -> None:
    assert (await refused(client, body))[:2] == (status, code)
    assert await bodies(database) == []


async def test_payloads_that_do_not_fit_an_enforced_schema_are_refused_with_the_place(
    client: httpx.AsyncClient,
) -> None:
    schema = {"properties": {"id": {"type": "integer"}}}
    await client.put("/api/event-types/order.created", json={"schema": schema, "enforced": True})
    answer = await client.post(TRIGGER, json=EVENT | {"payload": {"id": "x"}})

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["reason"]) == (
        422,
        "invalid_event",
        "payload_invalid",
    )
    assert problem["problems"][0]["location"] == "/id"
    assert (await trigger(client))["status"] == "event_triggered"


async def test_a_closed_catalogue_takes_only_what_it_has(services: Services, wakes: Wakes) -> None:
    publisher = Publisher(services.database, services.secret_box, wakes, is_catalogue_closed=True)
    async with speaking_to(create_api(replace(services, publisher=publisher))) as client:
        answer = await client.post(TRIGGER, json=EVENT)
        assert (answer.status_code, answer.json()["reason"]) == (422, "unknown_event_type")
        await client.put("/api/event-types/order.created", json={})
        assert (await client.post(TRIGGER, json=EVENT)).status_code == 202


@pytest.mark.parametrize("code", ["backlog_full", "disk_full"])
async def test_while_too_much_waits_nothing_is_published(services: Services, code: str) -> None:
    async with speaking_to(create_api(replace(services, closed_for=lambda: code))) as client:
        answer = await client.post(TRIGGER, json=EVENT)

    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert answer.headers["retry-after"] == "120"


class Failing(Publisher):
    """Stores nothing, for one reason."""

    def __init__(self, services: Services, error: Exception) -> None:
        self._error = error
        super().__init__(services.database, services.secret_box, services.wake)

    async def _append(self, batch: Any) -> Any:
        raise self._error


@pytest.mark.parametrize(
    ("error", "status", "retry_after"), [(DatabaseUnavailable(), 503, "5"), (CommitQueueFull(), 429, "60")]
)
async def test_what_cannot_be_stored_now_may_be_sent_again(
    services: Services, error: Exception, status: int, retry_after: str
) -> None:
    app = create_api(replace(services, publisher=Failing(services, error)))
    async with speaking_to(app) as client:
        answers = [
            await client.post(TRIGGER, json=EVENT),
            await client.post(BATCH, json={"events": [EVENT, EVENT]}),
        ]

    assert [(answer.status_code, answer.headers["retry-after"]) for answer in answers] == [
        (status, retry_after)
    ] * 2


async def test_each_event_of_a_batch_is_answered_for_itself(
    client: httpx.AsyncClient, database: Database
) -> None:
    batch = [
        EVENT | {"event_id": "a"},
        {"event_type": "a"},
        EVENT | {"event_id": "a"},
        EVENT | {"event_id": "a", "payload": 2},
        EVENT | {"event_type": " "},
        EVENT,
        7,
    ]
    answer = await client.post(BATCH, json={"events": batch})

    done = answer.json()
    assert answer.status_code == 202
    assert (done["triggered"], done["repeated"], done["refused"]) == (2, 1, 4)
    results = done["results"]
    assert [each["status"] for each in results] == [
        "event_triggered",
        "refused",
        "already_triggered",
        "refused",
        "refused",
        "event_triggered",
        "refused",
    ]
    assert results[0]["id"] == results[2]["id"]
    assert [each["problem"] and each["problem"]["code"] for each in results] == [
        None,
        "invalid_request",
        None,
        "event_id_taken",
        "invalid_event",
        None,
        "invalid_request",
    ]
    assert (results[3]["event_type"], results[3]["event_id"]) == ("order.created", "a")
    assert len(await bodies(database)) == 2


async def test_a_batch_of_a_thousand_is_one_of_few_commits(
    client: httpx.AsyncClient, database: Database, wakes: Wakes
) -> None:
    payloads = [b'{"event_type":"a","payload":%d.0}' % n for n in range(1_000)]
    answer = await client.post(BATCH, content=b'{"events":[' + b",".join(payloads) + b"]}")

    assert (answer.status_code, answer.json()["triggered"]) == (202, 1_000)
    assert wakes.count == 2
    assert sorted(await bodies(database)) == sorted(
        b'{"event_type":"a","data":%d.0}' % n for n in range(1_000)
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"events": []}, 422),
        ({"events": [EVENT] * 1_001}, 422),
        ({"events": {}}, 422),
        ([], 422),
        (b'{"events":[{]}', 422),
        (b" " * (MAX_BATCH_BYTES + 1), 413),
    ],
)
async def test_what_is_no_batch_is_refused(client: httpx.AsyncClient, body: Any, status: int) -> None:
    assert (await refused(client, body, BATCH))[0] == status


async def test_a_batch_of_nothing_but_wrong_events_is_answered_all_the_same(
    client: httpx.AsyncClient, clock: Clock
) -> None:
    answer = await client.post(BATCH, json={"events": [{}, {}]})

    assert (answer.status_code, answer.json()["refused"]) == (202, 2)
