"""Keeping ids in step with the database's clock, whatever this machine's clock says."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from kanca.domain.ids import IdFactory
from kanca.storage.ports import Database

NEGLIGIBLE_S = 0.05
"""Less than this may be the way to the database and back."""
PERIOD = timedelta(seconds=30)


class ClockCorrection:
    """Measures how far the database's clock is from this machine's, and corrects new ids by it."""

    def __init__(self, database: Database, ids: IdFactory, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._ids = ids
        self._clock = clock

    async def run_once(self) -> timedelta:
        """Measure, correct, and say when to measure again. Raises DatabaseUnavailable."""
        before = self._clock()
        theirs = (await self._database.now()).timestamp()
        offset = theirs - (before + self._clock()) / 2
        self._ids.correction_s = offset if abs(offset) > NEGLIGIBLE_S else 0.0
        return PERIOD
