"""Counters that all processes share, in Redis or Valkey: exact, and never waited for longer than ``PATIENCE``.

All who wait share a round trip, so one connection is enough. One failure, or one answer that is late, and nobody asks
any more until a probe has found that counting works again: what is away costs a request nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog
from redis.exceptions import RedisError

from kanca.broadcast.connecting import redis_client
from kanca.errors import CommitQueueFull, CommitTimeout, ShuttingDown
from kanca.ingest.rate_limit import WINDOW, Count
from kanca.queue.group_commit import GroupCommit

log = structlog.get_logger(__name__)

PATIENCE = timedelta(milliseconds=200)
"""The longest that a request waits for its count, connecting and company's round trips included."""
CONNECTED_WITHIN = timedelta(seconds=2)
"""The longest that a probe connects, which no request waits for: TLS and a password take several round trips."""
PROBED_EVERY = timedelta(seconds=1)
"""How often counting is tried out: this soon it is used again after it was away."""
MOST_WAITING = 10_000

_PREFIX = "kanca:rate:"
# One step for everybody: nobody sees a counter that has no end. PTTL is negative where there is none. It is too
# large where the server's clock was set back: then the window is over.
_COUNT = """
local hits = redis.call('INCR', KEYS[1])
local left_ms = redis.call('PTTL', KEYS[1])
if left_ms > tonumber(ARGV[1]) then
  hits = 1
  redis.call('SET', KEYS[1], hits)
  left_ms = -1
end
if left_ms < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left_ms = tonumber(ARGV[1])
end
return {hits, left_ms}
"""


class SharedCounters:
    """The counters at one address. A duty as well: its turn is the probe."""

    def __init__(self, url: str, patience: timedelta = PATIENCE) -> None:
        """Connect nothing yet. Raises InvalidSetting for an address that cannot be."""
        self._patience_s = patience.total_seconds()
        self._client = redis_client(url, max(patience, CONNECTED_WITHIN).total_seconds())
        self._trips = GroupCommit[str, Count](self._ask, timeout=patience, max_waiting=MOST_WAITING)
        self._is_available = True

    @property
    def is_available(self) -> bool:
        """Whether counting worked when it was tried last."""
        return self._is_available

    async def hit(self, key: str) -> Count | None:
        """Count a request in the window of ``key``; None when that is not possible now."""
        if not self._is_available:
            return None
        try:
            return await self._trips.submit(key)
        except (CommitQueueFull, ShuttingDown):
            return None
        except (CommitTimeout, RedisError, OSError) as error:
            self._found(error)
            return None

    async def run_once(self) -> timedelta:
        """Try whether counting works."""
        self._found(await self.probe())
        return PROBED_EVERY

    async def probe(self) -> Exception | None:
        """Connect, and count in a counter that nobody else has; why that failed, or None.

        The connection stays, so that requests need not wait for it; counting has to be as quick as for them.
        """
        try:
            async with asyncio.timeout(CONNECTED_WITHIN.total_seconds()):
                pool = self._client.connection_pool
                await pool.release(await pool.get_connection())  # type: ignore[no-untyped-call]  # theirs
            async with asyncio.timeout(self._patience_s):
                await self._ask(["probe"])
        except (RedisError, OSError) as error:  # a TimeoutError is an OSError
            return error
        return None

    async def close(self) -> None:
        """Let go of the connections."""
        await self._trips.close(timedelta(seconds=self._patience_s))
        await self._client.aclose()

    async def _ask(self, keys: Sequence[str]) -> list[Count]:
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            # Whole, not by its hash: Redis forgets scripts when it restarts, and asking again is a second trip.
            pipeline.eval(_COUNT, 1, _PREFIX + key, str(round(WINDOW.total_seconds() * 1000)))
        return [Count(hits, left_ms / 1000) for hits, left_ms in await pipeline.execute()]

    def _found(self, error: Exception | None) -> None:
        if error is not None and self._is_available:
            # The kind only: an address may have a password in it.
            log.warning("redis_unavailable", error=type(error).__name__)
        if error is None and not self._is_available:
            log.info("redis_available_again")
        self._is_available = error is None
