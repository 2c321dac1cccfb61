"""Reading ``postgresql://…`` and opening one connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from kanca.errors import InvalidSetting
from kanca.storage.dialects.schema import shown_name
from kanca.storage.revisions import newest_revision

CONNECT_TIMEOUT_S = 10.0
DIRECT_URL = "KANCA_DATABASE_DIRECT_URL"
_POOLER_OPTION = "statement_cache_size"
_SCHEMES = {"postgresql", "postgres"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is and how it is spoken to."""

    dsn: str
    """As libpq and asyncpg read it."""
    is_pooled: bool
    """A pooler such as PgBouncer stands between: a session may change from transaction to transaction, so nothing
    is prepared and no session setting is made."""

    async def connect(self, statement_timeout: timedelta, **options: Any) -> asyncpg.Connection:
        """Open a connection on which no statement takes longer than ``statement_timeout`` (zero: no limit)."""
        limit_ms = str(int(statement_timeout.total_seconds() * 1000))
        settings = {"application_name": shown_name(newest_revision())}
        if not self.is_pooled:
            settings |= {
                "timezone": "UTC",
                "statement_timeout": limit_ms,
                "lock_timeout": limit_ms,
                "idle_in_transaction_session_timeout": "60s",
                # Who has waited for a lock must see what was committed meanwhile, whatever the server's default.
                "default_transaction_isolation": "read committed",
            }
        if self.is_pooled:
            options["statement_cache_size"] = 0
        return await asyncpg.connect(
            self.dsn,
            timeout=CONNECT_TIMEOUT_S,
            # A second more than the server's own limit, which gives the clearer error.
            command_timeout=statement_timeout.total_seconds() + 1 if statement_timeout else None,
            server_settings=settings,
            **options,
        )


def read_address(url: str, setting: str = "KANCA_DATABASE_URL") -> Address:
    """Read a URL as libpq writes them; ``?statement_cache_size=0`` says that a pooler is in the way.

    Raises InvalidSetting, which names the ``setting`` that the URL is from.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    cache_size = options.pop(_POOLER_OPTION, None)
    if cache_size not in {None, "0"}:
        raise InvalidSetting(f"{setting}: {_POOLER_OPTION} can only be 0, or left out")
    if not parts.path.strip("/"):
        raise InvalidSetting(f"{setting} must name a database: postgresql://user@host/name")
    if not parts.hostname and "host" not in options:
        raise InvalidSetting(
            f"{setting} must name a host: postgresql://user@host/name or …/name?host=/socket"
        )
    if setting == DIRECT_URL and (parts.scheme not in _SCHEMES or cache_size is not None):
        raise InvalidSetting(f"{DIRECT_URL} must begin with postgresql://, and lead past the pooler")
    return Address(urlunsplit(parts._replace(query=urlencode(options))), is_pooled=cache_size == "0")
