"""Bringing the schema up to date from within Kanca."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from kanca.errors import Conflict, DatabaseUnavailable
from kanca.storage.dialects.schema import LOCK_TIMEOUT_S, version_table_options

HEAD = "head"
BASE = "base"

# Alembic keeps the migration that is under way in module variables.
_one_in_this_process = threading.Lock()


@asynccontextmanager
async def alone_in_this_process() -> AsyncIterator[None]:
    """Wait until no other migration is under way in this process. Raises DatabaseUnavailable after a minute."""
    if not await asyncio.to_thread(_one_in_this_process.acquire, timeout=LOCK_TIMEOUT_S):
        raise DatabaseUnavailable("Another migration does not come to an end")
    try:
        yield
    finally:
        _one_in_this_process.release()


def upgrade(connection: Connection, revision: str = HEAD) -> None:
    """Migrate up to ``revision``, in the transaction of ``connection``.

    Raises Conflict when the database was migrated by a newer Kanca.
    """
    try:
        command.upgrade(_config(connection), revision)
    except CommandError as error:
        raise Conflict(
            "The database was migrated by a newer Kanca (or its version table is damaged): "
            "run that version, or restore a backup"
        ) from error


def downgrade(connection: Connection, revision: str = BASE) -> None:
    """Migrate down to ``revision``, in the transaction of ``connection``. Data of what goes away are lost."""
    command.downgrade(_config(connection), revision)


def current_revision(connection: Connection) -> str | None:
    """Name the revision that the database has; None before its first migration."""
    return MigrationContext.configure(
        connection, opts=version_table_options(connection.dialect)
    ).get_current_revision()


def newest_revision() -> str:
    """Name the revision that this Kanca needs."""
    return ScriptDirectory.from_config(_config(None)).get_current_head() or BASE


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", "kanca.storage:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
