"""A tenant with a portal token reaches what is listed, of its own, and nothing else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, cast

import httpx
import pytest
import structlog
from fastapi import Body, FastAPI
from fastapi.routing import APIRoute
from structlog.testing import capture_logs

from kanca.api.access import AccessRule
from kanca.api.app import create_api
from kanca.api.callers import THE_SAME_FOR_ALL, Caller, CallerTenant, asks_who_calls
from kanca.api.guard import ManagementGuard
from kanca.api.portal_access import PORTAL_ROUTES, is_for_tenants
from kanca.api.problems import install_problem_handlers
from kanca.api.routing import resource
from kanca.api.services import Services
from kanca.domain.portal_token import KEY_LABEL, PortalToken, make_token, read_token
from kanca.errors import NotForTenants, SubscriptionNotFound
from kanca.storage.secret_box import SecretBox
from kanca.workflows.nodes import built_in_registry
from tests.api.conformity import ROUTES, check_problem
from tests.api.conftest import Clock

KEYED = AccessRule(admin_key="the-key", is_bound_to_loopback=True)
UNKEYED = AccessRule(admin_key=None, is_bound_to_loopback=True)
KEYS = [b"k" * 32]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OWNERS = {"a": "acme", "b": "other"}
LISTED = [route for route in ROUTES if is_for_tenants(min(route.methods or ()), route.path)]

router = resource("Tests")


@router.get("/webhooks/subscriptions")
async def list_all(caller: CallerTenant, tenant: str | None = None) -> dict[str, Any]:
    return {"tenant": caller.tenant_of(tenant), "is_read_only": caller.is_read_only}


@router.get("/api/deliveries")
async def who_is_logged(_caller: CallerTenant) -> dict[str, Any]:
    return structlog.contextvars.get_contextvars()


@router.post("/webhooks/subscriptions")
async def create(caller: CallerTenant, fields: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
    caller.check_fields(fields, {"sources", "credential"})
    return {"tenant": caller.tenant_of(fields.get("tenant"))}


@router.get("/webhooks/subscriptions/{subscription_id}")
async def get(caller: CallerTenant, subscription_id: str) -> dict[str, Any]:
    if not caller.owns(OWNERS.get(subscription_id)):
        raise SubscriptionNotFound(f"There is no subscription {subscription_id}.")
    return {}


@router.delete("/webhooks/subscriptions/{subscription_id}")
async def delete(subscription_id: str) -> dict[str, Any]:
    """Does not know of tenants."""
    return {}


@router.get("/api/event-types", dependencies=[THE_SAME_FOR_ALL])
async def event_types() -> dict[str, Any]:
    return {}


def token_of(tenant: str = "acme", keys: list[bytes] = KEYS, *, is_read_only: bool = False) -> dict[str, str]:
    token = PortalToken(tenant, NOW + timedelta(hours=1), is_read_only)
    return {"authorization": f"Bearer {make_token(keys, token)}"}


def asking(rule: AccessRule = KEYED, now: datetime = NOW, root: str = "") -> httpx.AsyncClient:
    app = FastAPI(redirect_slashes=False)
    app.include_router(router)
    install_problem_handlers(app)
    guard = ManagementGuard(app, rule, KEYS, lambda: now)
    transport = httpx.ASGITransport(guard, client=("127.0.0.1", 4711), root_path=root)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with asking() as client:
        yield client


async def code_of(answer: httpx.Response) -> str:
    return str(check_problem(answer)["code"])


async def test_a_tenant_is_known_by_its_token_and_the_operator_by_the_key(client: httpx.AsyncClient) -> None:
    path = "/webhooks/subscriptions"
    theirs = await client.get(path, headers=token_of())
    reading = await client.get(path, headers=token_of("other", is_read_only=True))
    ours = await client.get(path, headers={"authorization": "Bearer the-key"})

    assert theirs.json() == {"tenant": "acme", "is_read_only": False}
    assert reading.json() == {"tenant": "other", "is_read_only": True}
    assert ours.json() == {"tenant": None, "is_read_only": False}


async def test_what_a_tenant_causes_is_logged_with_its_name(client: httpx.AsyncClient) -> None:
    theirs = await client.get("/api/deliveries", headers=token_of())
    ours = await client.get("/api/deliveries", headers={"authorization": "Bearer the-key"})

    assert theirs.json()["caller"] == "tenant acme"
    assert "caller" not in ours.json()


async def test_a_tenant_names_no_other_and_no_field_of_the_operator(client: httpx.AsyncClient) -> None:
    path = "/webhooks/subscriptions"
    other = await client.get(path, headers=token_of(), params={"tenant": "other"})
    fields = await client.post(path, headers=token_of(), json={"sources": [], "credential": "x", "url": "u"})
    own = await client.post(path, headers=token_of(), json={"tenant": "acme", "url": "u"})
    operator = await client.post(
        path, headers={"authorization": "Bearer the-key"}, json={"tenant": "other", "sources": []}
    )

    assert (other.status_code, await code_of(other)) == (403, "not_for_tenants")
    assert (fields.status_code, await code_of(fields)) == (403, "not_for_tenants")
    assert fields.json()["fields"] == ["credential", "sources"]
    assert own.json() == {"tenant": "acme"}
    assert operator.json() == {"tenant": "other"}


async def test_what_is_anothers_is_not_there(client: httpx.AsyncClient) -> None:
    answers = [
        await client.get(f"/webhooks/subscriptions/{name}", headers=token_of()) for name in ("b", "gone", "a")
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 200]
    assert answers[0].json()["detail"].replace(" b.", " gone.") == answers[1].json()["detail"]


async def test_a_route_that_does_not_ask_who_calls_is_not_for_tenants(client: httpx.AsyncClient) -> None:
    refused = await client.delete("/webhooks/subscriptions/a", headers=token_of())
    ours = await client.delete("/webhooks/subscriptions/a", headers={"authorization": "Bearer the-key"})

    assert (refused.status_code, await code_of(refused)) == (403, "not_for_tenants")
    assert ours.status_code == 200
    assert (await client.get("/api/event-types", headers=token_of())).status_code == 200


async def test_a_token_for_reading_changes_nothing(client: httpx.AsyncClient) -> None:
    reading = token_of(is_read_only=True)
    refused = [
        await client.request(method, re.sub(r"\{\w+\}", "a", path), headers=reading)
        for method, path in PORTAL_ROUTES
        if method != "GET"
    ]

    assert {await code_of(answer) for answer in refused} == {"read_only_token"}
    assert {answer.status_code for answer in refused} == {403}
    assert (await client.get("/webhooks/subscriptions/a", headers=reading)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (token_of(keys=[b"z" * 32]), "unauthenticated"),
        ({"authorization": "Bearer kpt_"}, "unauthenticated"),
        ({"authorization": "Bearer kpt_\xff"}, "unauthenticated"),
        ({"authorization": token_of()["authorization"].removeprefix("Bearer ")}, "unauthenticated"),
        ({"authorization": token_of()["authorization"].replace("Bearer", "Basic")}, "unauthenticated"),
        ({}, "unauthenticated"),
    ],
)
async def test_what_is_no_token_opens_nothing(
    client: httpx.AsyncClient, headers: dict[str, str], code: str
) -> None:
    answer = await client.get(
        "/webhooks/subscriptions",
        headers=[(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
    )

    assert (answer.status_code, await code_of(answer)) == (401, code)
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_token_whose_time_is_over_says_so() -> None:
    async with asking(now=NOW + timedelta(hours=1)) as client:
        answer = await client.get("/webhooks/subscriptions", headers=token_of())

    assert (answer.status_code, await code_of(answer)) == (401, "token_expired")


async def test_without_a_key_a_token_narrows_what_this_machine_may_and_opens_it_to_nobody_else() -> None:
    async with asking(UNKEYED) as client:
        own = await client.get("/webhooks/subscriptions", headers=token_of())
        beyond = await client.get("/api/events", headers=token_of())
        forwarded = await client.get(
            "/webhooks/subscriptions", headers=token_of() | {"x-forwarded-for": "192.0.2.7"}
        )

    assert own.json()["tenant"] == "acme"
    assert await code_of(beyond) == "not_for_tenants"
    assert await code_of(forwarded) == "forbidden"


async def test_a_key_that_looks_like_a_token_is_the_key() -> None:
    key = "kpt_which-an-operator-chose"
    async with asking(AccessRule(admin_key=key, is_bound_to_loopback=False)) as client:
        ours = await client.get("/webhooks/subscriptions", headers={"authorization": f"Bearer {key}"})
        theirs = await client.get("/webhooks/subscriptions", headers=token_of())

    assert (ours.json()["tenant"], theirs.json()["tenant"]) == (None, "acme")


async def test_below_a_mount_the_same_is_open() -> None:
    async with asking(root="/hooks") as client:
        own = await client.get("/hooks/webhooks/subscriptions", headers=token_of())
        beyond = await client.get("/hooks/hooks/webhooks/subscriptions", headers=token_of())

    assert own.json()["tenant"] == "acme"
    assert await code_of(beyond) == "not_for_tenants"


@pytest.mark.parametrize(
    "path",
    [
        "/webhooks/subscriptions/",
        "/webhooks/subscriptions/a/b",
        "/webhooks/subscriptions/a/test/",
        "//webhooks/subscriptions",
        "/webhooks/subscriptions\n",
        "/api/events",
        "/api/portal/tokens",
        "/openapi.json",
        "/",
    ],
)
def test_what_only_looks_like_a_listed_address_is_none(path: str) -> None:
    assert not any(is_for_tenants(method, path) for method in ("GET", "POST", "PUT", "DELETE"))


async def test_every_route_of_the_api_that_is_not_listed_is_closed_to_tenants() -> None:
    # Whoever got through would find no database.
    services = Services(
        database=cast(Any, None), secret_box=SecretBox(["a key for tests"]), nodes=built_in_registry()
    )
    guard = ManagementGuard(create_api(services), KEYED, KEYS, lambda: NOW)
    transport = httpx.ASGITransport(guard, client=("127.0.0.1", 4711))
    closed = [
        (method, re.sub(r"\{\w+\}", "x", route.path))
        for route in ROUTES
        for method in route.methods or ()
        if not route.path.startswith("/health")
        and not route.path.endswith("/jwks.json")
        and not is_for_tenants(method, route.path)
    ]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        for method, path in closed:
            answer = await client.request(method, path, headers=token_of())
            assert (answer.status_code, await code_of(answer)) == (403, "not_for_tenants"), path
    assert len(closed) > 50


@pytest.mark.parametrize("route", LISTED or [None], ids=lambda route: str(getattr(route, "operation_id", "")))
def test_every_listed_route_asks_who_calls(route: APIRoute | None) -> None:
    assert route is None or asks_who_calls(route.dependant)


def test_a_caller_says_what_is_its_own() -> None:
    operator, acme = Caller(), Caller("acme")
    assert [operator.tenant_of(asked) for asked in (None, "acme")] == [None, "acme"]
    assert [acme.tenant_of(asked) for asked in (None, "acme")] == ["acme", "acme"]
    assert [operator.owns(tenant) for tenant in (None, "acme", "other")] == [True, True, True]
    assert [acme.owns(tenant) for tenant in (None, "acme", "other")] == [False, True, False]
    operator.check_fields({"sources"}, {"sources"})
    acme.check_fields({"url"}, {"sources"})
    with pytest.raises(NotForTenants):
        acme.tenant_of("other")
    with pytest.raises(NotForTenants):
        acme.check_fields(["url", "sources"], {"sources"})


async def test_a_token_is_made_for_a_tenant_and_for_a_time(services: Services, clock: Clock) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_api(services)), base_url="http://kanca.test"
    ) as client:
        with capture_logs() as logs:
            made = await client.post("/api/portal/tokens", json={"tenant": "acme"})
            short = await client.post(
                "/api/portal/tokens", json={"tenant": "acme", "expires_in_seconds": 60, "read_only": True}
            )
            wrong: list[dict[str, Any]] = [
                *({"expires_in_seconds": seconds} for seconds in (59, 86_401, "3600", 60.5)),
                *({"tenant": tenant} for tenant in ("", "a b", "é", None)),
                {"read_only": "yes"},
                {"scope": "all"},
            ]
            refused = [
                await client.post("/api/portal/tokens", json={"tenant": "acme"} | each) for each in wrong
            ]

    keys = services.secret_box.derived(KEY_LABEL)
    assert made.headers["cache-control"] == "no-store"
    body = made.json()
    assert read_token(keys, body["token"], clock.now) == ("acme", clock.now + timedelta(hours=1), False)
    assert datetime.fromisoformat(body["expires_at"]) == clock.now + timedelta(hours=1)
    said = read_token(keys, short.json()["token"], clock.now)
    assert said == ("acme", clock.now + timedelta(minutes=1), True)
    assert {answer.status_code for answer in refused} == {422}
    assert [(log["action"], log["subject"]) for log in logs] == [("portal_token.created", "acme")] * 2
    assert body["token"] not in str(logs)
