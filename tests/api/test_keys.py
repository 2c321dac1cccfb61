from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from kanca.api.services import Services
from kanca.domain.api_key import Role
from kanca.domain.ids import KEY, show_id
from tests.api.conftest import Clock
from tests.api.fleet import AS_ADMIN, Fleet, bearer, fleet_of

KEYS = "/api/keys"


@pytest.fixture
async def fleet(services: Services) -> AsyncIterator[Fleet]:
    fleet = fleet_of(services)
    async with fleet.client:
        yield fleet


async def make(fleet: Fleet, headers: dict[str, str] = AS_ADMIN, **asked: Any) -> httpx.Response:
    body = {"name": "shop", "role": "viewer"} | asked
    return await fleet.client.post(KEYS, json=body, headers=headers)


async def test_a_key_works_at_once_and_is_shown_only_once(fleet: Fleet) -> None:
    with capture_logs() as logs:
        made = await make(fleet, tenant="acme")
    key = made.json()

    read = await fleet.client.get(f"{KEYS}/{key['id']}", headers=AS_ADMIN)
    listed = await fleet.client.get(KEYS, headers=AS_ADMIN)

    assert made.headers["cache-control"] == "no-store"
    assert (await fleet.client.get("/api/events", headers=bearer(key["key"]))).status_code == 200
    assert read.json() == {name: value for name, value in key.items() if name != "key"}
    assert listed.json()["items"] == [read.json()]
    assert (key["role"], key["tenant"], key["created_by"], key["is_valid"]) == (
        "viewer",
        "acme",
        "admin_key",
        True,
    )
    assert [log["action"] for log in logs] == ["key.created"]
    assert key["key"] not in str(logs)


async def test_a_revoked_key_ends_at_once_and_stays_listed(fleet: Fleet) -> None:
    key = (await make(fleet)).json()

    revoked = await fleet.ask("DELETE", f"{KEYS}/{key['id']}")

    refused = await fleet.refusal("GET", "/api/events", bearer(key["key"]))
    assert refused == (401, "key_revoked")
    assert revoked["is_valid"] is False
    assert (await fleet.ask("GET", KEYS))["items"] == [revoked]


async def test_a_key_may_revoke_itself(fleet: Fleet) -> None:
    key = (await make(fleet, role="admin")).json()

    answer = await fleet.client.delete(f"{KEYS}/{key['id']}", headers=bearer(key["key"]))

    assert answer.status_code == 200
    assert (await fleet.client.get(KEYS, headers=AS_ADMIN)).status_code == 200


async def test_a_key_ends_with_its_time(fleet: Fleet, clock: Clock) -> None:
    key = (await make(fleet, expires_at=(clock.now + timedelta(minutes=1)).isoformat())).json()
    before = await fleet.refusal("GET", "/api/events", bearer(key["key"]))
    clock.advance(minutes=1)

    after = await fleet.refusal("GET", "/api/events", bearer(key["key"]))

    assert (before, after) == ((200, ""), (401, "key_expired"))
    assert (await fleet.ask("GET", f"{KEYS}/{key['id']}"))["is_valid"] is False


async def test_no_key_outlasts_the_one_it_is_made_with(fleet: Fleet, clock: Clock) -> None:
    end = clock.now + timedelta(hours=1)
    key_id, admin = await fleet.key(Role.ADMIN, expires_at=end)
    own = f"{KEYS}/{show_id(KEY, key_id)}"

    never = await make(fleet, bearer(admin))
    later = await make(fleet, bearer(admin), expires_at=(end + timedelta(seconds=1)).isoformat())
    as_long = await make(fleet, bearer(admin), expires_at=end.isoformat())
    own_life = [
        await fleet.refusal("PUT", own, bearer(admin), {"expires_at": value})
        for value in (None, (end + timedelta(days=1)).isoformat())
    ]

    assert [answer.json()["code"] for answer in (never, later)] == ["beyond_own_key"] * 2
    assert own_life == [(403, "beyond_own_key")] * 2
    assert datetime.fromisoformat(as_long.json()["expires_at"]) == end
    assert as_long.json()["created_by"] == show_id(KEY, key_id)


async def test_no_portal_token_outlasts_the_key_it_is_made_with(fleet: Fleet, clock: Clock) -> None:
    _, admin = await fleet.key(Role.ADMIN, tenant="acme", expires_at=clock.now + timedelta(minutes=5))
    path, asked = "/api/portal/tokens", {"tenant": "acme", "expires_in_seconds": 300}

    longer = await fleet.refusal("POST", path, bearer(admin), asked | {"expires_in_seconds": 301})
    made = await fleet.client.post(path, json=asked, headers=bearer(admin))

    assert longer == (403, "beyond_own_key")
    assert datetime.fromisoformat(made.json()["expires_at"]) == clock.now + timedelta(minutes=5)


async def test_a_tenant_s_admin_makes_keys_of_its_tenant_and_no_others(fleet: Fleet) -> None:
    _, admin = await fleet.key(Role.ADMIN, "acme")
    foreign, _ = await fleet.key(Role.VIEWER, "other")

    own = await make(fleet, bearer(admin))
    refused = await make(fleet, bearer(admin), tenant="other")
    listed = (await fleet.client.get(KEYS, headers=bearer(admin))).json()["items"]

    assert own.json()["tenant"] == "acme"
    assert refused.json()["code"] == "not_for_tenants"
    assert {item["tenant"] for item in listed} == {"acme"}
    path = f"{KEYS}/{show_id(KEY, foreign)}"
    assert await fleet.refusal("DELETE", path, bearer(admin)) == (404, "api_key_not_found")


async def test_a_key_gets_another_name_and_end(fleet: Fleet, clock: Clock) -> None:
    key = (await make(fleet)).json()
    path = f"{KEYS}/{key['id']}"

    named = await fleet.ask("PUT", path, {"name": "blue"})
    ending = await fleet.ask("PUT", path, {"expires_at": (clock.now + timedelta(days=1)).isoformat()})
    endless = await fleet.ask("PUT", path, {"expires_at": None})

    assert (named["name"], named["expires_at"]) == ("blue", None)
    assert (ending["name"], ending["expires_at"] is not None) == ("blue", True)
    assert endless["expires_at"] is None


@pytest.mark.parametrize(
    "asked",
    [
        {"name": ""},
        {"role": "root"},
        {"tenant": "default"},
        {"tenant": "a b"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"key": "kanca_of-my-own"},
    ],
)
async def test_what_no_key_can_be_is_refused(fleet: Fleet, asked: dict[str, Any]) -> None:
    assert (await make(fleet, **asked)).status_code == 422
    assert (await fleet.ask("GET", KEYS))["items"] == []


async def test_neither_a_name_nor_an_end_can_be_what_it_cannot(fleet: Fleet) -> None:
    key = (await make(fleet)).json()
    path = f"{KEYS}/{key['id']}"

    for body in ({"name": None}, {"expires_at": "2020-01-01T00:00:00Z"}, {"role": "admin"}):
        assert (await fleet.refusal("PUT", path, AS_ADMIN, body))[0] == 422
