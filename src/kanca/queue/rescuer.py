"""Who revives the tasks of a worker that died."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog

from kanca.domain.task import Completion, Task
from kanca.storage.ports import QueueStore, Waker
from kanca.telemetry.metrics import RESCUED

log = structlog.get_logger(__name__)

MAX_CRASHES = 3
"""A task that so many workers died of is dead."""

Bury = Callable[[Sequence[Task]], Awaitable[Sequence[Completion]]]
"""Says how tasks that are lost become dead letters (code ``worker_lost``)."""


class Rescuer:
    """Makes the tasks of dead workers ready again, and dead letters of those that they keep dying of."""

    def __init__(
        self,
        queue: QueueStore,
        waker: Waker,
        worker: Callable[[], int | None],
        bury: Bury,
        every: timedelta,
        max_crashes: int = MAX_CRASHES,
        on_doubt: Callable[[], None] = lambda: None,
    ) -> None:
        """``worker``: the number of the worker that rescues; while it has none, it rescues nobody.

        ``on_doubt`` is told that the worker may hold lost tasks that nobody will bury: they have to be put back.
        """
        self._queue = queue
        self._waker = waker
        self._worker = worker
        self._bury = bury
        self._every = every
        self._max_crashes = max_crashes
        self._on_doubt = on_doubt

    async def run_once(self) -> timedelta:
        """Rescue what there is to rescue. Raises DatabaseUnavailable."""
        worker = self._worker()
        if worker is not None:
            try:
                await self._rescue(worker)
            except BaseException:
                self._on_doubt()
                raise
        return self._every

    async def _rescue(self, worker: int) -> None:
        rescued = await self._queue.rescue(worker, self._max_crashes)
        RESCUED.labels("returned").inc(rescued.returned)
        RESCUED.labels("lost").inc(len(rescued.lost))
        if rescued.returned:
            log.warning("tasks_rescued", count=rescued.returned)
            self._waker.wake()
        if rescued.lost:
            log.error("tasks_lost", count=len(rescued.lost))
            await self._queue.finish(worker, await self._bury(rescued.lost))
