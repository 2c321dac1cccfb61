"""A gateway: ingest and the management API over one database, as one ASGI app."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
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
from kanca.api.request_lines import NamedRoute, RequestLines
from kanca.api.services import Services
from kanca.api.sessions import Sessions
from kanca.api.tail_hub import TailHub
from kanca.app.arrivals import Arrivals
from kanca.app.clock import ClockCorrection
from kanca.app.ended_secrets import PERIOD as ENDED_SECRETS_EVERY
from kanca.app.ended_secrets import EndedSecrets
from kanca.app.leaving import Leaving, refuse
from kanca.app.outgoing import Outgoing, egress_guard
from kanca.app.own_providers import catalogue_of
from kanca.app.presence import GatewayPresence, describe
from kanca.app.resume_urls import resume_urls
from kanca.app.sending_now import SendingNow
from kanca.app.telling import hurry_on_changes, open_broadcast, tell_of_changes
from kanca.domain import portal_token, session_token
from kanca.domain.ids import IdFactory
from kanca.domain.resume_token import KEY_LABEL
from kanca.ingest.asgi import IngestASGI
from kanca.ingest.client import Proxies
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
from kanca.queue.one_for_all import OneForAll
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

    def __init__(self, ingest: ASGIApp, management: ASGIApp, leaving: Leaving) -> None:
        self._ingest = ingest
        self._management = management
        self._leaving = leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope["path"].removeprefix(scope.get("root_path", "")) if scope["type"] == "http" else ""
        app = self._ingest if is_ingest(path) else self._management
        leaving = self._leaving
        if leaving.announced.is_set():
            if app is self._management and leaving.refuses(path):
                app = refuse
            await leaving.see_off(app, scope, receive, send)
            return
        leaving.early += 1
        try:
            await app(scope, receive, send)
        finally:
            leaving.early -= 1


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
    leaving: Leaving
    presence: GatewayPresence
    duties: Duties
    tails: TailHub

    def announce(self) -> None:
        """Say that this gateway is about to leave: its readiness goes down, and it takes everything still."""
        self.leaving.announced.set()
        self.presence.stopping()
        self.duties.hurry("presence")

    async def drain(self, limit: timedelta) -> None:
        """Refuse what comes from now on, and finish what is at hand."""
        end_at = time.monotonic() + limit.total_seconds()
        self.leaving.announced.set()
        self.leaving.is_closed = True
        await asyncio.gather(self.ingest.stop(limit), self.publisher.close(limit), self.tails.close())
        await self.leaving.wait_for_early(timedelta(seconds=end_at - time.monotonic()))


@asynccontextmanager
async def open_gateway(
    settings: Settings,
    database: Database,
    nodes: NodeRegistry,
    access: AccessRule,
    name: str,
    address: str | None = None,
) -> AsyncIterator[Gateway]:
    """Open a gateway called ``name`` on ``database``; leaving stores what it counted. Raises InvalidSetting.

    ``address``: where it listens, for the list of instances.
    """
    box = load_secret_box(settings)
    catalogue = catalogue_of(settings)
    ids = IdFactory()
    gauge = BacklogGauge(database.queue, settings.queue_max_tasks)
    duties: dict[str, Duty] = {"backlog": gauge, "clock": ClockCorrection(database, ids)}
    gates = _gates(settings, gauge, duties)
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
    leaving = Leaving()
    known = AnnouncedNodeTypes(database, nodes)
    duties["node types"] = known
    ended = EndedSecrets(database, box)
    duties["ended secrets"] = OneForAll(database, "ended secrets", ended, ENDED_SECRETS_EVERY)
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
    tails = TailHub(database, most=settings.tail_max)
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
        closed_for=lambda: "shutting_down" if leaving.is_closed else ingest.closed_for(),
        is_leaving=leaving.announced.is_set,
        publisher=publisher,
        tails=tails,
        backlog=lambda: gauge.size,
        book=book,
        sessions=sessions,
        webhook_secret=settings.webhook_secret,
        is_redis_available=None if shared is None else lambda: shared.is_available,
        public_url=own_settings.public_url,
        address_of=_address_by(Proxies(settings.trusted_proxies)),
        catalogue=catalogue,
        retention_days=settings.retention_days,
        queue_max_tasks=settings.queue_max_tasks,
    )
    await known.run_once()
    presence = GatewayPresence(database, describe(settings, ids), address)
    duties["presence"] = presence
    await book.run_once()
    regular = Duties(duties, limit=timedelta(seconds=30))

    broadcast = open_broadcast(settings)
    tell_of_changes(database, broadcast)
    hurry_on_changes(
        broadcast, {"endpoints": ingest.look_again, "node_types": lambda: regular.hurry("node types")}
    )
    await ingest.start()
    regular.start()
    try:
        management = _management(services, access, settings, box.derived(portal_token.KEY_LABEL), shared)
        root = Root(IngestASGI(ingest), management, leaving)
        yield Gateway(root, ingest, publisher, leaving, presence, regular, tails)
    finally:
        await regular.stop()
        await presence.leave()
        limit = timedelta(seconds=settings.shutdown_seconds)
        await asyncio.gather(ingest.stop(limit), publisher.close(limit), tails.close())
        for opened in (outgoing, waker, broadcast, shared):
            if opened is not None:
                await opened.close()


def _management(
    services: Services,
    access: AccessRule,
    settings: Settings,
    portal_keys: Sequence[bytes],
    shared: SharedCounters | None,
) -> ASGIApp:
    """The management API, and what stands in front of it."""
    return RequestLines(
        ManagementGuard(
            NamedRoute(create_api(services, ingest_document())),
            access,
            portal_keys,
            book=services.book,
            sessions=services.sessions,
            arrival_of=Arrivals(settings.trusted_proxies),
            failures=FailedAttempts(most_of_client=settings.wrong_keys_per_minute, shared=shared),
        )
    )


def _address_by(proxies: Proxies) -> Callable[[Scope], str | None]:
    """Where requests to management come from, told as ingest tells it."""

    def address_of(scope: Scope) -> str | None:
        client = scope.get("client")
        return proxies.client_of(client[0] if client else "", dict(scope["headers"])) or None

    return address_of


def _gates(settings: Settings, gauge: BacklogGauge, duties: dict[str, Duty]) -> list[Gate]:
    """What may close ingest; its measuring becomes one of the ``duties``."""
    gates: list[Gate] = [lambda: "backlog_full" if gauge.is_closed else None]
    key_file = key_file_of(settings.database_url)
    if key_file is not None and settings.min_free_disk_mb:
        disk = DiskGate(key_file.parent, settings.min_free_disk_mb * 1024 * 1024)
        gates.append(disk)
        duties["disk"] = disk
    return gates


def _shared_counters(settings: Settings) -> SharedCounters | None:
    if settings.redis_url is None:
        return None
    from kanca.ingest.shared_counters import SharedCounters  # noqa: PLC0415 - loads its driver, for 0.3 s

    return SharedCounters(settings.redis_url)


def served_document() -> dict[str, Any]:
    """The OpenAPI document of all that a gateway serves."""
    return api_document(ingest_document())
