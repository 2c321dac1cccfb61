"""A gateway: ingest and the management API over one database, as one ASGI app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Receive, Scope, Send

from kanca.api.access import AccessRule
from kanca.api.app import api_document, create_api
from kanca.api.failed_attempts import FailedAttempts
from kanca.api.guard import ManagementGuard
from kanca.api.key_book import KeyBook
from kanca.api.services import Services
from kanca.api.sessions import Sessions
from kanca.app.arrivals import Arrivals
from kanca.app.clock import ClockCorrection
from kanca.app.ended_secrets import EndedSecrets
from kanca.app.outgoing import Outgoing, egress_guard
from kanca.app.own_providers import catalogue_of
from kanca.app.resume_urls import resume_urls
from kanca.app.sending_now import SendingNow
from kanca.domain import portal_token, session_token
from kanca.domain.ids import IdFactory
from kanca.domain.resume_token import KEY_LABEL
from kanca.ingest.asgi import IngestASGI
from kanca.ingest.gates import DiskGate, Gate
from kanca.ingest.gateway import Ingest
from kanca.ingest.openapi import ingest_document
from kanca.ingest.rate_limit import RateLimiter
from kanca.ingest.settings import ingest_settings
from kanca.ingest.store import DatabaseStore
from kanca.ingest.surroundings import Surroundings
from kanca.outbound.publisher import Publisher
from kanca.queue.backlog import BacklogGauge
from kanca.queue.duties import Duties, Duty
from kanca.settings import Settings
from kanca.storage.dialects import key_file_of
from kanca.storage.ports import Database
from kanca.storage.secret_box import load_secret_box
from kanca.workflows.announcing import AnnouncedNodeTypes
from kanca.workflows.credentials import StoredCredentials
from kanca.workflows.registry import NodeRegistry

if TYPE_CHECKING:
    from kanca.ingest.shared_counters import SharedCounters

_API = "/api/webhooks/wh_"
_ENDPOINT_PATH_LENGTH = len(_API) + 24
_SHORT = "/webhooks/"
_SUBSCRIPTIONS = "/webhooks/subscriptions"


class Root:
    """Sends webhooks straight to ingest, and everything else to management."""

    def __init__(self, ingest: ASGIApp, management: ASGIApp) -> None:
        self._ingest = ingest
        self._management = management

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and is_ingest(scope["path"].removeprefix(scope.get("root_path", ""))):
            await self._ingest(scope, receive, send)
        else:
            await self._management(scope, receive, send)


def is_ingest(path: str) -> bool:
    """Whether a path is one that senders call; ingest itself decides whether there is something."""
    if path.startswith(_SHORT):
        return path != _SUBSCRIPTIONS and not path.startswith(_SUBSCRIPTIONS + "/")
    return path.startswith(_API) and len(path) == _ENDPOINT_PATH_LENGTH


@dataclass(frozen=True, slots=True)
class Gateway:
    """An open gateway."""

    asgi: ASGIApp
    ingest: Ingest
    publisher: Publisher

    async def drain(self, limit: timedelta) -> None:
        """Refuse what comes from now on, and finish what is at hand."""
        await asyncio.gather(self.ingest.stop(limit), self.publisher.close(limit))


@asynccontextmanager
async def open_gateway(
    settings: Settings, database: Database, nodes: NodeRegistry, access: AccessRule, name: str
) -> AsyncIterator[Gateway]:
    """Open a gateway called ``name`` on ``database``; leaving stores what it counted. Raises InvalidSetting."""
    box = load_secret_box(settings)
    catalogue = catalogue_of(settings)
    ids = IdFactory()
    gauge = BacklogGauge(database.queue, settings.queue_max_tasks)
    duties: dict[str, Duty] = {"backlog": gauge, "clock": ClockCorrection(database, ids)}
    gates: list[Gate] = [lambda: "backlog_full" if gauge.is_closed else None]
    key_file = key_file_of(settings.database_url)
    if key_file is not None and settings.min_free_disk_mb:
        disk = DiskGate(key_file.parent, settings.min_free_disk_mb * 1024 * 1024)
        gates.append(disk)
        duties["disk"] = disk
    shared = _shared_counters(settings)
    if shared is not None:
        duties["redis"] = shared
    limiter = RateLimiter(shared=shared, fails_closed=settings.rate_limit_fallback == "closed")
    waker = database.waker()
    store = DatabaseStore(database, box, settings.webhook_secret, name)
    own_settings = ingest_settings(settings)
    outgoing = Outgoing(settings)
    around = Surroundings(
        gates=gates,
        limiter=limiter,
        get=outgoing.get,
        resume_keys=box.derived(KEY_LABEL),
        catalogue=catalogue,
    )
    ingest = Ingest(own_settings, database.accepting, store, waker, ids, around)
    known = AnnouncedNodeTypes(database, nodes)
    duties["node types"] = known
    duties["ended secrets"] = EndedSecrets(database, box)
    book = KeyBook(database)
    duties["API keys"] = book
    sessions = Sessions(box.derived(session_token.KEY_LABEL), access.admin_key, own_settings.public_url)
    publisher = Publisher(
        database,
        box,
        waker.wake,
        closed_for=ingest.closed_for,
        is_catalogue_closed=settings.event_catalogue == "closed",
        timeout=own_settings.commit_timeout,
        max_waiting=own_settings.commit_queue_max,
    )
    services = Services(
        database=database,
        secret_box=box,
        nodes=known.registry,
        ids=ids,
        wake=waker.wake,
        resume_url=resume_urls(settings, box),
        send_test=ingest.test,
        guard=egress_guard(settings),
        send=SendingNow(
            outgoing, StoredCredentials(database, box), timedelta(seconds=settings.delivery_timeout)
        ).attempt,
        closed_for=ingest.closed_for,
        publisher=publisher,
        backlog=lambda: gauge.size,
        book=book,
        sessions=sessions,
        webhook_secret=settings.webhook_secret,
        is_redis_available=None if shared is None else lambda: shared.is_available,
        public_url=own_settings.public_url,
        catalogue=catalogue,
        retention_days=settings.retention_days,
        queue_max_tasks=settings.queue_max_tasks,
    )
    await known.run_once()
    await book.run_once()
    regular = Duties(duties, limit=timedelta(seconds=30))
    await ingest.start()
    regular.start()
    try:
        portal_keys = box.derived(portal_token.KEY_LABEL)
        management = ManagementGuard(
            create_api(services, ingest_document()),
            access,
            portal_keys,
            book=book,
            sessions=sessions,
            arrival_of=Arrivals(settings.trusted_proxies),
            failures=FailedAttempts(most_of_client=settings.wrong_keys_per_minute),
        )
        yield Gateway(Root(IngestASGI(ingest), management), ingest, publisher)
    finally:
        await regular.stop()
        limit = timedelta(seconds=settings.shutdown_seconds)
        await asyncio.gather(ingest.stop(limit), publisher.close(limit))
        await outgoing.close()
        await waker.close()
        if shared is not None:
            await shared.close()


def _shared_counters(settings: Settings) -> SharedCounters | None:
    if settings.redis_url is None:
        return None
    from kanca.ingest.shared_counters import SharedCounters  # noqa: PLC0415 - loads its driver, for 0.3 s

    return SharedCounters(settings.redis_url)


def served_document() -> dict[str, Any]:
    """The OpenAPI document of all that a gateway serves."""
    return api_document(ingest_document())
