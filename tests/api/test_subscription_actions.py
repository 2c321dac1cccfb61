"""Secrets of subscriptions, their public keys, and switching them on."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from structlog.testing import capture_logs

from kanca.api.access import AccessRule
from kanca.api.app import create_api
from kanca.api.guard import ManagementGuard
from kanca.api.services import Services
from kanca.domain.portal_token import PortalToken, make_token
from kanca.domain.subscription import SignatureKind, Subscription
from kanca.domain.subscription_health import Health
from kanca.outbound.keys import new_secret, public_key
from kanca.storage import subscriptions
from tests.api.conftest import Clock
from tests.api.subscribing import SUBSCRIPTIONS, change, create

PARTNER = f"{SUBSCRIPTIONS}/partner"


async def stored(services: Services) -> Subscription:
    found = await services.database.read(subscriptions.get, services.secret_box, "partner")
    assert found is not None
    return found


async def test_an_old_secret_signs_until_its_grace_is_over(client: httpx.AsyncClient, clock: Clock) -> None:
    made = await create(client, id="partner")
    rotated = await client.post(f"{PARTNER}/rotate-secret")
    assert rotated.headers["cache-control"] == "no-store"
    assert rotated.json()["secret"] not in (made["secret"], None)

    shown = await client.post(f"{PARTNER}/reveal-secret")
    assert shown.headers["cache-control"] == "no-store"
    assert shown.json()["secret"] == rotated.json()["secret"]
    assert [old["secret"] for old in shown.json()["old_secrets"]] == [made["secret"]]
    clock.advance(days=1)
    assert (await client.post(f"{PARTNER}/reveal-secret")).json()["old_secrets"] == []


async def test_a_secret_of_ones_own_takes_the_place_at_once_without_grace(
    client: httpx.AsyncClient,
) -> None:
    await create(client, id="partner")
    rotation = {"secret": "a secret of my own", "grace_seconds": 0}
    rotated = (await client.post(f"{PARTNER}/rotate-secret", json=rotation)).json()
    shown = (await client.post(f"{PARTNER}/reveal-secret")).json()
    assert rotated["secret"] == shown["secret"] == "a secret of my own"
    assert shown["old_secrets"] == []
    refused = await client.post(f"{PARTNER}/rotate-secret", json={"secret": "short"})
    assert refused.json()["code"] == "invalid_secret"


async def test_rotating_revealing_and_enabling_are_written_down_without_the_secrets(
    client: httpx.AsyncClient,
) -> None:
    made = await create(client, id="partner")
    with capture_logs() as logs:
        rotated = (await client.post(f"{PARTNER}/rotate-secret", json={"grace_seconds": 60})).json()
        await client.post(f"{PARTNER}/reveal-secret")
        await client.post(f"{PARTNER}/enable")
    assert [(line["action"], line["subject"]) for line in logs] == [
        ("subscription.secret_rotated", "partner"),
        ("subscription.secret_revealed", "partner"),
        ("subscription.enabled", "partner"),
    ]
    assert made["secret"] not in str(logs)
    assert rotated["secret"] not in str(logs)


async def test_where_there_is_no_secret_there_is_nothing_to_reveal(
    client: httpx.AsyncClient, services: Services
) -> None:
    await create(client, id="partner")
    await services.database.write(
        subscriptions.change, services.secret_box, "partner", lambda s: replace(s, secrets=())
    )
    answer = await client.post(f"{PARTNER}/reveal-secret")
    assert (answer.status_code, answer.json()["code"]) == (409, "secret_required")
    assert "Rotate it" in (await client.get(PARTNER)).json()["hint"]


@pytest.mark.parametrize(
    "action", ["rotate-secret", "reveal-secret", "enable", "test", "challenge", "jwks.json"]
)
async def test_nothing_is_done_with_a_subscription_that_there_is_not(
    client: httpx.AsyncClient, action: str
) -> None:
    method = "GET" if action == "jwks.json" else "POST"
    answer = await client.request(method, f"{SUBSCRIPTIONS}/nobody/{action}")
    assert (answer.status_code, answer.json()["code"]) == (404, "subscription_not_found")


async def test_public_keys_of_all_that_sign_are_given_to_receivers(
    client: httpx.AsyncClient, clock: Clock
) -> None:
    secret = new_secret(SignatureKind.ED25519)
    made = await create(client, id="partner", signature="ed25519", secret=secret)
    assert made["public_key"] == public_key(secret)
    rotated = (await client.post(f"{PARTNER}/rotate-secret", json={"grace_seconds": 60})).json()

    answer = await client.get(f"{PARTNER}/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    keys = answer.json()["keys"]
    raw = [b64decode(key.removeprefix("whpk_")) for key in (rotated["public_key"], made["public_key"])]
    assert [b64decode(key["x"].replace("-", "+").replace("_", "/") + "=") for key in keys] == raw
    assert {(key["kty"], key["crv"]) for key in keys} == {("OKP", "Ed25519")}
    assert not any("d" in key for key in keys)
    assert b64encode(b64decode(secret.removeprefix("whsk_"))[:32]).decode()[:40] not in answer.text

    clock.advance(seconds=60)
    assert len((await client.get(f"{PARTNER}/jwks.json")).json()["keys"]) == 1


async def test_shared_secrets_have_no_public_keys(client: httpx.AsyncClient) -> None:
    await create(client, id="partner")
    refused = [await client.get(f"{SUBSCRIPTIONS}/{name}/jwks.json") for name in ("partner", "nobody")]
    assert [answer.status_code for answer in refused] == [404, 404]
    # Nobody learns here which subscriptions there are.
    first, second = (answer.text.replace("nobody", "partner") for answer in refused)
    assert first == second


async def test_one_that_kanca_disabled_is_enabled_and_its_failing_counted_anew(
    client: httpx.AsyncClient, services: Services, clock: Clock
) -> None:
    await create(client, id="partner")

    def disable(before: Subscription) -> Subscription:
        return replace(before, disabled_reason="failing", disabled_at=clock.now)

    found = await services.database.write(subscriptions.change, services.secret_box, "partner", disable)
    health = Health(found.number, clock.now, clock.now, clock.now, "timeout")
    await services.database.write(subscriptions.note_health, [health])
    shown = (await client.get(PARTNER)).json()
    assert (shown["status"], shown["disabled_reason"], shown["active"]) == ("disabled", "failing", True)
    assert "failing" in shown["hint"]

    enabled = (await client.post(f"{PARTNER}/enable")).json()
    assert (enabled["status"], enabled["disabled_reason"], enabled["disabled_at"]) == ("active", None, None)
    assert enabled["health"]["failing_since"] is None
    assert enabled["health"]["last_error"] == "timeout"


async def test_one_that_a_person_switched_off_is_enabled_too(
    client: httpx.AsyncClient, services: Services
) -> None:
    await create(client, id="partner")
    assert (await change(client, "partner", active=False))["status"] == "inactive"
    assert (await client.post(f"{PARTNER}/enable")).json()["status"] == "active"
    assert (await stored(services)).is_active


async def test_a_tenant_reaches_its_own_and_nothing_of_the_operator(services: Services) -> None:
    keys = [b"k" * 32]
    rule = AccessRule(admin_key="the-key", is_bound_to_loopback=True)
    transport = httpx.ASGITransport(ManagementGuard(create_api(services), rule, keys, services.now))
    token = make_token(keys, PortalToken("acme", services.now() + timedelta(hours=1), is_read_only=False))
    acme = {"authorization": f"Bearer {token}"}
    wanted = {"url": "https://acme.example/", "events": ["*"]}
    async with httpx.AsyncClient(transport=transport, base_url="http://kanca.test") as client:
        operator = {"authorization": "Bearer the-key"}
        await client.post(SUBSCRIPTIONS, json=wanted | {"id": "partner"}, headers=operator)
        made = await client.post(SUBSCRIPTIONS, json=wanted | {"id": "own"}, headers=acme)
        listed = (await client.get(SUBSCRIPTIONS, headers=acme)).json()
        for method, path, body in (
            ("GET", "", None),
            ("PUT", "", {"name": "Taken"}),
            ("DELETE", "", None),
            ("POST", "/test", None),
            ("POST", "/rotate-secret", None),
            ("POST", "/reveal-secret", None),
            ("POST", "/enable", None),
            ("POST", "/challenge", None),
        ):
            answer = await client.request(method, PARTNER + path, json=body, headers=acme)
            assert (answer.status_code, answer.json()["code"]) == (404, "subscription_not_found"), path
        refused = [
            await client.post(SUBSCRIPTIONS, json=wanted | {"tenant": "default"}, headers=acme),
            await client.post(SUBSCRIPTIONS, json=wanted | {"credential": "shop"}, headers=acme),
            await client.put(f"{SUBSCRIPTIONS}/own", json={"sources": ["orders"]}, headers=acme),
        ]
    assert made.json()["tenant"] == "acme"
    assert [each["id"] for each in listed["items"]] == ["own"]
    assert {answer.json()["code"] for answer in refused} == {"not_for_tenants"}
