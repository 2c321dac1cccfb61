"""What is done every now and then: one loop for all duties.

Every worker does all duties. That several do one at once is harmless: each takes what the others have not taken. Those
that cost much are done by one for all (see ``queue.one_for_all``).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Protocol

import structlog

from kanca.domain.pauses import pause_after
from kanca.errors import KancaError, Unavailable

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
"""After failures the pause doubles up to this."""
LONGEST_AWAY_PAUSE_S = 4.0
"""And up to this, with chance in it, while the database is away."""


class Duty(Protocol):
    """Something that has to be done again and again."""

    async def run_once(self) -> timedelta:
        """Do it, and say after which time it should be done again."""
        ...


class Duties:
    """Does each duty in a task of its own, whatever becomes of one turn of it."""

    def __init__(
        self,
        duties: Mapping[str, Duty],
        limit: timedelta = timedelta(minutes=10),
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``limit`` is the longest that one turn may take."""
        self._chance = chance
        self._duties = duties
        self._limit_s = limit.total_seconds()
        self._hurried = {name: asyncio.Event() for name in duties}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin with all of them at once."""
        self._tasks = [asyncio.create_task(self._repeat(name), name=name) for name in self._duties]

    def hurry(self, name: str) -> None:
        """Have a duty done as soon as may be; does not wait for it."""
        self._hurried[name].set()

    async def stop(self) -> None:
        """End all of them; a turn under way is cancelled."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _repeat(self, name: str) -> None:
        hurried = self._hurried[name]
        pause_s = after_failure_s = FIRST_PAUSE_S
        failures = 0
        while True:
            hurried.clear()
            try:
                async with asyncio.timeout(self._limit_s):
                    pause_s = (await self._duties[name].run_once()).total_seconds()
                after_failure_s, failures = FIRST_PAUSE_S, 0
            except Unavailable as error:
                # The database says in the log that it is away. What is back should not be waited for.
                log.debug("duty_put_off", duty=name, code=error.code)
                failures += 1
                pause_s = pause_after(failures, FIRST_PAUSE_S, LONGEST_AWAY_PAUSE_S, self._chance())
            except (KancaError, TimeoutError) as error:
                log.warning("duty_failed", duty=name, error=str(error) or type(error).__name__)
                pause_s, after_failure_s = after_failure_s, min(2 * after_failure_s, LONGEST_PAUSE_S)
            except Exception:
                log.exception("duty_failed", duty=name)
                pause_s, after_failure_s = after_failure_s, min(2 * after_failure_s, LONGEST_PAUSE_S)
            try:
                async with asyncio.timeout(max(pause_s, 0)):
                    await hurried.wait()
            except TimeoutError:
                pass
