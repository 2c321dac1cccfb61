"""What the management API is given by the process that serves it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Protocol

from fastapi import Depends, Request
from pydantic import SecretStr
from starlette.types import Scope

from kanca.api.key_book import KeyBook
from kanca.api.sessions import Sessions
from kanca.api.tail_hub import TailHub
from kanca.domain.event import StoredEvent
from kanca.domain.ids import IdFactory
from kanca.domain.subscription import Subscription
from kanca.egress import EgressGuard
from kanca.errors import DatabaseUnavailable
from kanca.outbound.publisher import Publisher
from kanca.outbound.sending import Sent
from kanca.providers import Catalogue, Draft, Issued
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.workflows.registry import NodeRegistry
from kanca.workflows.surroundings import ResumeUrl


class Answered(Protocol):
    """What ingest answered."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def body(self) -> bytes:
        """Whatever it said."""


class SendTest(Protocol):
    """Ingest's door for tests of an endpoint: the real path, without rate limit, list of addresses and dedupe."""

    def __call__(self, webhook_id: str, draft: Draft, rehearsal: Issued | None, /) -> Awaitable[Answered]:
        """Answer a webhook as if it had come from outside; ``rehearsal`` is what its proof is checked with instead."""


class SendNow(Protocol):
    """Makes one attempt of a delivery at once, from this process (``outbound.sending.Sender.attempt``)."""

    def __call__(self, subscription: Subscription, event: StoredEvent, body: bytes, /) -> Awaitable[Sent]:
        """POST the body to the subscription, signed. Nothing that a receiver or the network does raises."""


def _nothing() -> None: ...


def _peer(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """All that the routes need."""

    database: Database
    secret_box: SecretBox
    nodes: NodeRegistry
    """The node types that workflows may use."""
    ids: IdFactory = field(default_factory=IdFactory)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    wake: Callable[[], None] = _nothing
    """Tells workers that there is work."""
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Waits so many seconds, where a request looks again and again for what workers do."""
    resume_url: ResumeUrl | None = None
    """The address that resumes a run at a wait; None where it is not known what senders know this server as."""
    send_test: SendTest | None = None
    """None where this process has no ingest: then no endpoint can be tested from here."""
    guard: EgressGuard = field(default_factory=EgressGuard)
    """What subscriptions may be at."""
    send: SendNow | None = None
    """None where this process sends nothing: then no subscription can be tested or challenged from here."""
    closed_for: Callable[[], str | None] = _nothing
    """Why ingest takes nothing now, as the code of its refusals; None when it is open."""
    is_leaving: Callable[[], bool] = lambda: False
    """Whether this process is about to end, so that traffic should go elsewhere."""
    publisher: Publisher | None = None
    """What publishes events; None: one is made of the rest, with an open catalogue."""
    backlog: Callable[[], int] | None = None
    """How much inbound work is due, as it was measured last; None: the database is asked."""
    is_redis_available: Callable[[], bool] | None = None
    """Whether what is shared over Redis is within reach; None: nothing is."""
    tails: TailHub | None = None
    """What feeds live tails; None: one is made, with nobody to close it."""
    book: KeyBook | None = None
    """The API keys as the guard knows them; None: there are none to keep in mind."""
    sessions: Sessions | None = None
    """What makes sessions of the dashboard; None: nobody can begin one here."""
    webhook_secret: SecretStr | None = None
    """The secret of the built-in endpoints; None: they take nothing."""
    public_url: str | None = None
    """The address that senders see, without a slash at the end."""
    address_of: Callable[[Scope], str | None] = _peer
    """Where a request came from, as far as trusted proxies tell."""
    catalogue: Catalogue = field(default_factory=Catalogue)
    """The providers that endpoints may have."""
    retention_days: int = 30
    queue_max_tasks: int = 1_000_000

    async def hear_of_keys(self) -> None:
        """Have the guard of this process know at once what became of keys; the others look for themselves."""
        if self.book is not None:
            # What was changed is stored: a new key that is not shown now would never be.
            with suppress(DatabaseUnavailable):
                await self.book.refresh()


def services_of(request: Request) -> Services:
    """The services of the app that a request came to."""
    services: Services = request.app.state.services
    return services


Given = Annotated[Services, Depends(services_of)]
"""The parameter of a route that needs the services."""
