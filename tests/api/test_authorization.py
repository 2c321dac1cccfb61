"""Every route, every role, own things and another tenant's, and every key that is none: all of it, from the table."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, select

from kanca.api.permissions import Permission, Tenancy, permission_of
from kanca.api.services import Services
from kanca.domain.api_key import Role, new_key
from kanca.storage.ports import Database
from kanca.storage.tables import metadata
from tests.api.conformity import ROUTES
from tests.api.fleet import Fleet, bearer, fleet_of, furnish, later, letter_of, path_to

NAMED = sorted(
    ((min(route.methods or ()), route) for route in ROUTES), key=lambda named: named[0] == "DELETE"
)
"""What takes away comes last."""
GUARDED = [(method, route) for method, route in NAMED if permission_of(method, route.path).roles is not None]
NOT_THERE = {
    "webhook_id": "endpoint_not_found",
    "workflow_id": "workflow_not_found",
    "run_id": "run_not_found",
    "subscription_id": "subscription_not_found",
    "event_id": "event_not_found",
    "delivery_id": "delivery_not_found",
    "letter": "dead_letter_not_found",
    "replay_id": "replay_not_found",
    "key_id": "api_key_not_found",
}
"""What is answered for what is not there, by the first name in a route's path."""
BODIES: dict[str, Any] = {
    "change_endpoint": {"name": "Changed"},
    "change_subscription": {"name": "Changed"},
    "replay_to_subscription": {"since": "2026-01-01T00:00:00Z"},
    "apply_event": {"event_id": "evt_019503f0a1c27d3e8f00b4a6c8d2e1f0"},
    "change_key": {"name": "Changed"},
}
"""Where a route looks at the body before it looks for what the path names."""
REFUSED = {
    "unauthenticated",
    "key_expired",
    "key_revoked",
    "role_not_allowed",
    "not_for_tenants",
    "forbidden",
}


@pytest.fixture
async def fleet(services: Services) -> AsyncIterator[Fleet]:
    fleet = fleet_of(services)
    async with fleet.client:
        yield fleet


async def test_without_a_valid_key_no_route_is_open(fleet: Fleet) -> None:
    own = await furnish(fleet, "acme")
    _, expired = await fleet.key(Role.ADMIN, expires_at=later(fleet.services, seconds=-1))
    _, revoked = await fleet.key(Role.ADMIN, revoked_at=later(fleet.services, seconds=-1))
    attempts = {
        "no key": ({}, "unauthenticated"),
        "a wrong key": (bearer("wrong"), "unauthenticated"),
        "a key that was never made": (bearer(new_key()), "unauthenticated"),
        "an expired key": (bearer(expired), "key_expired"),
        "a revoked key": (bearer(revoked), "key_revoked"),
        "a cookie that is none": ({"cookie": "kanca_session=AAAA"}, "session_over"),
    }

    wrong = []
    for method, route in GUARDED:
        for what, (headers, code) in attempts.items():
            answered = await fleet.refusal(method, path_to(route, own), headers)
            if answered != (401, code):
                wrong.append(f"{method} {route.path} with {what}: {answered}")
    assert wrong == []


async def test_each_role_opens_what_the_table_says_of_all_tenants(fleet: Fleet) -> None:
    things = [await furnish(fleet, tenant) for tenant in ("acme", "other")]
    roles = [Role.PUBLISHER, Role.VIEWER, Role.OPERATOR, Role.ADMIN]

    wrong = []
    for role in roles:
        _, key = await fleet.key(role)
        for method, route in NAMED:
            permission = permission_of(method, route.path)
            is_open = permission.roles is None or role in permission.roles
            for each in things:
                body = BODIES.get(route.operation_id or "")
                status, code = await fleet.refusal(method, path_to(route, each), bearer(key), body)
                if (status in {401, 403}) == is_open or (not is_open and code != "role_not_allowed"):
                    wrong.append(f"{method} {route.path} as {role}: {status} {code}")
    assert wrong == []


@pytest.mark.parametrize("role", list(Role))
async def test_a_tenant_s_key_opens_its_own_and_nothing_of_another_s(
    fleet: Fleet, database: Database, role: Role
) -> None:
    own, foreign = await furnish(fleet, "acme"), await furnish(fleet, "other")
    _, key = await fleet.key(role, "acme")
    before = await database.read(_everything, "other")

    wrong = []
    for method, route in GUARDED:
        body = BODIES.get(route.operation_id or "")
        if route.operation_id == "delete_dead_letter":
            own |= {"letter": await letter_of(fleet, "acme")}  # the one before was retried
        for things in (foreign, own):
            answered = await fleet.refusal(method, path_to(route, things), bearer(key), body)
            permission = permission_of(method, route.path)
            why = _mismatch(role, permission, route.path, answered, is_own=things is own)
            if why:
                wrong.append(f"{method} {path_to(route, things)}: {answered}, which is not {why}")
    assert wrong == []
    assert await database.read(_everything, "other") == before


async def test_a_tenant_s_lists_have_nothing_of_another_s(fleet: Fleet) -> None:
    own, foreign = await furnish(fleet, "acme"), await furnish(fleet, "other")
    _, key = await fleet.key(Role.ADMIN, "acme")
    lists = [route for method, route in GUARDED if method == "GET" and "{" not in route.path]
    theirs = {value for name, value in foreign.items() if own[name] != value}

    seen = ""
    for route in lists:
        if permission_of("GET", route.path).tenancy is not Tenancy.OWN:
            continue
        path = path_to(route, own)
        answer = await fleet.client.get(path, headers=bearer(key))
        assert answer.status_code == 200, route.path
        assert [value for value in theirs if value in answer.text] == [], route.path
        of_other = f"{path}{'&' if '?' in path else '?'}tenant=other"
        foreign_tenant = await fleet.client.get(of_other, headers=bearer(key))
        assert foreign_tenant.status_code in {200, 403, 422}
        assert [value for value in theirs if value in foreign_tenant.text] == [], route.path
        seen += answer.text
    shown = {name for name, value in own.items() if value in seen}
    assert shown >= NOT_THERE.keys()


async def test_a_tenant_makes_and_finds_nothing_under_another_s_name(fleet: Fleet) -> None:
    own, foreign = await furnish(fleet, "acme"), await furnish(fleet, "other")
    _, key = await fleet.key(Role.ADMIN, "acme")
    since = "2026-01-01T00:00:00Z"
    asked: list[tuple[str, str, Any, tuple[int, str]]] = [
        ("POST", "/api/webhooks/endpoints", {"tenant": "other"}, (403, "not_for_tenants")),
        (
            "POST",
            "/api/webhooks/endpoints",
            {"workflow_id": foreign["workflow_id"]},
            (404, "workflow_not_found"),
        ),
        (
            "PUT",
            f"/api/webhooks/endpoints/{own['webhook_id']}",
            {"workflow_id": foreign["workflow_id"]},
            (404, "workflow_not_found"),
        ),
        ("POST", "/webhooks/subscriptions", _subscription(tenant="other"), (403, "not_for_tenants")),
        (
            "POST",
            "/webhooks/subscriptions",
            _subscription(sources=[foreign["webhook_id"]]),
            (403, "not_for_tenants"),
        ),
        ("POST", "/events/trigger", _event(tenant="other"), (403, "not_for_tenants")),
        ("POST", "/api/deliveries/replay", {"since": since, "tenant": "other"}, (403, "not_for_tenants")),
        ("POST", "/api/events/replay", {"tenant": "other"}, (403, "not_for_tenants")),
        ("POST", "/api/events/replay", {"webhook_id": foreign["webhook_id"]}, (404, "endpoint_not_found")),
        ("POST", "/admin/dlq/retry", {"tenant": "other"}, (403, "not_for_tenants")),
        ("POST", "/admin/dlq/retry", {"webhook_id": foreign["webhook_id"]}, (404, "endpoint_not_found")),
        ("GET", f"/api/events?webhook_id={foreign['webhook_id']}", None, (404, "endpoint_not_found")),
        ("GET", "/admin/dlq/0", None, (404, "dead_letter_not_found")),
        ("POST", "/api/keys", {"name": "k", "role": "admin", "tenant": "other"}, (403, "not_for_tenants")),
        ("POST", "/api/portal/tokens", {"tenant": "other"}, (403, "not_for_tenants")),
        (
            "POST",
            f"/api/runs/{own['run_id']}/waits/node-456/apply",
            {"event_id": foreign["event_id"]},
            (404, "event_not_found"),
        ),
    ]

    answered = [await fleet.refusal(method, path, bearer(key), body) for method, path, body, _ in asked]
    batch = await fleet.client.post(
        "/events/trigger/batch", json={"events": [_event(tenant="other"), _event()]}, headers=bearer(key)
    )
    slug = await fleet.client.post("/api/webhooks/endpoints", json={"slug": "other-in"}, headers=bearer(key))

    assert answered == [expected for *_, expected in asked]
    assert [item["status"] for item in batch.json()["results"]] == ["refused", "event_triggered"]
    assert (slug.json()["code"], foreign["webhook_id"] in slug.text) == ("slug_taken", False)


async def test_what_a_tenant_makes_is_its_own(fleet: Fleet) -> None:
    _, key = await fleet.key(Role.OPERATOR, "acme")

    endpoint = await fleet.client.post("/api/webhooks/endpoints", json={}, headers=bearer(key))
    event = await fleet.client.post("/events/trigger", json=_event(), headers=bearer(key))

    assert endpoint.json()["tenant"] == "acme"
    found = await fleet.ask("GET", f"/api/events/{event.json()['id']}")
    assert found["tenant"] == "acme"


async def test_runs_of_a_workflow_that_was_deleted_are_not_those_of_who_takes_its_id(fleet: Fleet) -> None:
    before = await furnish(fleet, "other")
    workflow = f"/api/workflows/{before['workflow_id']}"
    definition = (await fleet.ask("GET", workflow))["definition"]
    await fleet.ask("DELETE", workflow)
    fleet.services.now.advance(seconds=1)  # type: ignore[attr-defined]  # the clock of the tests
    await fleet.ask("POST", "/api/workflows", definition, tenant="acme")
    _, key = await fleet.key(Role.VIEWER, "acme")

    listed = await fleet.client.get("/api/runs", headers=bearer(key))
    read = await fleet.refusal("GET", f"/api/runs/{before['run_id']}", bearer(key))

    assert listed.json()["items"] == []
    assert read == (404, "run_not_found")


def _mismatch(
    role: Role, permission: Permission, path: str, answered: tuple[int, str], *, is_own: bool
) -> str:
    """What else a tenant's key should have been answered; nothing when it was right."""
    assert permission.roles is not None
    named = re.search(r"\{(\w+)\}", path)
    missing = NOT_THERE.get(named[1]) if named else None
    if role not in permission.roles:
        return "" if answered == (403, "role_not_allowed") else "role_not_allowed"
    if permission.tenancy is Tenancy.REFUSED:
        return "" if answered == (403, "not_for_tenants") else "not_for_tenants"
    if missing is not None and not is_own and permission.tenancy is Tenancy.OWN:
        return "" if answered == (404, missing) else missing
    return "open" if answered[1] in REFUSED or answered[1] == missing else ""


def _everything(connection: Connection, tenant: str) -> str:
    """All rows that name a tenant or what it has."""
    rows = [
        str(tuple(row))
        for table in metadata.sorted_tables
        if table.name not in {"versions", "tasks"}
        for row in connection.execute(select(table))
    ]
    return json.dumps(sorted(row for row in rows if tenant in row))


def _event(**values: Any) -> dict[str, Any]:
    return {"event_type": "order.created", "payload": {}} | values


def _subscription(**values: Any) -> dict[str, Any]:
    return {"url": "https://partner.example/hooks", "events": ["order.*"]} | values
