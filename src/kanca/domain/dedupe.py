"""Dedupe keys as they are stored."""

from __future__ import annotations

import hashlib
from typing import NamedTuple
from uuid import UUID


class Key(NamedTuple):
    """What an event is recognised by."""

    kind: bytes
    value: bytes


def dedupe_key(endpoint: int, key: Key) -> UUID:
    """128 bits of SHA-256 over the endpoint's number and the key."""
    digest = hashlib.sha256(b"%d\x00%b\x00%b" % (endpoint, key.kind, key.value)).digest()
    return UUID(bytes=digest[:16])
