"""Where no admin key is set, an API key still says who calls, and never opens more than it may."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest

from kanca.api.access import AccessRule
from kanca.api.app import create_api
from kanca.api.guard import ManagementGuard
from kanca.api.key_book import KeyBook
from kanca.api.services import Services
from kanca.api.sessions import Sessions
from kanca.domain.api_key import ApiKey, Role, digest_of, new_key
from kanca.domain.ids import IdFactory
from kanca.storage import api_keys
from tests.api.fleet import bearer

LOCAL = AccessRule(admin_key=None, is_bound_to_loopback=True)
MOUNTED = AccessRule(admin_key=None, is_bound_to_loopback=False)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


@dataclass
class Unkeyed:
    """An API without an admin key, and a viewer's key for it."""

    guard: ManagementGuard
    services: Services
    book: KeyBook
    key: ApiKey
    text: str

    def client(self, peer: str = "127.0.0.1", host: str = "127.0.0.1:8000") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.guard, client=(peer, 4711))
        return httpx.AsyncClient(transport=transport, base_url=f"http://{host}")


async def unkeyed(services: Services, rule: AccessRule) -> Unkeyed:
    book, sessions, text = KeyBook(services.database), Sessions([b"k" * 32]), new_key()
    key = ApiKey(IdFactory().new(), "k", "kanca_…", Role.VIEWER, None, NOW, "local")
    await services.database.write(api_keys.create, key, digest_of(text))
    await book.refresh()
    guard = ManagementGuard(create_api(services), rule, now=services.now, book=book, sessions=sessions)
    return Unkeyed(guard, services, book, key, text)


@pytest.fixture
async def local(services: Services) -> Unkeyed:
    return await unkeyed(services, LOCAL)


async def role_of(client: httpx.AsyncClient, **headers: str) -> str:
    answer = await client.get("/api/session", headers=headers)
    return str(answer.json()["role" if answer.status_code == 200 else "code"])


async def test_without_a_key_this_machine_is_an_admin_and_nobody_else_is(local: Unkeyed) -> None:
    async with local.client() as here, local.client("192.0.2.7") as elsewhere:
        assert await role_of(here) == "admin"
        assert await role_of(elsewhere) == "forbidden"


async def test_a_key_opens_from_anywhere_what_its_role_may(local: Unkeyed) -> None:
    async with local.client() as here, local.client("192.0.2.7", "hooks.example.com") as elsewhere:
        assert await role_of(here, **bearer(local.text)) == "viewer"
        assert await role_of(elsewhere, **bearer(local.text)) == "viewer"
        assert await role_of(here, **bearer(local.text), **{"x-forwarded-for": "1.2.3.4"}) == "viewer"


async def test_a_key_that_is_not_valid_opens_less_than_none(local: Unkeyed) -> None:
    async with local.client() as here:
        assert await role_of(here, **bearer(new_key())) == "unauthenticated"
        await local.services.database.write(api_keys.revoke, local.key.id, NOW)
        await local.book.refresh()
        assert await role_of(here, **bearer(local.text)) == "key_revoked"
        assert await role_of(here) == "admin"


async def test_there_is_nothing_to_exchange_for_a_session_without_a_key(local: Unkeyed) -> None:
    async with local.client() as here:
        refused = await here.post("/api/session")

    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")


async def test_mounted_without_an_admin_key_an_api_key_opens(services: Services) -> None:
    mounted = await unkeyed(services, MOUNTED)
    async with mounted.client() as client:
        assert await role_of(client) == "unauthenticated"
        assert await role_of(client, **bearer(mounted.text)) == "viewer"
