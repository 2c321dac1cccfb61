"""How often an address may come with a wrong key.

The right key from another address is never held up by it, whoever guesses from wherever. It is counted in this
process, and forgotten after a minute. Where gateways share counters, each hears with an address's first failure there
how often it has failed everywhere; where these are away, its own count holds.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

WINDOW_S = 60.0
MOST_OF_CLIENT = 10
MOST_IN_ALL = 300
"""Above that, an address that has failed once may not try again within its minute."""
MAX_CLIENTS = 10_000
"""Addresses that are remembered; above that the oldest is forgotten first."""
_ALL = "in all"


class Counted(Protocol):
    """A minute after one more failure."""

    @property
    def hits(self) -> int:
        """The failures in it."""
        ...


class Counters(Protocol):
    """Counters that all gateways share."""

    async def hit(self, key: str) -> Counted | None:
        """Count a failure; None when nobody can."""
        ...


@dataclass(slots=True)
class _Window:
    begun_at: float
    failures: int = 0


class FailedAttempts:
    """Counts wrong keys by the address they come from."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        most_of_client: int = MOST_OF_CLIENT,
        shared: Counters | None = None,
    ) -> None:
        """``clock`` gives seconds. An address may fail ``most_of_client`` times a minute; 0: as often as it likes."""
        self._shared = shared
        self._clock = clock
        self._most_of_client = most_of_client
        self._clients: dict[str, _Window] = {}
        self._all = _Window(clock())

    def wait_s(self, client: str) -> int | None:
        """How many whole seconds an address has to wait before its next try; None: it may try."""
        now = self._clock()
        window = self._clients.get(counted_as(client)) if self._most_of_client else None
        if window is None or _is_over(window, now):
            return None
        is_flood = self._all.failures >= MOST_IN_ALL and not _is_over(self._all, now)
        if window.failures < (1 if is_flood else self._most_of_client):
            return None
        return max(1, math.ceil(window.begun_at + WINDOW_S - now))

    def failed(self, client: str) -> None:
        """Say that a key from there was wrong."""
        now = self._clock()
        if _is_over(self._all, now):
            self._all = _Window(now)
        self._all.failures += 1
        name = counted_as(client)
        window = self._clients.pop(name, None)
        if window is None or _is_over(window, now):
            window = _Window(now)
            if len(self._clients) >= MAX_CLIENTS:
                del self._clients[next(iter(self._clients))]
        window.failures += 1
        self._clients[name] = window

    async def failed_for_all(self, client: str) -> None:
        """Count a failure, after ``failed``, where all gateways do, and hear how many they have counted."""
        if self._shared is None or not self._most_of_client:
            return
        name = counted_as(client)
        counts = await asyncio.gather(*(self._shared.hit(f"wrong keys:{key}") for key in (name, _ALL)))
        for window, count in zip((self._clients.get(name), self._all), counts, strict=True):
            if window is not None and count is not None:
                window.failures = max(window.failures, count.hits)


def counted_as(client: str) -> str:
    """What an address is counted under: for IPv6 the /64 that one customer has at the least."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(getattr(address, "ipv4_mapped", None) or address)


def _is_over(window: _Window, now: float) -> bool:
    return now >= window.begun_at + WINDOW_S
