"""Bringing the schema up to date from within Kanca.

Alembic is loaded by who migrates, or compares: processes that only serve start sooner without it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from kanca.errors import DatabaseUnavailable, OlderVersionRuns, SchemaTooNew
from kanca.storage.dialects.schema import LOCK_TIMEOUT_S, known_by_others, version_table_options
from kanca.storage.standing import Half, Schema, Standing, older_than

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

HEAD = "head"
BASE = "base"
LOCATIONS = {
    Half.EXPAND: "kanca.storage:migrations/versions",
    Half.CONTRACT: "kanca.storage:migrations/contracts",
}

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
    """Migrate up to ``revision``, in the transaction of ``connection``: the expand halves.

    A new database has nobody who needs what contract halves take away, so it gets both at once. One that a newer Kanca
    has expanded stays as it is. Raises SchemaTooNew for one that a newer Kanca has contracted.
    """
    match schema_of(connection).standing:
        case Standing.TOO_NEW:
            raise SchemaTooNew
        case Standing.AHEAD:
            return
        case Standing.MISSING if revision == HEAD:
            _run(connection, Half.EXPAND, revision)
            _run(connection, Half.CONTRACT, revision)
        case _:
            _run(connection, Half.EXPAND, revision)


def contract(connection: Connection, *, force: bool = False) -> None:
    """Migrate, and then take away what only older versions of Kanca need, in the transaction of ``connection``.

    ``force`` does so whoever runs. Raises OlderVersionRuns while one of them does, SchemaTooNew as ``upgrade`` does.
    """
    upgrade(connection)
    schema = schema_of(connection)
    if not schema.pending_contracts or schema.standing is not Standing.CURRENT:
        return
    needed = _scripts(Half.CONTRACT).get_revision(schema.pending_contracts[-1]).module.needs
    others = older_than(needed, known_by_others(connection), schema.expands)
    if others and not force:
        raise OlderVersionRuns(
            f"{len(others)} connections are of a Kanca that is older than {needed}, or does not say what it is: "
            "stop it, or use --force",
            revisions=sorted(set(others)),
        )
    _run(connection, Half.CONTRACT, HEAD)


def downgrade(connection: Connection, revision: str = BASE) -> None:
    """Migrate down to ``revision``, in the transaction of ``connection``. Data of what goes away are lost."""
    from alembic import command  # noqa: PLC0415 - see above

    if schema_of(connection).contracted_to is not None:
        command.downgrade(_config(Half.CONTRACT, connection), BASE)
    command.downgrade(_config(Half.EXPAND, connection), revision)


def schema_of(connection: Connection) -> Schema:
    """Look at the schema of a database, beside what this Kanca knows."""
    return Schema(
        _revision(connection, Half.EXPAND),
        _revision(connection, Half.CONTRACT),
        _known(Half.EXPAND),
        _known(Half.CONTRACT),
    )


def _known(half: Half) -> list[str]:
    return [script.revision for script in _scripts(half).walk_revisions()][::-1]


def _revision(connection: Connection, half: Half) -> str | None:
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - see above

    options = version_table_options(connection.dialect, half)
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def _run(connection: Connection, half: Half, revision: str) -> None:
    from alembic import command  # noqa: PLC0415 - see above

    if _known(half):
        command.upgrade(_config(half, connection), revision)


def _scripts(half: Half) -> ScriptDirectory:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see above

    return ScriptDirectory.from_config(_config(half))


def _config(half: Half, connection: Connection | None = None) -> Config:
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", "kanca.storage:migrations")
    config.set_main_option("version_locations", LOCATIONS[half])
    config.set_main_option("path_separator", "newline")
    config.attributes |= {"connection": connection, "half": half}
    return config
