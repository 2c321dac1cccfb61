"""Settings of the server that break a promise, and transactions that slow the queue down."""

from __future__ import annotations

from datetime import timedelta

import asyncpg

from kanca.storage.dialects.postgresql.address import Address
from kanca.storage.dialects.postgresql.failures import translated
from kanca.storage.ports import ConnectionRoom

_TIMEOUT = timedelta(seconds=10)

_SETTINGS = {
    "fsync": "fsync is off: a power cut can lose or damage what was answered as accepted",
    "full_page_writes": "full_page_writes is off: a power cut can damage what was answered as accepted",
    "synchronous_commit": "synchronous_commit is off: a crash of the server loses what was answered as accepted",
}
_POOLER = (
    "A pooler such as PgBouncer is between Kanca and PostgreSQL: connect directly, or add ?statement_cache_size=0 to"
    " KANCA_DATABASE_URL if it works in transaction mode, and set KANCA_DATABASE_DIRECT_URL"
)
_NO_WAY_PAST = (
    "KANCA_DATABASE_URL goes through a pooler, and KANCA_DATABASE_DIRECT_URL names no way past it: idle workers look"
    " for work every KANCA_WORKER_POLL_SECONDS instead of being woken, and several may drop old days at once"
)
_NOT_PAST = "KANCA_DATABASE_DIRECT_URL goes through a pooler too: it must lead to PostgreSQL itself"
_OLDEST = """
    SELECT max(clock_timestamp() - begun) FROM (
        SELECT xact_start FROM pg_stat_activity
        WHERE (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) AND pid <> pg_backend_pid()
        UNION ALL SELECT prepared FROM pg_prepared_xacts
    ) AS open (begun)
"""


_ROOM = """
    SELECT least(
        current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int
            - coalesce(nullif(current_setting('reserved_connections', true), ''), '0')::int,
        (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()),
        (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user)
    ) AS most, (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used
"""


async def warnings(address: Address, direct: Address) -> list[str]:
    """Say in sentences what about the server or the ways to it breaks a promise. Raises DatabaseUnavailable."""
    with translated():
        connection = await direct.connect(_TIMEOUT)
        try:
            found = [
                sentence
                for setting, sentence in _SETTINGS.items()
                if await connection.fetchval("SELECT current_setting($1)", setting) == "off"
            ]
            if direct.is_pooled:
                found.append(_NO_WAY_PAST)
            elif await _is_pooled(connection):
                found.append(_NOT_PAST if address.is_pooled else _POOLER)
            return found
        finally:
            await connection.close(timeout=5)


async def oldest_snapshot_age(address: Address) -> timedelta | None:
    """Say how long the oldest open transaction of the server has been open; None when none is."""
    with translated():
        connection = await address.connect(_TIMEOUT)
        try:
            age: timedelta | None = await connection.fetchval(_OLDEST)
            return age
        finally:
            await connection.close(timeout=5)


async def connection_room(address: Address) -> ConnectionRoom:
    """Say how many connections the server takes, and how many it has. Raises DatabaseUnavailable."""
    with translated():
        connection = await address.connect(_TIMEOUT)
        try:
            row = await connection.fetchrow(_ROOM)
            return ConnectionRoom(row["most"], row["used"] - 1)  # but for this one
        finally:
            await connection.close(timeout=5)


async def _is_pooled(connection: asyncpg.Connection) -> bool:
    # A pooler greets with a process number of its own, and hands statements to servers that have another.
    return bool(await connection.fetchval("SELECT pg_backend_pid()") != connection.get_server_pid())
