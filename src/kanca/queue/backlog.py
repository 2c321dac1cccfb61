"""How much work waits: what closes the door when it is too much."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from kanca.storage.ports import QueueStore

CLOSED_FROM = 0.95
RELAXED = timedelta(seconds=2)
"""Between two measurements while less than half is used."""
ATTENTIVE = timedelta(milliseconds=250)
BUSY_SHARE = 20
"""Measuring takes at most one part in so many of the time: counting a million tasks takes 100 ms."""


class BacklogGauge:
    """Knows how many inbound tasks are due, as of the last measurement."""

    def __init__(
        self, queue: QueueStore, limit: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """``limit``: the most due tasks there may be (``KANCA_QUEUE_MAX_TASKS``)."""
        self._queue = queue
        self._limit = limit
        self._monotonic = monotonic
        self.size = 0
        """Due tasks, counted up to the limit."""

    @property
    def usage(self) -> float:
        """The part of the limit that is used, from 0 to 1."""
        return self.size / self._limit

    @property
    def is_closed(self) -> bool:
        """Whether no more should be accepted."""
        return self.usage >= CLOSED_FROM

    async def run_once(self) -> timedelta:
        """Measure, and say when to measure again. Raises DatabaseUnavailable; then the last size stands."""
        begun = self._monotonic()
        self.size = await self._queue.backlog(self._limit)
        took = timedelta(seconds=self._monotonic() - begun)
        return max(RELAXED if self.usage < CLOSED_FROM / 2 else ATTENTIVE, took * BUSY_SHARE)
