from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, update
from structlog.testing import capture_logs

from kanca.api.services import Services
from kanca.domain.api_key import Role
from kanca.domain.subscription import SubscriptionConfig
from kanca.domain.subscription_config import show_subscription_config
from kanca.domain.subscription_health import Health
from kanca.domain.task import DELIVERY_LANES, NewTask, Park, TaskKind
from kanca.storage import subscriptions
from kanca.storage.ports import Database, LaneAsk
from kanca.storage.tables import subscriptions as subscriptions_table
from tests.api.conftest import Clock, Wakes
from tests.api.fleet import AS_ADMIN, bearer, fleet_of
from tests.api.subscribing import SUBSCRIPTIONS, URL, change, create
from tests.factories import ids
from tests.queueing import EVERYTHING, register, said

DELIVERIES = [LaneAsk(lane, 0, 1) for lane in DELIVERY_LANES]
BEARER = {"kind": "bearer", "token": "sk_live_0123456789"}


async def problems(client: httpx.AsyncClient, answer: httpx.Response) -> dict[str, str]:
    """What is wrong, by key."""
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_subscription"), answer.text
    return {problem["key"]: problem["message"] for problem in answer.json()["problems"]}


async def refused(client: httpx.AsyncClient, **values: Any) -> dict[str, str]:
    """What is wrong with a new subscription, by key."""
    asked = {"url": URL, "events": ["order.*"]} | values
    return await problems(client, await client.post(SUBSCRIPTIONS, json=asked))


async def test_a_new_subscription_is_told_its_secret_in_full_once(client: httpx.AsyncClient) -> None:
    answer = await client.post(SUBSCRIPTIONS, json={"url": URL, "events": ["order.*"]})
    made = answer.json()
    assert (made["status"], made["subscription_id"]) == ("created", made["id"])
    assert re.fullmatch(r"sub_[0-9a-f]{32}", made["id"])
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["secret"])
    assert answer.headers["cache-control"] == "no-store"
    assert made.items() >= show_subscription_config(SubscriptionConfig()).items()
    assert (made["name"], made["active"], made["sources"]) == ("partner.example", True, [])

    read = (await client.get(f"{SUBSCRIPTIONS}/{made['id']}")).json()
    assert read["status"] == "active"
    assert read["secret"] == "…" + made["secret"][-4:]
    assert (read["hint"], read["public_key"]) == (None, None)
    assert read["health"] == dict.fromkeys(
        ("failing_since", "last_success_at", "last_failure_at", "last_error")
    )
    assert (await client.get(SUBSCRIPTIONS)).json() == {"items": [read], "next_cursor": None}
    assert made["secret"] not in str(read)


async def test_all_that_is_given_is_shown_as_it_was_given(client: httpx.AsyncClient) -> None:
    await client.put("/api/credentials/shop", json=BEARER)
    given = {
        "id": "partner-orders",
        "name": "Partner",
        "tenant": "north",
        "url": "https://partner.example:8443/hooks?to=a",
        "events": ["order.created", "*.paid", "*"],
        "active": False,
        "sources": ["operational"],
        "filter": "event.data.total > 5",
        "transform": '{"text": event.type}',
        "headers": {"X-Team": "shop"},
        "timeout": 3.5,
        "retry_config": {"schedule": [1, 2.5], "retry_on": "any"},
        "rate_limit_per_second": 2,
        "max_in_flight": 3,
        "fifo": True,
        "fifo_key": "event.data.id",
        "signature": "hex",
        "signature_header": "X-Sig",
        "credential": "shop",
    }
    made = await create(client, **given, secret="sixteen characters")
    assert made.items() >= given.items()
    assert made["secret"] == "sixteen characters"
    read = (await client.get(f"{SUBSCRIPTIONS}/partner-orders")).json()
    assert read.items() >= given.items()
    assert read["status"] == "inactive"
    assert "not active" in read["hint"]


async def test_an_id_belongs_to_one_subscription_until_it_is_deleted(client: httpx.AsyncClient) -> None:
    await create(client, id="partner")
    again = await client.post(SUBSCRIPTIONS, json={"id": "partner", "url": URL, "events": ["*"]})
    assert (again.status_code, again.json()["code"]) == (409, "subscription_exists")
    deleted = await client.delete(f"{SUBSCRIPTIONS}/partner")
    assert deleted.json() == {"status": "deleted", "subscription_id": "partner"}
    assert (await client.delete(f"{SUBSCRIPTIONS}/partner")).status_code == 404
    assert (await create(client, id="partner"))["status"] == "created"


@pytest.mark.parametrize(
    ("values", "key", "words"),
    [
        ({"url": "http://127.0.0.1/hooks"}, "url", "loopback"),
        ({"events": []}, "events", "1 to 100"),
        ({"sources": ["wh_000000000000000000000abc"]}, "sources", "no endpoint"),
        ({"filter": "order.total > 5"}, "filter", "order"),
        ({"credential": "shop"}, "credential", "no credential 'shop'"),
        ({"max_in_flight": None}, "max_in_flight", "1 to"),
    ],
)
async def test_what_cannot_be_is_refused_when_it_is_saved(
    client: httpx.AsyncClient, values: dict[str, Any], key: str, words: str
) -> None:
    assert words in (await refused(client, **values))[key]
    assert (await client.get(SUBSCRIPTIONS)).json()["items"] == []
    await create(client, id="partner")
    answer = await client.put(f"{SUBSCRIPTIONS}/partner", json=values)
    assert words in (await problems(client, answer))[key]


async def test_all_that_is_wrong_is_said_at_once(client: httpx.AsyncClient) -> None:
    found = await refused(
        client, url="http://10.0.0.1", events=[], filter="(", credential="shop", sources=["x"]
    )
    assert found.keys() == {"url", "events", "filter", "credential", "sources"}


async def test_a_request_of_another_form_is_refused(client: httpx.AsyncClient) -> None:
    for values in (
        {"events": ["order\n.created"]},
        {"events": ["x" * 257]},
        {"events": "order.created"},
        {"id": "a b"},
        {"tenant": ""},
        {"active": "yes"},
        {"timeout": "5"},
        {"headers": {"X-Team": 5}},
        {"unknown": 1},
    ):
        answer = await client.post(SUBSCRIPTIONS, json={"url": URL, "events": ["order.*"]} | values)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), values


async def test_a_secret_that_cannot_sign_is_refused_without_repeating_it(client: httpx.AsyncClient) -> None:
    for signature, secret in (("standard", "a short one"), ("ed25519", "whsec_" + "A" * 43)):
        asked = {"url": URL, "events": ["*"], "signature": signature, "secret": secret}
        answer = await client.post(SUBSCRIPTIONS, json=asked)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_secret")
        assert secret not in answer.text


async def test_sources_are_endpoints_of_the_same_tenant_by_id_or_slug(client: httpx.AsyncClient) -> None:
    made = [
        (await client.post("/api/webhooks/endpoints", json=body)).json()["webhook_id"]
        for body in ({"slug": "orders"}, {}, {"tenant": "north", "slug": "far"})
    ]
    subscription = await create(client, sources=["orders", made[1], made[0], "operational"])
    assert subscription["sources"] == [made[0], made[1], "operational"]
    found = await refused(client, sources=["far"])
    assert found == {"sources": "'far' is an endpoint of another tenant"}
    north = await create(client, tenant="north", sources=["far"])
    assert north["sources"] == [made[2]]

    await client.delete(f"/api/webhooks/endpoints/{made[0]}")
    kept = await change(client, subscription["id"], name="Still there")
    assert kept["sources"] == subscription["sources"]


async def test_a_change_merges_what_is_given(client: httpx.AsyncClient, clock: Clock) -> None:
    made = await create(client, filter="event.data.total > 5", timeout=3, headers={"X-Team": "shop"})
    clock.advance(seconds=1)
    after = await change(client, made["id"], events=["invoice.*", "invoice.*"], timeout=None, headers={})
    changed: dict[str, Any] = {"events": ["invoice.*"], "timeout": None, "headers": {}, "status": "active"}
    still = made.keys() - changed.keys() - {"subscription_id", "attempt", "secret", "updated_at"}
    assert after.items() >= changed.items()
    assert {key: after[key] for key in still} == {key: made[key] for key in still}
    assert after["updated_at"] > made["updated_at"]
    assert (await change(client, made["id"], filter=None))["filter"] is None


async def test_what_cannot_be_null_stays(client: httpx.AsyncClient) -> None:
    await create(client, id="partner")
    nothing: dict[str, None] = dict.fromkeys(["url", "events", "name", "active", "sources"])
    answer = await client.put(f"{SUBSCRIPTIONS}/partner", json=nothing)
    assert await problems(client, answer) == dict.fromkeys(nothing, "cannot be null")


async def test_what_is_decided_when_it_is_created_is_not_taken_later(client: httpx.AsyncClient) -> None:
    await create(client, id="partner")
    for key in ("id", "tenant", "secret"):
        answer = await client.put(f"{SUBSCRIPTIONS}/partner", json={key: "sixteen-characters"})
        assert answer.json()["code"] == "invalid_request"


async def test_the_kind_of_signature_stays(client: httpx.AsyncClient) -> None:
    made = await create(client, signature="ed25519")
    answer = await client.put(f"{SUBSCRIPTIONS}/{made['id']}", json={"signature": "standard"})
    assert "make a new subscription" in (await problems(client, answer))["signature"]
    assert (await change(client, made["id"], signature="ed25519"))["signature"] == "ed25519"


async def test_they_are_listed_page_by_page_the_newest_first(client: httpx.AsyncClient) -> None:
    for name in ("a", "b", "c"):
        await create(client, id=name, tenant="north" if name == "b" else "default")
    first = (await client.get(SUBSCRIPTIONS, params={"limit": 2})).json()
    rest = (await client.get(SUBSCRIPTIONS, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == ["c", "b", "a"]
    assert rest["next_cursor"] is None
    north = (await client.get(SUBSCRIPTIONS, params={"tenant": "north"})).json()
    assert [item["id"] for item in north["items"]] == ["b"]


async def test_one_that_cannot_be_read_is_listed_with_the_reason(
    client: httpx.AsyncClient, database: Database
) -> None:
    await create(client, id="partner")

    def spoil(connection: Connection) -> None:
        connection.execute(update(subscriptions_table).values(secrets=b"spoilt", config='{"later": 1}'))

    await database.write(spoil)
    (item,) = (await client.get(SUBSCRIPTIONS)).json()["items"]
    assert "KANCA_SECRET_KEY" in item["hint"]
    assert "config" in item["hint"]
    assert item["secret"] is None


async def test_there_is_no_subscription_of_another_id(client: httpx.AsyncClient) -> None:
    for subscription_id in ("nobody", "a b", "%00"):
        answer = await client.get(f"{SUBSCRIPTIONS}/{subscription_id}")
        assert answer.json()["code"] == "subscription_not_found"
    assert (await client.put(f"{SUBSCRIPTIONS}/nobody", json={})).status_code == 404


async def test_how_the_receiver_is_is_shown(
    client: httpx.AsyncClient, services: Services, clock: Clock
) -> None:
    made = await create(client)
    found = await services.database.read(subscriptions.get, services.secret_box, made["id"])
    assert found is not None
    failing = Health(found.number, clock.now, clock.now - timedelta(hours=1), clock.now, "timeout")
    await services.database.write(subscriptions.note_health, [failing])
    health = (await client.get(f"{SUBSCRIPTIONS}/{made['id']}")).json()["health"]
    assert health["last_error"] == "timeout"
    assert health["failing_since"] == health["last_failure_at"] > health["last_success_at"]


@pytest.mark.parametrize("what", ["deleted", "changed", "enabled"])
async def test_deliveries_that_wait_for_it_are_looked_at_anew(
    client: httpx.AsyncClient, services: Services, database: Database, wakes: Wakes, what: str
) -> None:
    made = await create(client)
    found = await database.read(subscriptions.get, services.secret_box, made["id"])
    assert found is not None
    await database.queue.enqueue([NewTask(TaskKind.DELIVER, ids.new(), found.number)])
    worker = await register(database.queue)
    ((task, _),) = await database.queue.claim(worker, 1, EVERYTHING, DELIVERIES)
    await database.queue.finish(worker, [said(task, Park())])
    assert await database.queue.claim(worker, 1, EVERYTHING, DELIVERIES) == []
    before = wakes.count
    address = f"{SUBSCRIPTIONS}/{made['id']}"
    if what == "deleted":
        await client.delete(address)
    elif what == "changed":
        await change(client, made["id"], active=False)
    else:
        await client.post(f"{address}/enable")
    assert wakes.count == before + 1
    ((again, _),) = await database.queue.claim(worker, 1, EVERYTHING, DELIVERIES)
    assert again.id == task.id


async def test_each_change_is_written_down_without_the_secret(client: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        made = await create(client, id="partner")
        await change(client, "partner", active=False, timeout=5)
        await client.delete(f"{SUBSCRIPTIONS}/partner")
    assert [(line["action"], line["subject"]) for line in logs] == [
        ("subscription.created", "partner"),
        ("subscription.changed", "partner"),
        ("subscription.deleted", "partner"),
    ]
    assert logs[1]["fields"] == ["config.timeout", "is_active"]
    assert made["secret"] not in str(logs)


async def test_a_credential_that_a_subscription_names_stays(client: httpx.AsyncClient) -> None:
    await client.put("/api/credentials/shop", json=BEARER)
    await create(client, id="partner", credential="shop")
    await create(client, id="other", headers={"X-Credential": "shop"}, name='"shop"')
    answer = await client.delete("/api/credentials/shop")
    assert (answer.status_code, answer.json()["code"]) == (409, "credential_in_use")
    assert (answer.json()["subscriptions"], answer.json()["workflows"]) == (["partner"], [])
    assert "used by subscriptions partner" in answer.json()["detail"]
    assert (await client.get("/api/credentials/shop")).status_code == 200
    await change(client, "partner", credential=None)
    assert (await client.delete("/api/credentials/shop")).status_code == 200


async def test_a_tenant_has_no_credential_of_the_operator_s_sent_to_itself(services: Services) -> None:
    fleet = fleet_of(services)
    path, elsewhere = f"{SUBSCRIPTIONS}/partner", "https://mine.example/hooks"
    async with fleet.client:
        await fleet.ask("PUT", "/api/credentials/shop", BEARER)
        asked = {"id": "partner", "url": URL, "events": ["*"], "tenant": "acme", "credential": "shop"}
        await fleet.ask("POST", SUBSCRIPTIONS, asked)
        _, key = await fleet.key(Role.ADMIN, "acme")

        moved = await fleet.refusal("PUT", path, bearer(key), {"url": elsewhere})
        renamed = await fleet.refusal("PUT", path, bearer(key), {"url": URL, "name": "Partner"})
        by_operator = await fleet.refusal("PUT", path, AS_ADMIN, {"url": elsewhere})

    assert (moved, renamed, by_operator) == ((403, "not_for_tenants"), (200, ""), (200, ""))


async def test_subscribing_and_deleting_at_once_leaves_no_subscription_without_its_credential(
    client: httpx.AsyncClient,
) -> None:
    for turn in range(6):
        name = f"shop-{turn}"
        await client.put(f"/api/credentials/{name}", json=BEARER)
        await create(client, id=name)
        asked = {"url": URL, "events": ["*"], "credential": name}
        answers = await asyncio.gather(
            client.post(SUBSCRIPTIONS, json=asked),
            client.put(f"{SUBSCRIPTIONS}/{name}", json={"credential": name}),
            client.delete(f"/api/credentials/{name}"),
        )
        subscribed, changed, deleted = (answer.status_code for answer in answers)
        assert (deleted == 200) == (subscribed == changed == 422)
        assert deleted in (200, 409)
