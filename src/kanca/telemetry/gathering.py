"""Observing in memory: a histogram's own ``observe`` writes to a file each time, which is too dear for ingest."""

from __future__ import annotations

from bisect import bisect_left

from prometheus_client import Histogram


class Gathered:
    """Observations of one histogram that are handed on together by ``flush``."""

    def __init__(self, metric: Histogram) -> None:
        """``metric`` has no labels, or all of them are given."""
        # The library has no way to add observations that were sorted already but the one that it uses itself.
        self._buckets = metric._buckets  # noqa: SLF001
        self._total = metric._sum  # noqa: SLF001
        self._bounds = metric._upper_bounds  # noqa: SLF001
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0

    def observe(self, amount: float) -> None:
        """Note one observation."""
        self._counts[bisect_left(self._bounds, amount)] += 1
        self._sum += amount

    def flush(self) -> None:
        """Hand on what was noted."""
        for position, count in enumerate(self._counts):
            if count:
                self._buckets[position].inc(count)
                self._counts[position] = 0
        self._total.inc(self._sum)
        self._sum = 0.0
