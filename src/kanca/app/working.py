"""A worker over one database, with what an app registered."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kanca.app.clock import ClockCorrection
from kanca.app.hooks import Kanca
from kanca.app.opening import LEASE_CONNECTIONS, open_with
from kanca.app.outgoing import egress_client
from kanca.app.own_providers import catalogue_of
from kanca.app.presence import WorkerPresence, describe
from kanca.app.relaying import open_relays
from kanca.app.resume_urls import resume_urls
from kanca.app.sending import sending_means
from kanca.app.telling import open_broadcast, tell_of_changes
from kanca.domain.ids import IdFactory
from kanca.handlers.threads import SyncThreads
from kanca.outbound.alerts import Addresses
from kanca.outbound.authentication import Authentication
from kanca.queue.duties import Duties, Duty
from kanca.settings import Settings
from kanca.storage.ports import Database, Waker
from kanca.storage.secret_box import load_secret_box
from kanca.workers.noticing import Noticer, Notices, PeopleTeller
from kanca.workers.worker import Worker
from kanca.workers.worker_settings import worker_settings
from kanca.workflows.credentials import StoredCredentials
from kanca.workflows.surroundings import NodeMeans

NO_APP = "-"
"""The name under which a worker without an app announces that it has no handlers."""


@asynccontextmanager
async def open_worker(
    hooks: Kanca, settings: Settings, database: Database, predecessor: int | None = None
) -> AsyncIterator[Worker]:
    """A worker that is ready to ``run``, in the place of one that died.

    Raises InvalidSetting, and UnknownProvider for a handler of a provider that is not there.
    """
    hooks.handlers.check_providers(catalogue_of(settings))
    ids, box = IdFactory(), load_secret_box(settings)
    noted, threads, waker = Notices(database), SyncThreads(), database.waker()
    regular: dict[str, Duty] = {
        "clock": ClockCorrection(database, ids),
        **_telling(settings, database, waker, noted, threads, ids),
    }
    credentials = StoredCredentials(database, box)
    broadcast = open_broadcast(settings)
    tell_of_changes(database, broadcast)
    async with (
        egress_client(settings) as http,
        open_relays(settings, database, waker.wake) as relays,
        hooks.publisher.through(database, settings),
    ):
        describing = describe(settings, ids)
        presence = WorkerPresence(database, describing, lambda: worker.number, lambda: worker.is_stopping)
        duties = Duties({**regular, **relays, "presence": presence})
        worker = Worker(
            database,
            lambda: open_with(settings, LEASE_CONNECTIONS),
            hooks.handlers,
            hooks.nodes,
            NodeMeans(http, credentials, resume_urls(settings, box)),
            sending_means(settings, box, http, Authentication(credentials, http), noted.note),
            ids,
            worker_settings(settings, settings.app or NO_APP, predecessor, describing),
        )
        duties.start()
        try:
            yield worker
        finally:
            await duties.stop()
            await noted.flush()
            threads.close()
            await waker.close()
            await broadcast.close()


def _telling(
    settings: Settings,
    database: Database,
    waker: Waker,
    noted: Notices,
    threads: SyncThreads,
    ids: IdFactory,
) -> dict[str, Duty]:
    """What tells of trouble, as events and to people. Raises InvalidSetting."""
    addresses = Addresses(settings.alert_urls, threads.run)
    duties: dict[str, Duty] = {
        "notices": Noticer(database, waker, noted, ids.new, tells_people=bool(addresses))
    }
    if addresses:
        place = f"Kanca at {settings.public_url or socket.gethostname()}"
        duties["people"] = PeopleTeller(database, addresses, place)
    return duties
