"""Locks on names, until the end of the transaction: what two sides of one decision take first."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sqlalchemy import Connection, text

_LOCK = text(
    "SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) WITH ORDINALITY AS k (key, n)"
)


def lock_names(connection: Connection, names: Iterable[str]) -> None:
    """Wait until no other transaction has locked any of these names, and lock them.

    In an order of their own, so that two who lock several never wait for each other. Nothing to do on a file, which has
    one writer at a time.
    """
    if connection.dialect.name != "postgresql":
        return
    keys = sorted({_number(name) for name in names})
    if keys:
        connection.execute(_LOCK, {"keys": keys})


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
