"""``kanca serve``: check, migrate, listen, supervise."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import structlog

from kanca.app.metrics_port import metrics_served
from kanca.app.opening import open_own
from kanca.app.own_providers import catalogue_of
from kanca.app.supervisor import Supervisor, bind
from kanca.domain.loopback import is_loopback
from kanca.errors import DatabaseUnavailable, InvalidSetting, SchemaTooNew
from kanca.settings import Settings, to_environment
from kanca.storage.dialects import serves_many_gateways
from kanca.storage.migrating import contract, schema_of
from kanca.storage.ports import Database
from kanca.storage.sealed_secrets import check_keys
from kanca.storage.secret_box import load_secret_box
from kanca.storage.standing import Schema, Standing
from kanca.telemetry.exposition import MULTIPROC_DIR, forget_process

log = structlog.get_logger(__name__)


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


async def migrate(settings: Settings, *, contracting: bool = False, force: bool = False) -> Schema:
    """Bring the schema up to date, and make the room that the coming days need; gives what it is then.

    ``contracting`` also takes away what only older versions need. Raises DatabaseUnavailable, SchemaTooNew, and
    OlderVersionRuns unless ``force`` is given.
    """
    async with _opened(settings) as database:
        await _migrate(database)
        if contracting:
            await database.migrating(partial(contract, force=force))
        return await database.read(schema_of)


async def prepare(settings: Settings) -> None:
    """Make sure, once and before anything serves, that the schema is up to date and the stored secrets can be opened.

    Raises InvalidSetting, DatabaseUnavailable, SchemaTooNew.
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
    database = await open_own(settings, is_quiet=True)
    try:
        yield database
    finally:
        await database.close()


async def _migrate(database: Database) -> None:
    await database.migrate()
    await database.prepare_storage()


async def _is_ready(database: Database) -> bool:
    try:
        schema = await database.read(schema_of)
    except DatabaseUnavailable:
        return False
    match schema.standing:
        case Standing.TOO_NEW:
            raise SchemaTooNew
        case Standing.MISSING | Standing.BEHIND:
            log.warning(
                "schema_behind", is_at=schema.expanded_to, needed=schema.newest, advice="run `kanca migrate`"
            )
            return False
        case _:
            return True


async def serve(settings: Settings, on_ready: Callable[[str], None] = lambda _address: None) -> int:
    """Run gateways and workers until a signal ends them; gives the exit code.

    ``on_ready`` is called with the address once everything works. Raises InvalidSetting, DatabaseUnavailable,
    SchemaTooNew.
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
            shutdown=timedelta(seconds=settings.shutdown_delay_seconds + settings.shutdown_seconds),
            watchdog=timedelta(seconds=settings.watchdog_seconds),
            environ={**os.environ, **to_environment(settings), MULTIPROC_DIR: metrics},
            on_ready=lambda: on_ready(address),
            on_death=lambda name: forget_process(name, metrics),
        )
        with metrics_served(
            settings.metrics_host,
            settings.metrics_port,
            metrics,
            is_live=lambda: supervisor.is_live,
            is_ready=lambda: supervisor.is_ready,
        ):
            return await supervisor.run()
