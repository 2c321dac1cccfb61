"""``kanca serve``: check, migrate, listen, supervise."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from kanca.app.metrics_port import metrics_served
from kanca.app.own_providers import catalogue_of
from kanca.app.supervisor import Supervisor, bind
from kanca.domain.loopback import is_loopback
from kanca.errors import DatabaseUnavailable, InvalidSetting
from kanca.settings import Settings, to_environment
from kanca.storage.dialects import open_database, serves_many_gateways
from kanca.storage.migrating import current_revision, newest_revision
from kanca.storage.ports import Database
from kanca.storage.sealed_secrets import check_keys
from kanca.storage.secret_box import load_secret_box
from kanca.telemetry.exposition import MULTIPROC_DIR, forget_process


def check(settings: Settings) -> None:
    """Raise InvalidSetting for what would start but not be right."""
    if settings.gateways and settings.admin_key is None and not is_loopback(settings.host):
        raise InvalidSetting(
            f"KANCA_ADMIN_KEY must be set to listen on {settings.host}:"
            " without a key, management would be open to whoever can connect."
        )
    if settings.gateways > 1 and not serves_many_gateways(settings.database_url):
        raise InvalidSetting("KANCA_GATEWAYS: several gateways need PostgreSQL.")
    if not settings.gateways and not settings.workers:
        raise InvalidSetting("KANCA_GATEWAYS and KANCA_WORKERS are both 0: there would be nothing to run.")
    catalogue_of(settings)
    load_secret_box(settings)


async def migrate(settings: Settings) -> None:
    """Bring the schema up to date, and make the room that the coming days need."""
    async with _opened(settings) as database:
        await _migrate(database)


async def prepare(settings: Settings) -> None:
    """Make sure, once and before anything serves, that the schema is up to date and the stored secrets can be opened.

    Raises InvalidSetting, DatabaseUnavailable.
    """
    box = load_secret_box(settings)
    async with _opened(settings) as database:
        if settings.auto_migrate:
            await _migrate(database)
        elif not await _is_ready(database):
            return  # whoever serves waits until it is, and then finds out for itself
        await database.write(check_keys, box)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Database]:
    database = await open_database(settings.database_url)
    try:
        yield database
    finally:
        await database.close()


async def _migrate(database: Database) -> None:
    await database.migrate()
    await database.prepare_storage()


async def _is_ready(database: Database) -> bool:
    try:
        return await database.read(current_revision) == newest_revision()
    except DatabaseUnavailable:
        return False


async def serve(settings: Settings, on_ready: Callable[[str], None] = lambda _address: None) -> int:
    """Run gateways and workers until a signal ends them; gives the exit code.

    ``on_ready`` is called with the address once everything works. Raises InvalidSetting, DatabaseUnavailable.
    """
    check(settings)
    await prepare(settings)
    listener = await bind(settings.host, settings.port) if settings.gateways else None
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{listener.getsockname()[1]}" if listener else ""
    with tempfile.TemporaryDirectory(prefix="kanca-metrics-") as metrics:
        supervisor = Supervisor(
            gateways=settings.gateways,
            workers=settings.workers,
            listener=listener,
            shutdown=timedelta(seconds=settings.shutdown_seconds),
            environ={**os.environ, **to_environment(settings), MULTIPROC_DIR: metrics},
            on_ready=lambda: on_ready(address),
            on_death=lambda name: forget_process(name, metrics),
        )
        with metrics_served(settings.metrics_host, settings.metrics_port, metrics):
            return await supervisor.run()
