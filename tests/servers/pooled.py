"""A plugin for pytest: every PostgreSQL that is opened is reached through PgBouncer in transaction mode.

``python -m scripts.pgbouncer`` runs tests with it.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from kanca.storage.dialects.postgresql.database import PostgresDatabase
from tests.servers.pgbouncer import PgBouncer

_TEMPLATE = "/kanca_template"
_opened = ExitStack()
_poolers: dict[Path, PgBouncer] = {}


def pooler_of(url: str) -> PgBouncer:
    """The PgBouncer in front of the server at ``url``."""
    host = Path(parse_qs(urlsplit(url).query)["host"][0])
    if host not in _poolers:
        _poolers[host] = _opened.enter_context(PgBouncer(host))
    return _poolers[host]


def pytest_configure() -> None:
    """Go through a pooler from now on."""
    directly = PostgresDatabase.open

    async def through_pooler(url: str, connections: int, direct_url: str | None = None) -> PostgresDatabase:
        if _TEMPLATE in url:  # nobody may be connected to it, and a pooler stays
            return await directly(url, connections)
        return await directly(pooler_of(url).url(url), connections, direct_url or url)

    patch = pytest.MonkeyPatch()
    patch.setattr(PostgresDatabase, "open", through_pooler)


def pytest_unconfigure() -> None:
    """End the poolers."""
    _opened.close()
