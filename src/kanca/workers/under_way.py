"""The deliveries that a worker has under way, and those that wait in memory until their receiver takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import structlog

from kanca.domain.task import Completion, Retry
from kanca.errors import Unavailable
from kanca.outbound.receivers import SLOW_AFTER_S, Ended, Places, Receiver
from kanca.telemetry.metrics import DELIVERY_DURATION
from kanca.workers.delivering import Attempted
from kanca.workers.delivery_means import DeliveryMeans
from kanca.workers.delivery_records import Job
from kanca.workers.finishing import REFUSED_DELAY
from kanca.workers.leaving import Leaving, cancel

log = structlog.get_logger(__name__)

WAITS_AT_MOST_S = 1.0
"""In memory, for a receiver that was expected to be quicker."""

_DURATIONS = {
    is_delivered: DELIVERY_DURATION.labels("delivered" if is_delivered else "failed")
    for is_delivered in (True, False)
}


class UnderWay:
    """Makes attempts, thousands at once, each when there is a place for it."""

    def __init__(self, means: DeliveryMeans, leaving: Leaving, nudge: Callable[[], None]) -> None:
        """``nudge`` is called when there is room for more than before."""
        self._means = means
        self._leaving = leaving
        self._nudge = nudge
        self._waiting: dict[int, list[Job]] = {}
        self._at_work: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self.places = Places(means.places, means.connections)
        self.is_lost = False
        """The lease is: nothing more begins."""

    def waiting_for(self, number: int) -> int:
        """How many deliveries wait in memory for a receiver."""
        return len(self._waiting.get(number, ()))

    def admit(self, job: Job) -> None:
        """Begin a delivery, let it wait, or put it off, as its receiver has room."""
        receiver = self._means.receiver_of(job.subscription)
        waiting = self.waiting_for(job.task.target)
        if not waiting and self._may_begin(receiver, of_retry=job.task.attempt > 0):
            self._begin(job, receiver)
        elif waiting < receiver.may_wait():
            self._waiting.setdefault(job.task.target, []).append(job)
        else:
            self._leaving.put_off(job, receiver)

    def give_up_waiting(self) -> None:
        """Put off what waits in memory for a receiver that turned out to be slow."""
        now = self._loop.time()
        for number, waiting in list(self._waiting.items()):
            # As it is now: those that wait may know it as it was.
            receiver = self._means.receivers.known(number) or self._means.receiver_of(waiting[0].subscription)
            self._begin_waiting(receiver)
            if waiting and (not receiver.may_wait() or now - waiting[0].since_s > WAITS_AT_MOST_S):
                self._waiting.pop(number, None)
                for job in waiting:
                    self._leaving.put_off(job, receiver)

    def forget_waiting(self) -> None:
        """What waits in memory belongs to others."""
        self._waiting.clear()

    async def finish(self, hurried: asyncio.Event, limit: timedelta) -> None:
        """Put back what has not begun, and let attempts end within ``limit``, or until that is ``hurried``."""
        for waiting in self._waiting.values():
            for job in waiting:
                self._leaving.put_back(job.task)
        self._waiting.clear()
        hurry = asyncio.ensure_future(hurried.wait())
        give_up_at = self._loop.time() + limit.total_seconds()
        while self._at_work and not hurry.done() and (left := give_up_at - self._loop.time()) > 0:
            await asyncio.wait({hurry, *self._at_work}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        await cancel(self._at_work)

    def _may_begin(self, receiver: Receiver, *, of_retry: bool = False) -> bool:
        room = receiver.room(self._loop.time(), of_retry=of_retry)
        return self.places.is_free_for(receiver) and bool(room)

    def _begin_waiting(self, receiver: Receiver) -> None:
        waiting = self._waiting.get(receiver.number)
        while waiting and self._may_begin(receiver):
            self._begin(waiting.pop(0), receiver)
        if waiting is not None and not waiting:
            del self._waiting[receiver.number]

    def _begin(self, job: Job, receiver: Receiver) -> None:
        receiver.begun(self._loop.time())
        self.places.busy += 1
        self._at_work.add(self._leaving.spawn(self._do(job, receiver)))

    async def _do(self, job: Job, receiver: Receiver) -> None:
        this = asyncio.current_task()
        assert this is not None  # noqa: S101 - a coroutine that runs is in a task; mypy does not know
        began = self._loop.time()
        is_slow = False

        def become_slow() -> None:
            nonlocal is_slow
            is_slow = True
            self.places.busy -= 1
            self.places.slow += 1
            # Until an attempt ends well: those that hang leave places to the others.
            receiver.is_proven = False
            self._nudge()

        timer = self._loop.call_later(SLOW_AFTER_S, become_slow)
        attempted: Attempted | None = None
        completion: Completion | None = None
        try:
            attempted = await self._means.deliverer.deliver(job)
            completion = attempted.completion
        except Exception as error:
            log.exception("delivery_failed", task=job.task.id, ref=str(job.task.ref))
            completion = self._failed(job, error)
        finally:
            timer.cancel()
            if is_slow:
                self.places.slow -= 1
            else:
                self.places.busy -= 1
            self._at_work.discard(this)
            now = self._loop.time()
            if attempted is None or job.subscription.url != receiver.url:
                receiver.ended(Ended.CUT_SHORT, now, now - began)
            else:
                asked = attempted.asked_delay
                asked_s = None if asked is None else asked.total_seconds()
                receiver.ended(attempted.ended, now, now - began, asked_s)
            if not self.is_lost:
                self._begin_waiting(receiver)
        if attempted is not None:
            _DURATIONS[attempted.code is None].observe(now - began)
            await self._note(job, attempted)
        await self._leaving.record(job.task, job.event, completion, job)

    def _failed(self, job: Job, error: Exception) -> Completion:
        try:
            return self._means.deliverer.fail(job, error)
        except Exception:
            log.exception("failure_not_recorded", task=job.task.id, ref=str(job.task.ref))
            return Completion(job.task, Retry(REFUSED_DELAY, job.task.attempt + 1))

    async def _note(self, job: Job, attempted: Attempted) -> None:
        """What the attempt says of the receiver. Whatever happens here, the delivery is to be recorded."""
        if attempted.ended is Ended.CUT_SHORT:
            return
        try:
            self._means.health.note(job.subscription, self._means.deliverer.now(), attempted.code)
            if attempted.disables is not None:
                await self._means.health.disable(job.subscription, attempted.disables, {})
        except Unavailable:
            pass  # the next delivery is told the same
        except Exception:
            log.exception("attempt_not_noted", subscription=job.subscription.id)
