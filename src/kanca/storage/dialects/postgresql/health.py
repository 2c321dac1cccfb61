"""Settings of the server that break a promise, and transactions that slow the queue down."""

from __future__ import annotations

from datetime import timedelta

import asyncpg

from kanca.storage.dialects.postgresql.address import Address
from kanca.storage.dialects.postgresql.failures import translated

_TIMEOUT = timedelta(seconds=10)

_SETTINGS = {
    "fsync": "fsync is off: a power cut can lose or damage what was answered as accepted",
    "full_page_writes": "full_page_writes is off: a power cut can damage what was answered as accepted",
    "synchronous_commit": "synchronous_commit is off: a crash of the server loses what was answered as accepted",
}
_POOLER = (
    "A pooler such as PgBouncer is between Kanca and PostgreSQL: connect directly, or add ?statement_cache_size=0 to"
    " KANCA_DATABASE_URL if it works in transaction mode (idle workers then poll instead of being woken)"
)
_OLDEST = """
    SELECT max(clock_timestamp() - begun) FROM (
        SELECT xact_start FROM pg_stat_activity
        WHERE (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) AND pid <> pg_backend_pid()
        UNION ALL SELECT prepared FROM pg_prepared_xacts
    ) AS open (begun)
"""


async def warnings(address: Address) -> list[str]:
    """Say in sentences what about the server or the way to it breaks a promise. Raises DatabaseUnavailable."""
    with translated():
        connection = await address.connect(_TIMEOUT)
        try:
            found = [
                sentence
                for setting, sentence in _SETTINGS.items()
                if await connection.fetchval("SELECT current_setting($1)", setting) == "off"
            ]
            if not address.is_pooled and await _is_pooled(connection):
                found.append(_POOLER)
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


async def _is_pooled(connection: asyncpg.Connection) -> bool:
    # A pooler greets with a process number of its own, and hands statements to servers that have another.
    return bool(await connection.fetchval("SELECT pg_backend_pid()") != connection.get_server_pid())
