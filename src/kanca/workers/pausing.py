"""Between two tries while the database is away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import structlog

from kanca.domain.pauses import pause_after
from kanca.errors import Unavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")

FIRST_S = 0.25
LONGEST_S = 2.0
"""So much later than the database is back a worker may notice it."""
FIRST_AT_START_S = 0.2
LONGEST_AT_START_S = 5.0
"""Nothing is in hand yet, so nothing is late."""


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


async def until_it_works(
    work: Callable[[], Awaitable[T]], stop: asyncio.Event, chance: Callable[[], float]
) -> T | None:
    """What ``work`` gives, however long the database is away; None when asked to stop before."""
    failures = 0
    while not stop.is_set():
        try:
            return await work()
        except Unavailable as error:
            log.debug("not_begun", code=error.code)  # the database says in the log that it is away
        failures += 1
        pause_s = pause_after(failures, FIRST_AT_START_S, LONGEST_AT_START_S, chance())
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await stop.wait()
    return None
