"""What goes to ingest, and what to management."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from kanca.api.access import AccessRule
from kanca.app.gateway import is_ingest, open_gateway
from kanca.domain.endpoint import RECEIVE_WEBHOOK_ID
from kanca.settings import Settings
from kanca.storage.dialects import open_database
from kanca.workflows.nodes import built_in_registry
from tests.egress.receiver import receiving

ADMIN_KEY = "the-key-of-the-administrator"
MANAGER = {"authorization": f"Bearer {ADMIN_KEY}"}
WEBHOOK_SECRET = "the-secret-of-the-sender"


@asynccontextmanager
async def gateway_of(url: str, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway on the database at ``url``."""
    database = await open_database(url)
    access = AccessRule(admin_key=ADMIN_KEY, is_bound_to_loopback=True)
    given = Settings.model_validate({"database_url": url, "min_free_disk_mb": 0} | settings)
    try:
        async with (
            open_gateway(given, database, built_in_registry(), access, "gateway-1") as gateway,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(gateway.asgi), base_url="http://127.0.0.1:8000"
            ) as client,
        ):
            yield client
    finally:
        await database.close()


@pytest.mark.parametrize(
    "path",
    [
        "/api/webhooks/wh_000000000000000000000001",
        "/webhooks/receive",
        "/webhooks/stripe",
        "/webhooks/subscriptions-eu",
        "/webhooks/subscriptions.created",
    ],
)
def test_senders_call_these(path: str) -> None:
    assert is_ingest(path)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/health",
        "/webhooks",
        "/webhooks/subscriptions",
        "/webhooks/subscriptions/sub-1",
        "/api/webhooks/endpoints",
        "/api/webhooks/wh_000000000000000000000001/stats",
    ],
)
def test_these_are_management(path: str) -> None:
    assert not is_ingest(path)


async def test_management_shows_and_tests_the_built_in_endpoint_that_the_setting_turns_on(
    sqlite_url: str,
) -> None:
    body = b'{"event_type": "order.created", "event_id": "o-1", "data": {}}'
    signature = hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()
    async with gateway_of(sqlite_url, webhook_secret=WEBHOOK_SECRET) as client:
        headers = {"x-webhook-signature": signature}
        assert (await client.post("/webhooks/receive", content=body, headers=headers)).status_code == 200
        path = f"/api/webhooks/endpoints/{RECEIVE_WEBHOOK_ID}"
        shown = (await client.get(path, headers=MANAGER)).json()
        assert shown["is_active"]
        assert WEBHOOK_SECRET not in str(shown)
        listed = (await client.get("/api/webhooks/endpoints", headers=MANAGER)).json()["items"]
        assert RECEIVE_WEBHOOK_ID in {each["webhook_id"] for each in listed}
        tested = await client.post(f"/api/webhooks/{RECEIVE_WEBHOOK_ID}/test", headers=MANAGER)
        assert tested.json()["test_successful"]


async def test_an_endpoint_with_a_token_that_is_no_ascii_can_be_tested(sqlite_url: str) -> None:
    async with gateway_of(sqlite_url) as client:
        wanted = {"secret": "wht_…parola…"}
        made = (await client.post("/api/webhooks/endpoints", json=wanted, headers=MANAGER)).json()
        tested = await client.post(f"/api/webhooks/{made['webhook_id']}/test", headers=MANAGER)
    assert tested.json()["test_successful"]


async def test_without_the_key_of_the_secrets_senders_are_told_to_come_again(sqlite_url: str) -> None:
    async with gateway_of(sqlite_url, secret_key="the first key of all") as client:
        made = (await client.post("/api/webhooks/endpoints", json={}, headers=MANAGER)).json()
    bearer = {"authorization": f"Bearer {made['secret_token']}"}
    async with gateway_of(sqlite_url, secret_key="another key than that") as client:
        answer = await client.post(made["endpoint_path"], json={}, headers=bearer)
    assert (answer.status_code, answer.json()["code"]) == (503, "endpoint_unusable")
    assert "retry-after" in answer.headers


async def test_webhooks_of_providers_of_ones_own_are_taken(sqlite_url: str) -> None:
    signature = {"scheme": "hmac", "header": "X-Acme"}
    body, secret = b'{"kind": "order.paid"}', "the secret of acme"
    headers = {"x-acme": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}
    acme = {"signatures": [signature], "event_type": ["{body:kind}"]}
    wanted: list[dict[str, Any]] = [
        {"provider": "acme", "secret": secret},
        {"config": {"provider_spec": acme | {"name": "other"}}, "secret": secret},
    ]
    async with gateway_of(sqlite_url, providers={"acme": acme}) as client:
        for request in wanted:
            made = (await client.post("/api/webhooks/endpoints", json=request, headers=MANAGER)).json()
            taken = await client.post(made["endpoint_path"], content=body, headers=headers)
            changed = await client.post(made["endpoint_path"], content=body + b" ", headers=headers)
            [event] = (
                await client.get(f"/api/webhooks/{made['webhook_id']}/events", headers=MANAGER)
            ).json()["items"]
            assert (taken.status_code, changed.status_code) == (200, 401)
            assert event["event_type"] == "order.paid"
    async with gateway_of(sqlite_url) as client:
        items = (await client.get("/api/webhooks/endpoints", headers=MANAGER)).json()["items"]
        answers = {
            item["provider"]: (await client.post(item["endpoint_path"], content=body, headers=headers)).json()
            for item in items
        }
    assert answers["acme"]["code"] == "endpoint_unusable", "what is not known any more takes nothing"
    assert answers["other"]["status"] in ("accepted", "duplicate")


async def test_a_subscription_is_tested_as_it_is_sent_to_and_its_keys_are_for_anybody(
    sqlite_url: str,
) -> None:
    async with receiving() as receiver, gateway_of(sqlite_url, egress_allow="127.0.0.1") as client:
        token = {"kind": "bearer", "token": "a-token-of-the-partner"}
        await client.put("/api/credentials/partner", json=token, headers=MANAGER)
        wanted = {
            "id": "partner",
            "url": receiver.url("/hooks"),
            "events": ["*"],
            "signature": "ed25519",
            "credential": "partner",
        }
        made = await client.post("/webhooks/subscriptions", json=wanted, headers=MANAGER)
        assert made.status_code == 200, made.text
        tested = await client.post("/webhooks/subscriptions/partner/test", headers=MANAGER)
        assert tested.json()["status"] == "delivered"
        keys = await client.get("/webhooks/subscriptions/partner/jwks.json")
        shown = await client.get("/webhooks/subscriptions/partner")
    [request] = receiver.requests
    assert request.headers["authorization"] == "Bearer a-token-of-the-partner"
    assert request.headers["webhook-signature"].startswith("v1a,")
    assert [key["kty"] for key in keys.json()["keys"]] == ["OKP"]
    assert shown.status_code == 401


async def test_a_subscription_is_not_made_where_requests_may_not_go(sqlite_url: str) -> None:
    async with gateway_of(sqlite_url, egress_ports="443") as client:
        for url, word in (("https://127.0.0.1/", "loopback"), ("https://partner.example:8443/", "8443")):
            wanted = {"url": url, "events": ["*"]}
            refused = await client.post("/webhooks/subscriptions", json=wanted, headers=MANAGER)
            assert refused.json()["code"] == "invalid_subscription"
            assert word in refused.json()["detail"]


async def test_publishing_needs_the_key_and_knows_the_catalogue_of_its_settings(sqlite_url: str) -> None:
    event = {"event_type": "order.created", "payload": {"id": 1}}
    async with gateway_of(sqlite_url, event_catalogue="closed") as client:
        answers = [
            await client.post("/events/trigger", json=event),
            await client.post("/events/trigger", json=event, headers=MANAGER),
        ]
        await client.put("/api/event-types/order.created", json={}, headers=MANAGER)
        answers.append(await client.post("/events/trigger", json=event, headers=MANAGER))
    assert [answer.status_code for answer in answers] == [401, 422, 202]


async def test_a_draining_gateway_publishes_nothing(sqlite_url: str) -> None:
    database = await open_database(sqlite_url)
    access = AccessRule(admin_key=ADMIN_KEY, is_bound_to_loopback=True)
    given = Settings.model_validate({"database_url": sqlite_url, "min_free_disk_mb": 0})
    event = {"event_type": "order.created", "payload": {"id": 1}}
    try:
        async with open_gateway(given, database, built_in_registry(), access, "gateway-1") as gateway:
            await gateway.drain(timedelta(seconds=5))
            transport = httpx.ASGITransport(gateway.asgi)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                answer = await client.post("/events/trigger", json=event, headers=MANAGER)
    finally:
        await database.close()
    assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")
