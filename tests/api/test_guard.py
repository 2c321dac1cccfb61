"""The guard around the whole API: what may be asked without a key is what the contract says, and nothing else."""

from __future__ import annotations

import re

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.responses import PlainTextResponse
from starlette.types import Message

from kanca.api.access import AccessRule
from kanca.api.guard import ManagementGuard
from tests.api.conformity import ROUTES, check_problem

KEYED = AccessRule(admin_key="the-key", is_bound_to_loopback=True)
UNKEYED = AccessRule(admin_key=None, is_bound_to_loopback=True)


def asking(rule: AccessRule, peer: str = "127.0.0.1") -> httpx.AsyncClient:
    """A client of whatever is behind the guard: it answers everything."""
    guard = ManagementGuard(PlainTextResponse("let through"), rule)
    transport = httpx.ASGITransport(guard, client=(peer, 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.operation_id))
async def test_every_route_but_health_and_public_keys_needs_the_key(route: APIRoute) -> None:
    path = re.sub(r"\{\w+\}", "x", route.path)
    method = min(route.methods or ())
    async with asking(KEYED) as client:
        without = await client.request(method, path)
        wrong = await client.request(method, path, headers={"authorization": "Bearer the-ke"})
        right = await client.request(method, path, headers={"authorization": "Bearer the-key"})

    assert right.status_code == 200
    if path.startswith("/health") or path.endswith("/jwks.json"):
        assert without.status_code == wrong.status_code == 200
    else:
        assert [check_problem(answer)["code"] for answer in (without, wrong)] == ["unauthenticated"] * 2
        assert without.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "path",
    [
        *("/openapi.json", "/", "/healthy", "//health", "/health/", "/health/../api/events", "/health/x"),
        *("/webhooks/subscriptions/jwks.json", "/webhooks/subscriptions//jwks.json"),
        *("/webhooks/subscriptions/x/jwks.json/", "/webhooks/subscriptions/x/y/jwks.json"),
        *("/webhooks/subscriptions/x/jwks_json", "/x/webhooks/subscriptions/x/jwks.json"),
        "/webhooks/subscriptions/x/jwks.json\n",
    ],
)
async def test_what_looks_like_a_public_path_is_not(path: str) -> None:
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "client": ("127.0.0.1", 1)}
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    await ManagementGuard(PlainTextResponse("let through"), KEYED)(scope, receive, send)

    assert sent[0]["status"] == 401


async def test_without_a_key_only_this_machine_is_served() -> None:
    async with asking(UNKEYED) as here, asking(UNKEYED, "192.0.2.7") as elsewhere:
        assert (await here.get("/api/events")).status_code == 200
        assert (await here.get("/api/events", headers={"x-forwarded-for": "1.2.3.4"})).status_code == 403
        assert (await here.get("/api/events", headers={"host": "evil.example"})).status_code == 403
        assert (await here.get("/api/events", headers={"origin": "https://evil.example"})).status_code == 403
        assert (await elsewhere.get("/api/events")).status_code == 403
        assert (await elsewhere.get("/health")).status_code == 200
