"""Keeping ids in step with the database's clock, whatever this machine's clock says."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from kanca.domain.ids import IdFactory
from kanca.storage.ports import Database

NEGLIGIBLE_S = 0.05
"""Clocks that are kept by NTP differ by less."""
PERIOD = timedelta(seconds=30)
ATTEMPTS = 3


def correction(offset_s: float, round_trip_s: float) -> float:
    """How far to move the clock, given the offset that was measured and how long asking took.

    The answer was made at some moment of the round trip, so an offset of up to half of it may be none at all.
    """
    return offset_s if abs(offset_s) > round_trip_s / 2 + NEGLIGIBLE_S else 0.0


class ClockCorrection:
    """Measures how far the database's clock is from this machine's, and corrects new ids by it."""

    def __init__(self, database: Database, ids: IdFactory, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._ids = ids
        self._clock = clock

    async def run_once(self) -> timedelta:
        """Measure, correct, and say when to measure again. Raises DatabaseUnavailable."""
        # The quickest of a few: the first one may have had to connect.
        round_trip_s, offset_s = min([await self._measure() for _ in range(ATTEMPTS)])
        self._ids.correction_s = correction(offset_s, round_trip_s)
        return PERIOD

    async def _measure(self) -> tuple[float, float]:
        before = self._clock()
        theirs = (await self._database.now()).timestamp()
        after = self._clock()
        return after - before, theirs - (before + after) / 2
