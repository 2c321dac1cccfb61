"""Opening the database as the settings say: which way, and with how many connections."""

from __future__ import annotations

from kanca.settings import Settings
from kanca.storage.dialects import has_connections, is_pooled, open_database
from kanca.storage.ports import Database

BESIDE_POOLS = 5
"""Connections of a process besides those of both pools: to wake, to be woken, for the lease, the outbox, and checks."""
PAST_POOLER = 3
"""Those of them that do not go through a pooler: to wake, to be woken, and checks."""
LEASE_CONNECTIONS = 1


async def open_own(settings: Settings, *, is_quiet: bool = False) -> Database:
    """The database of a gateway or worker; ``is_quiet``: who asks says that it is away.

    Raises InvalidSetting, DatabaseUnavailable.
    """
    return await open_with(settings, connections_of_pool(settings.database_connections), is_quiet=is_quiet)


async def open_with(settings: Settings, connections: int, *, is_quiet: bool = False) -> Database:
    """The database, with so many connections of each sort. Raises InvalidSetting, DatabaseUnavailable."""
    return await open_database(
        settings.database_url,
        connections=connections,
        direct_url=settings.database_direct_url,
        is_quiet=is_quiet,
    )


def connections_of_pool(budget: int) -> int:
    """How many connections each of both pools has, where a process may open ``budget``."""
    return (budget - BESIDE_POOLS) // 2


def connections_used(settings: Settings) -> int | None:
    """How many connections a process opens to the server itself at most; None where there is no server."""
    if not has_connections(settings.database_url):
        return None
    return PAST_POOLER if is_pooled(settings.database_url) else settings.database_connections
