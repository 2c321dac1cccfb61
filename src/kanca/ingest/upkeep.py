"""What is done every now and then beside the requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from kanca.errors import KancaError

log = structlog.get_logger(__name__)

Duty = Callable[[], Awaitable[None]]


class Upkeep:
    """Does each duty again and again, whatever becomes of one turn of it."""

    def __init__(self, limit: timedelta) -> None:
        """``limit`` is the longest that one turn may take."""
        self._limit_s = limit.total_seconds()
        self._tasks: list[asyncio.Task[None]] = []

    def every(self, period: timedelta, duty: Duty) -> None:
        """Begin to do ``duty``, with ``period`` between."""
        self._tasks.append(asyncio.create_task(self._repeat(period.total_seconds(), duty)))

    async def stop(self) -> None:
        """End all of it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def once(self, duty: Duty) -> bool:
        """Do it once; False when it did not work, which is logged."""
        try:
            async with asyncio.timeout(self._limit_s):
                await duty()
        except (KancaError, TimeoutError) as error:
            log.warning("upkeep_failed", duty=_name(duty), error=str(error) or type(error).__name__)
        except Exception:
            log.exception("upkeep_failed", duty=_name(duty))
        else:
            return True
        return False

    async def _repeat(self, period_s: float, duty: Duty) -> None:
        while True:
            await asyncio.sleep(period_s)
            await self.once(duty)


def _name(duty: Duty) -> str:
    return getattr(duty, "__qualname__", repr(duty))
