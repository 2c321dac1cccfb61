"""Rate limits: requests per minute, for each endpoint and client.

A window begins with its first request, and takes exactly as many as the limit says.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple, Protocol

from kanca.ingest.refusal import Refusal

WINDOW = timedelta(minutes=1)
MAX_COUNTERS = 50_000
"""Counters that a process keeps at once; above that the oldest are forgotten first."""

_UNAVAILABLE = Refusal("rate_limit_unavailable")


class Count(NamedTuple):
    """A window after one more request."""

    hits: int
    ends_in_s: float


class Counters(Protocol):
    """Counters that several processes share."""

    async def hit(self, key: str) -> Count | None:
        """Count a request; None when nobody can."""
        ...


class MemoryCounters:
    """Counters of this process: as many as there is room for, whoever sends from how many addresses."""

    def __init__(self, now: Callable[[], float] = time.time, max_counters: int = MAX_COUNTERS) -> None:
        self._now = now
        self._max_counters = max_counters
        self._counters: dict[str, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._counters)

    def hit(self, key: str) -> Count:
        """Count a request in the window of ``key``."""
        now = self._now()
        hits, ends_at = self._counters.get(key, (0, now))
        # A window that ends later than it can was begun before the clock was set back.
        if not now < ends_at <= now + WINDOW.total_seconds():
            # Taken out and put in again, so that the oldest window is always the first in the dict.
            self._counters.pop(key, None)
            self._make_room()
            hits, ends_at = 0, now + WINDOW.total_seconds()
        self._counters[key] = (hits + 1, ends_at)
        return Count(hits + 1, ends_at - now)

    def _make_room(self) -> None:
        while len(self._counters) >= self._max_counters:
            del self._counters[next(iter(self._counters))]


class RateLimiter:
    """Says whether a client may send another request to an endpoint."""

    def __init__(
        self,
        memory: MemoryCounters | None = None,
        shared: Counters | None = None,
        *,
        fails_closed: bool = False,
    ) -> None:
        """``shared`` counters decide where there are any.

        When they are away, ``fails_closed`` refuses all requests that have a limit; else ``memory`` decides.
        """
        self._memory = MemoryCounters() if memory is None else memory
        self._shared = shared
        self._fails_closed = fails_closed

    async def refuse(self, amount: int, endpoint: str, client: str) -> Refusal | None:
        """Count a request; a refusal, with when to come again, when it is one too many for ``amount`` a minute."""
        # A changed limit begins to count anew.
        key = f"{endpoint}:{client}:{amount}"
        count = await self._shared.hit(key) if self._shared else None
        if count is None:
            if self._shared and self._fails_closed:
                return _UNAVAILABLE
            count = self._memory.hit(key)
        return None if count.hits <= amount else _too_many(amount, count)


def _too_many(amount: int, count: Count) -> Refusal:
    seconds = str(max(1, math.ceil(count.ends_in_s))).encode()
    return Refusal(
        "rate_limited",
        f"The endpoint takes {amount} requests a minute from one client.",
        headers=(
            (b"retry-after", seconds),
            (b"x-ratelimit-limit", str(amount).encode()),
            (b"x-ratelimit-remaining", b"0"),
            (b"x-ratelimit-reset", seconds),
        ),
    )
