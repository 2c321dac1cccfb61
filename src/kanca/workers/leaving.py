"""How deliveries leave a worker's hands: recorded, put off until their receiver has room, or put back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any

from kanca.domain.event import StoredEvent
from kanca.domain.task import Completion, HandBack, Park, Task, Wait
from kanca.outbound.receivers import Receiver
from kanca.queue.claiming import Claimer
from kanca.workers.delivery_means import DeliveryMeans
from kanca.workers.delivery_records import Job
from kanca.workers.finishing import Finishing


class Leaving:
    """Writes what becomes of deliveries, many at once, under one lease."""

    def __init__(
        self, worker: int, means: DeliveryMeans, claimer: Claimer, nudge: Callable[[], None]
    ) -> None:
        """``nudge`` is called for each that has left: there is room again."""
        self._means = means
        self._claimer = claimer
        self._nudge = nudge
        self._finishing = Finishing(means.database.queue, worker)
        self._all: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let something go on beside, until ``close``."""
        job = asyncio.create_task(work)
        self._all.add(job)
        job.add_done_callback(self._all.discard)
        return job

    def say(self, task: Task, event: StoredEvent | None, completion: Completion) -> None:
        """Have recorded what becomes of a delivery that was not attempted."""
        self.spawn(self.record(task, event, completion))

    def put_off(self, job: Job, receiver: Receiver) -> None:
        """Leave a delivery until its receiver has room: no attempt is counted."""
        is_retry = job.task.attempt > 0
        if job.task.order_key is not None or (is_retry and receiver.fails_at_once):
            # Parked, an ordered one would have its turn again at once, and a retry stand behind what was never tried.
            now = self._loop.time()
            put_off_s = receiver.put_off(now, of_retry=is_retry) - now
            self.say(job.task, job.event, Completion(job.task, Wait(timedelta(seconds=put_off_s))))
        else:
            parked = Completion(job.task, Park())
            self.spawn(self.record(job.task, job.event, parked, parked_at=receiver))

    def put_back(self, task: Task) -> None:
        """Leave a delivery to whoever claims it next."""
        self.say(task, None, Completion(task, HandBack()))

    async def record(
        self,
        task: Task,
        event: StoredEvent | None,
        completion: Completion,
        job: Job | None = None,
        parked_at: Receiver | None = None,
    ) -> None:
        """Write what becomes of a delivery. ``job``, of one that was attempted: its end is to be written anyway."""
        try:
            instead = None if job is None else partial(self._means.deliverer.refuse, job)
            written = await self._finishing.finish(completion, instead)
            if parked_at is not None:
                parked_at.has_parked = True
            elif written is not None:
                self._means.on_written(event, written)
        finally:
            self._claimer.release(task)
            self._nudge()

    async def close(self, limit: timedelta) -> None:
        """Write what is at hand within ``limit``, and end whatever goes on beside."""
        await self._finishing.close(limit)
        await cancel(self._all)


async def cancel(jobs: Collection[asyncio.Task[None]]) -> None:
    """Cancel attempts, each of which has begun before, and wait a moment until they have ended."""
    await asyncio.sleep(0)  # cancelled before it has begun, an attempt would not say that it has ended
    cancelled = set(jobs)
    for job in cancelled:
        job.cancel()
    if cancelled:
        await asyncio.wait(cancelled, timeout=2.0)
