"""Ids that carry their kind and sort by time.

An id is a UUIDv7 (RFC 9562, section 5.7), shown as ``evt_`` + 32 hex digits. The twelve bits behind the version hold a
shard number that is 0 for now, so that ids made today can still say where they live when there are several databases;
the 62 bits after the variant are random, and grow by a random number from one id of a process to the next in the same
millisecond (RFC 9562, section 6.2, method 2): what is published together has an order.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

EVENT = "evt"
RUN = "run"
DELIVERY = "dlv"
ATTEMPT = "att"
DEAD_LETTER = "dl"
KEY = "key"
STEP = "stp"
CALL = "call"
WAIT = "wait"
REPLAY = "rpl"
JOB = "job"
AUDIT = "aud"
SUBSCRIPTION = "sub"
"""Of those whose id was not chosen."""

CHOSEN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What an id chosen by the user may look like (workflows, subscriptions, nodes)."""

WEBHOOK_ID = re.compile(r"wh_[0-9a-f]{24}")

_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62
_RANDOM = (1 << 62) - 1
_FIRST = _RANDOM >> 1
"""A millisecond's first id leaves room above it for the others."""
HELD_MS = 60_000
"""How far back a clock may be set without ids going back with it."""
_HEX = re.compile(r"[0-9a-f]{32}")


def uuid7_int(unix_ms: int, entropy: int) -> int:
    """A UUIDv7 as a number: ``unix_ms`` in front, shard 0, and the low 62 bits of ``entropy``."""
    return (unix_ms << 80) | _VERSION | _VARIANT | (entropy & _RANDOM)


class IdFactory:
    """Makes ids from a clock in Unix seconds; ``correction_s`` moves it to the database's time."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.correction_s = 0.0
        self._last = (0, 0)
        """Its millisecond, and what is random in it."""

    def new(self) -> UUID:
        """A new id, later than all before it that this factory made.

        While the clock is behind, time stands still for ids. Only a clock that was set back by more than ``HELD_MS`` is
        followed: what was made before is in the future then, and what comes should not be.
        """
        unix_ms = int((self._now() + self.correction_s) * 1000)
        chance = int.from_bytes(os.urandom(8))
        last_ms, last = self._last
        entropy = chance & _FIRST
        if last_ms - HELD_MS <= unix_ms <= last_ms:
            unix_ms, entropy = last_ms, last + 1 + (chance >> 32)
            if entropy > _RANDOM:
                unix_ms, entropy = last_ms + 1, chance & _FIRST
        self._last = (unix_ms, entropy)
        return UUID(int=uuid7_int(unix_ms, entropy))


def derived_id(parent: UUID, *names: str) -> UUID:
    """The id that follows from ``parent`` and ``names``: the same time in front, a hash behind.

    So work that is done again after a crash has the id it had.
    """
    digest = hashlib.sha256(b"\x00".join([parent.bytes, *(name.encode() for name in names)])).digest()
    return UUID(int=uuid7_int(parent.int >> 80, int.from_bytes(digest[:8])))


def id_at(moment: datetime) -> UUID:
    """The smallest id of that millisecond: a bound for ranges of time."""
    return UUID(int=uuid7_int(int(moment.timestamp() * 1000), 0))


def time_of(identifier: UUID) -> datetime:
    """The moment, to the millisecond, at which an id was made."""
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, UTC)


def show_id(kind: str, identifier: UUID) -> str:
    """``evt_`` + 32 hex digits."""
    return f"{kind}_{identifier.hex}"


def read_id(kind: str, text: str) -> UUID | None:
    """The id in ``text``, or None when it is not one of this kind."""
    prefix, _, digits = text.partition("_")
    return UUID(hex=digits) if prefix == kind and _HEX.fullmatch(digits) else None


def new_webhook_id() -> str:
    """``wh_`` + 24 hex digits: part of a public address, so unguessable."""
    return "wh_" + secrets.token_hex(12)


def new_endpoint_token() -> str:
    """``wht_`` + 64 hex digits."""
    return "wht_" + secrets.token_hex(32)
