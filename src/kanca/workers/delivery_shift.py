"""The part of a worker that delivers: thousands of attempts at once, and no receiver slows another.

    claim from the own lanes → read events → admit: begin, wait in memory, or park in the queue → record, many at once

What its receiver has no room for goes back to the queue, parked, and is let go when there is room again (``_feed``):
memory holds only what is under way and a moment's work ahead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from kanca.domain.event import StoredEvent
from kanca.domain.subscription import Subscription
from kanca.domain.task import DELIVERY_LANES, Completion, HandBack, Park, Retry, Task, TaskKind, Wait, lane_of
from kanca.errors import Unavailable
from kanca.outbound.receivers import SLOW_AFTER_S, Ended, Places, Receiver, Receivers
from kanca.queue.claiming import Claimer
from kanca.queue.ownership import lanes_of
from kanca.storage import subscriptions, workers
from kanca.storage.ports import Database
from kanca.telemetry.metrics import DELIVERY_DURATION
from kanca.workers.capabilities import DELIVERIES
from kanca.workers.delivering import Attempted, Deliverer
from kanca.workers.delivery_records import Job
from kanca.workers.finishing import REFUSED_DELAY, Finishing
from kanca.workers.health import HealthKeeper
from kanca.workers.jobs import LAST_COMMITS
from kanca.workers.pausing import Pauses
from kanca.workers.shift import Stop, Written
from kanca.workers.subscriptions import SubscriptionBook

log = structlog.get_logger(__name__)

CLAIM_AT_MOST = 250
LOOK_ROUND_EVERY_S = 2.0
"""How often a worker looks who else there is, and what is parked in its lanes."""
FEED_EVERY_S = 0.05
FEED_AT_MOST = 500
"""Receivers at a time."""
FED_AT_MOST = 2_000
"""Deliveries at a time, or little more."""
WAITS_AT_MOST_S = 1.0
"""In memory, for a receiver that was expected to be quicker."""
CONNECTIONS_PER_PLACE = 4
"""Attempts that hang need a connection each, and hardly anything else."""


_DURATIONS = {
    is_delivered: DELIVERY_DURATION.labels("delivered" if is_delivered else "failed")
    for is_delivered in (True, False)
}


@dataclass(frozen=True, slots=True)
class DeliveryMeans:
    """What every shift of a worker uses."""

    database: Database
    book: SubscriptionBook
    deliverer: Deliverer
    receivers: Receivers
    health: HealthKeeper
    places: int
    connections: int
    poll: timedelta
    shutdown: timedelta
    on_written: Written


class DeliveryShift:
    """One lease of the delivering part of a worker."""

    def __init__(self, worker: int, means: DeliveryMeans, stop: Stop) -> None:
        self._worker = worker
        self._means = means
        self._stop = stop
        self._queue = means.database.queue
        self._own: frozenset[int] = frozenset()
        """The lanes that are this worker's: none, until it has seen who else there is."""
        self._claimer = Claimer(self._queue, worker, means.places, DELIVERIES, lanes=DELIVERY_LANES)
        self._claimer.asked = self._own
        self._finishing = Finishing(self._queue, worker)
        self._places = Places(means.places, means.connections)
        self._waiting: dict[int, list[Job]] = {}
        self._coming: dict[int, int] = {}
        """Let go by ``_feed``, and not claimed yet."""
        self._all: set[asyncio.Task[None]] = set()
        self._at_work: set[asyncio.Task[None]] = set()
        self._nudged = asyncio.Event()
        self._looked_at_s = float("-inf")
        self._loop = asyncio.get_running_loop()
        self._claim_pauses = Pauses()
        self.is_lost = False

    @property
    def active(self) -> int:
        """Attempts that are under way."""
        return self._places.busy + self._places.slow

    def nudge(self) -> None:
        """Have a look: there may be work."""
        self._nudged.set()

    def doubt(self) -> None:
        """Say that the worker may hold tasks that nobody does."""
        self._claimer.doubt()

    def lose(self) -> None:
        """End: the lease is lost, and what is in hand belongs to others."""
        self.is_lost = True
        self._nudged.set()

    def keeps(self, subscription: int) -> bool:
        """Whether this worker makes the deliveries to a subscription, and has room for one."""
        is_own = lane_of(TaskKind.DELIVER, subscription) in self._own
        return is_own and not self._stop.requested.is_set() and self._claimer.in_hand < self._means.places

    def take(self, task: Task, event: StoredEvent) -> None:
        """Make a delivery that this worker holds already: it was the dispatch of its event."""
        self._claimer.hold(task)
        if self._stop.requested.is_set():
            self._put_back(task)
        elif not self.is_lost:
            self._place(task, event)

    async def run(self) -> None:
        """Deliver until asked to stop, or until the lease is lost."""
        asked = asyncio.ensure_future(self._stop.requested.wait())
        asked.add_done_callback(lambda _: self.nudge())
        feeding = asyncio.create_task(self._keep_feeding())
        try:
            while not (self._stop.requested.is_set() or self.is_lost):
                self._nudged.clear()
                await self._look_round()
                if not self._has_room() or not await self._claim():
                    await self._rest()
        finally:
            asked.cancel()
            feeding.cancel()
        if self.is_lost:
            self._waiting.clear()
            await self._finishing.close(timedelta(0))
            await self._cancel(self._all)
        else:
            await self._finish()

    # Claiming -----------------------------------------------------------------------------------------

    def _has_room(self) -> bool:
        room = self._means.places + self._places.slow - self._claimer.in_hand
        self._claimer.slots = self._claimer.in_hand + min(room, CLAIM_AT_MOST)
        return room >= max(1, self._means.places // 8)

    async def _claim(self) -> bool:
        """Claim what there is room for; whether there may be more."""
        try:
            claimed = await self._claimer.claim()
            if claimed:
                await self._admit(claimed)
        except Unavailable as error:
            log.debug("not_claimed", code=error.code)  # the database says in the log that it is away
            await self._claim_pauses.rest()
            return True
        self._claim_pauses.over()
        return bool(claimed)

    async def _admit(self, tasks: Sequence[Task]) -> None:
        try:
            versions, events = await self._queue.read_claimed({task.ref for task in tasks})
            await self._means.book.refresh(versions)
            await self._means.book.fetch({task.target for task in tasks})
        except Unavailable:
            for task in tasks:
                self._put_back(task)
            raise
        for task in tasks:
            if self.is_lost:
                return
            if self._stop.requested.is_set():
                self._put_back(task)
            else:
                self._place(task, events.get(task.ref))

    def _place(self, task: Task, event: StoredEvent | None) -> None:
        """Begin a delivery, or let it wait."""
        try:
            self._admit_one(task, event)
        except Exception:
            # One that nobody understands must not end the worker, nor stay in its hands.
            log.exception("delivery_not_understood", task=task.id, ref=str(task.ref))
            later = Completion(task, Retry(REFUSED_DELAY, task.attempt + 1))
            self._spawn(self._record(task, None, later))

    def _admit_one(self, task: Task, event: StoredEvent | None) -> None:
        if self._coming.get(task.target):
            self._coming[task.target] -= 1
        listed = self._means.book.get(task.target)
        skipping = self._means.deliverer.skip(task, event, listed)
        if skipping is not None or event is None or listed is None:
            self._spawn(self._record(task, event, skipping or Completion(task, HandBack())))
            return
        job = Job(task, event, listed, self._loop.time())
        receiver = self._receiver_of(job.subscription)
        waiting = self._waiting.get(task.target, ())
        if not waiting and self._may_begin(receiver, of_retry=task.attempt > 0):
            self._begin(job, receiver)
        elif len(waiting) < receiver.may_wait():
            self._waiting.setdefault(task.target, []).append(job)
        else:
            self._put_off(job, receiver)

    def _receiver_of(self, subscription: Subscription) -> Receiver:
        config = subscription.config
        return self._means.receivers.of(
            subscription.number, subscription.url, config.max_in_flight, config.rate_limit_per_second
        )

    def _may_begin(self, receiver: Receiver, *, of_retry: bool = False) -> bool:
        room = receiver.room(self._loop.time(), of_retry=of_retry)
        return self._places.is_free_for(receiver) and bool(room)

    async def _look_round(self) -> None:
        """Find out which lanes are this worker's, and which receivers have deliveries parked in them."""
        now = self._loop.time()
        if now - self._looked_at_s < LOOK_ROUND_EVERY_S:
            return
        self._looked_at_s = now
        self._coming.clear()  # what was let go that long ago and did not come went to another worker
        with suppress(Unavailable):  # the claim will say so
            alive = await self._means.database.read(workers.living)
            self._own = frozenset(lanes_of(self._worker, alive))
            self._claimer.asked = self._own
            parked = await self._means.database.read(subscriptions.with_parked)
            mine = [number for number in parked if lane_of(TaskKind.DELIVER, number) in self._own]
            await self._means.book.fetch(mine)
            for number in mine:
                self._expect_parked(number)

    def _expect_parked(self, number: int) -> None:
        listed = self._means.book.get(number)
        if listed is not None:
            self._receiver_of(listed.subscription).has_parked = True

    async def _rest(self) -> None:
        """Wait for a reason to look again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._means.poll.total_seconds()):
                await self._nudged.wait()

    # Attempts -----------------------------------------------------------------------------------------

    def _begin(self, job: Job, receiver: Receiver) -> None:
        receiver.begun(self._loop.time())
        self._places.busy += 1
        self._at_work.add(self._spawn(self._do(job, receiver)))

    async def _do(self, job: Job, receiver: Receiver) -> None:
        this = asyncio.current_task()
        assert this is not None  # noqa: S101 - a coroutine that runs is in a task; mypy does not know
        began = self._loop.time()
        is_slow = False

        def become_slow() -> None:
            nonlocal is_slow
            is_slow = True
            self._places.busy -= 1
            self._places.slow += 1
            # Until an attempt ends well: those that hang leave places to the others.
            receiver.is_proven = False
            self._nudged.set()

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
                self._places.slow -= 1
            else:
                self._places.busy -= 1
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
        await self._record(job.task, job.event, completion, job)

    def _begin_waiting(self, receiver: Receiver) -> None:
        waiting = self._waiting.get(receiver.number)
        while waiting and self._may_begin(receiver):
            self._begin(waiting.pop(0), receiver)
        if waiting is not None and not waiting:
            del self._waiting[receiver.number]

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

    def _put_off(self, job: Job, receiver: Receiver) -> None:
        """Leave a delivery until its receiver has room: no attempt is counted."""
        is_retry = job.task.attempt > 0
        if job.task.order_key is not None or (is_retry and receiver.fails_at_once):
            # Parked, an ordered one would have its turn again at once, and a retry stand behind what was never tried.
            now = self._loop.time()
            put_off_s = receiver.put_off(now, of_retry=is_retry) - now
            completion = Completion(job.task, Wait(timedelta(seconds=put_off_s)))
            self._spawn(self._record(job.task, job.event, completion))
        else:
            self._spawn(self._record(job.task, job.event, Completion(job.task, Park()), parked_at=receiver))

    def _put_back(self, task: Task) -> None:
        self._spawn(self._record(task, None, Completion(task, HandBack())))

    # Recording ----------------------------------------------------------------------------------------

    async def _record(
        self,
        task: Task,
        event: StoredEvent | None,
        completion: Completion,
        job: Job | None = None,
        parked_at: Receiver | None = None,
    ) -> None:
        try:
            instead = None if job is None else partial(self._means.deliverer.refuse, job)
            written = await self._finishing.finish(completion, instead)
            if parked_at is not None:
                parked_at.has_parked = True
            elif written is not None:
                self._means.on_written(event, written)
        finally:
            self._claimer.release(task)
            self._nudged.set()

    # What is parked -------------------------------------------------------------------------------------

    async def _keep_feeding(self) -> None:
        pauses = Pauses()
        while True:
            await asyncio.sleep(FEED_EVERY_S)
            try:
                self._give_up_waiting()
                await self._feed()
                pauses.over()
            except Unavailable:
                await pauses.rest()
            except Exception:
                log.exception("parked_deliveries_not_fed")

    def _give_up_waiting(self) -> None:
        """Park what waits in memory for a receiver that turned out to be slow."""
        now = self._loop.time()
        for number, waiting in list(self._waiting.items()):
            # As it is now: those that wait may know it as it was.
            receiver = self._means.receivers.known(number) or self._receiver_of(waiting[0].subscription)
            self._begin_waiting(receiver)
            if waiting and (not receiver.may_wait() or now - waiting[0].since_s > WAITS_AT_MOST_S):
                self._waiting.pop(number, None)
                for job in waiting:
                    self._put_off(job, receiver)

    async def _feed(self) -> None:
        """Let parked deliveries go whose receivers have room."""
        now = self._loop.time()
        wanted: dict[int, int] = {}
        total = 0
        for receiver in self._means.receivers.waiting():
            number = receiver.number
            if lane_of(TaskKind.DELIVER, number) not in self._own:
                receiver.has_parked = False
                continue
            listed = self._means.book.get(number)
            room = 0
            if listed is None or self._means.deliverer.is_off(listed):
                room = CLAIM_AT_MOST  # to be skipped
            elif self._places.is_free_for(receiver) and (room := receiver.room(now)):
                room += receiver.may_wait()
            ahead = len(self._waiting.get(number, ())) + self._coming.get(number, 0)
            if room > ahead:
                wanted[number] = room - ahead
                total += room - ahead
                receiver.fed_at = now
            if len(wanted) >= FEED_AT_MOST or total >= FED_AT_MOST:
                break
        if wanted:
            await self._let_go(wanted)

    async def _let_go(self, wanted: dict[int, int]) -> None:
        known = {number: self._means.receivers.known(number) for number in wanted}
        for receiver in known.values():
            if receiver is not None:
                receiver.has_parked = False  # what is parked from now on says so again
        moved = await self._queue.unpark_some(TaskKind.DELIVER, wanted)
        for number, most in wanted.items():
            receiver = known[number]
            if receiver is not None and moved.get(number, 0) >= most:
                receiver.has_parked = True
        for number, count in moved.items():
            self._coming[number] = self._coming.get(number, 0) + count
        if moved:
            self._nudged.set()

    # The end --------------------------------------------------------------------------------------------

    async def _finish(self) -> None:
        """Let attempts end within the time for that, and hand back what has not begun."""
        for waiting in self._waiting.values():
            for job in waiting:
                self._put_back(job.task)
        self._waiting.clear()
        hurry = asyncio.ensure_future(self._stop.hurried.wait())
        give_up_at = self._loop.time() + self._means.shutdown.total_seconds()
        while self._at_work and not hurry.done() and (left := give_up_at - self._loop.time()) > 0:
            await asyncio.wait({hurry, *self._at_work}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        await self._cancel(self._at_work)
        await self._finishing.close(LAST_COMMITS)
        await self._cancel(self._all)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        job = asyncio.create_task(work)
        self._all.add(job)
        job.add_done_callback(self._all.discard)
        return job

    @staticmethod
    async def _cancel(jobs: Collection[asyncio.Task[None]]) -> None:
        await asyncio.sleep(0)  # cancelled before it has begun, an attempt would not say that it has ended
        cancelled = set(jobs)
        for job in cancelled:
            job.cancel()
        if cancelled:
            await asyncio.wait(cancelled, timeout=2.0)
