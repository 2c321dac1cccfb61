"""Rate limits: requests per minute, for each endpoint and client."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter

from kanca.ingest.refusal import Refusal

MAX_COUNTERS = 50_000
"""Counters that are kept at once; above that the oldest are forgotten first."""


class BoundedMemory(Storage):
    """Counters in this process's memory: as many as there is room for, whoever sends from how many addresses.

    The storage that comes with ``limits`` grows with the senders and walks over all of its keys at every hit.
    """

    def __init__(self, now: Callable[[], float] = time.time, max_counters: int = MAX_COUNTERS) -> None:
        super().__init__()
        self._now = now
        self._max_counters = max_counters
        self._counters: dict[str, tuple[int, float]] = {}

    @property
    def base_exceptions(self) -> type[Exception]:
        """Errors of a storage that is away: memory never is."""
        return OSError

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count, and give the count of the window, which begins with its first hit."""
        now = self._now()
        count, expires_at = self._counters.get(key, (0, now))
        if expires_at <= now:
            # Taken out and put in again, so that the oldest window is always the first in the dict.
            self._counters.pop(key, None)
            self._make_room()
            count, expires_at = 0, now + expiry
        self._counters[key] = (count + amount, expires_at)
        return count + amount

    async def get(self, key: str) -> int:
        """The count of the window."""
        count, expires_at = self._counters.get(key, (0, 0.0))
        return count if expires_at > self._now() else 0

    async def get_expiry(self, key: str) -> float:
        """When the window ends, in Unix seconds."""
        return self._counters.get(key, (0, self._now()))[1]

    async def check(self) -> bool:
        """Memory is always there."""
        return True

    async def clear(self, key: str) -> None:
        """Forget one counter."""
        self._counters.pop(key, None)

    async def reset(self) -> int:
        """Forget all counters."""
        count = len(self._counters)
        self._counters.clear()
        return count

    def _make_room(self) -> None:
        while len(self._counters) >= self._max_counters:
            del self._counters[next(iter(self._counters))]


class RateLimiter:
    """Says whether a client may send another request to an endpoint."""

    def __init__(self, storage: Storage | None = None, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._strategy = FixedWindowRateLimiter(storage or BoundedMemory(now))

    async def refuse(self, limit: RateLimitItem, endpoint: str, client: str) -> Refusal | None:
        """Count a request; a refusal, with when to come again, when it is one too many."""
        if await self._strategy.hit(limit, endpoint, client):
            return None
        reset_at, remaining = await self._strategy.get_window_stats(limit, endpoint, client)
        seconds = str(max(1, math.ceil(reset_at - self._now()))).encode()
        return Refusal(
            "rate_limited",
            f"The endpoint takes {limit.amount} requests a minute from one client.",
            headers=(
                (b"retry-after", seconds),
                (b"x-ratelimit-limit", str(limit.amount).encode()),
                (b"x-ratelimit-remaining", str(max(0, remaining)).encode()),
                (b"x-ratelimit-reset", seconds),
            ),
        )


def per_minute(amount: int) -> RateLimitItem | None:
    """The limit of so many requests a minute; None for 0, which is no limit."""
    return RateLimitItemPerMinute(amount) if amount else None
