"""Between two tries while the database is away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from kanca.domain.pauses import pause_after

FIRST_S = 0.25
LONGEST_S = 2.0
"""So much later than the database is back a worker may notice it."""


class Pauses:
    """Rests for longer each time, until something has worked."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._failures = 0

    async def rest(self) -> None:
        """Wait, after a failure."""
        self._failures += 1
        await asyncio.sleep(pause_after(self._failures, FIRST_S, LONGEST_S, self._chance()))

    def over(self) -> None:
        """Note that something has worked."""
        self._failures = 0
