"""Two tenants with one of everything, and keys of every kind, in front of the whole API with its guard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from fastapi.routing import APIRoute

from kanca.api.access import AccessRule
from kanca.api.app import create_api
from kanca.api.failed_attempts import FailedAttempts
from kanca.api.guard import ManagementGuard
from kanca.api.key_book import KeyBook
from kanca.api.services import Services
from kanca.api.sessions import Sessions
from kanca.domain.api_key import ApiKey, Role, digest_of, new_key
from kanca.domain.delivery import delivery_id
from kanca.domain.event import NewEvent
from kanca.domain.ids import AUDIT, DEAD_LETTER, DELIVERY, EVENT, JOB, KEY, show_id
from kanca.storage import api_keys
from kanca.storage.ports import Database
from tests.api.rows import later_ids, store
from tests.api.workflow_samples import definition
from tests.factories import a_dead_letter, new_event
from tests.sending import a_delivery, ended, subscribe

ADMIN_KEY = "the-key-of-the-administrator"
ORIGIN = "http://kanca.test"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


AS_ADMIN = bearer(ADMIN_KEY)


@dataclass
class Fleet:
    """The API behind its guard."""

    services: Services
    client: httpx.AsyncClient
    book: KeyBook

    async def key(self, role: Role, tenant: str | None = None, **values: Any) -> tuple[UUID, str]:
        """A new key; its id and text."""
        text, now = new_key(), self.services.now()
        fields: dict[str, Any] = {
            "id": later_ids.new(),
            "name": f"{role} of {tenant}",
            "hint": "kanca_…",
            "role": role,
            "tenant": tenant,
            "created_at": now,
            "created_by": "local",
        }
        key = ApiKey(**fields | values)
        await self.services.database.write(api_keys.create, key, digest_of(text))
        await self.book.refresh()
        return key.id, text

    async def ask(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """What an admin of all tenants is answered."""
        answer = await self.client.request(method, path, json=body, params=query, headers=AS_ADMIN)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json()

    async def refusal(
        self, method: str, path: str, headers: dict[str, str], body: Any = None
    ) -> tuple[int, str]:
        """The status and code of a request; without a code where it is not refused."""
        answer = await self.client.request(method, path, headers=headers, json=body)
        code = answer.json()["code"] if answer.status_code >= 400 else ""
        return answer.status_code, code


class NeverLocked(FailedAttempts):
    """Remembers no wrong key: a matrix has thousands."""

    def failed(self, client: str) -> None:
        """Forget it."""


def fleet_of(services: Services, *, failures: FailedAttempts | None = None, scheme: str = "http") -> Fleet:
    """The API of these services behind a guard with an admin key."""
    book = KeyBook(services.database)
    sessions = Sessions([b"k" * 32], ADMIN_KEY, services.public_url)
    given = Services(
        database=services.database,
        secret_box=services.secret_box,
        nodes=services.nodes,
        now=services.now,
        wake=services.wake,
        pause=_no_pause,
        public_url=services.public_url,
        book=book,
        sessions=sessions,
    )
    rule = AccessRule(admin_key=ADMIN_KEY, is_bound_to_loopback=False)
    guard = ManagementGuard(
        create_api(given),
        rule,
        now=services.now,
        book=book,
        sessions=sessions,
        failures=failures or NeverLocked(),
    )
    transport = httpx.ASGITransport(guard, client=("192.0.2.7", 4711))
    client = httpx.AsyncClient(transport=transport, base_url=f"{scheme}://kanca.test")
    return Fleet(given, client, book)


async def _no_pause(_seconds: float) -> None:
    """Whoever looks again finds nothing new: no worker is there."""


Things = dict[str, str]
"""The ids of what a tenant has, by the names that routes have for them."""


async def furnish(fleet: Fleet, tenant: str) -> Things:
    """One of everything for a tenant."""
    database = fleet.services.database
    endpoint = await fleet.ask("POST", "/api/webhooks/endpoints", {"tenant": tenant, "slug": f"{tenant}-in"})
    workflow = f"{tenant}-flow"
    await fleet.ask("POST", "/api/workflows", definition(workflow), tenant=tenant)
    await fleet.ask("POST", f"/api/workflows/{workflow}/publish")
    run = await fleet.ask("POST", f"/api/workflows/{workflow}/runs", {"data": {"of": tenant}})
    subscription = await subscribe(database, id=f"{tenant}-sub", tenant=tenant)
    event = await _accept(database, tenant)
    delivery = event.id, subscription.number
    await ended(database, a_delivery(delivery))
    replay = await fleet.ask(
        "POST", "/api/deliveries/replay", {"since": "2026-01-01T00:00:00Z", "only": "all", "tenant": tenant}
    )
    key_id, _ = await fleet.key(Role.VIEWER, tenant)
    return {
        "webhook_id": endpoint["webhook_id"],
        "workflow_id": workflow,
        "run_id": run["id"],
        "subscription_id": subscription.id,
        "event_id": show_id(EVENT, event.id),
        "delivery_id": show_id(DELIVERY, delivery_id(*delivery)),
        "letter": await letter_of(fleet, tenant),
        "replay_id": replay["id"],
        "key_id": show_id(KEY, key_id),
        "job_id": show_id(JOB, later_ids.new()),
        "entry_id": show_id(AUDIT, later_ids.new()),
        "tenant": tenant,
        "node_id": "node-456",
        "name": "anything",
    }


async def letter_of(fleet: Fleet, tenant: str) -> str:
    """A dead letter of a tenant's, by its id."""
    database = fleet.services.database
    letter = a_dead_letter(await _accept(database, tenant), id=later_ids.new(), tenant=tenant)
    await store(database, letter)
    return show_id(DEAD_LETTER, letter.id)


async def _accept(database: Database, tenant: str) -> NewEvent:
    event = new_event(id=later_ids.new(), endpoint=0, tenant=tenant)
    [answer] = await database.accepting.append([event])
    assert not isinstance(answer, Exception)
    return event


def path_to(route: APIRoute, things: Things) -> str:
    """The path of a route, for what a tenant has."""
    path = route.path.format(**things)
    return f"{path}?follow=false" if path == "/api/tail" else path  # else it would never end


def later(services: Services, **amount: float) -> Any:
    """A moment after (or before) that of the services."""
    return services.now() + timedelta(**amount)
