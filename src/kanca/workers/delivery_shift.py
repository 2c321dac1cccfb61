"""The part of a worker that delivers: thousands of attempts at once, and no receiver slows another.

    claim from the own lanes → read events → admit: begin, wait in memory, or park in the queue → record, many at once

What its receiver has no room for goes back to the queue, parked (``leaving.py``), and is let go when there is room
again (``feeding.py``): memory holds only what is under way and a moment's work ahead (``under_way.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import structlog

from kanca.domain.event import StoredEvent
from kanca.domain.task import DELIVERY_LANES, Completion, HandBack, Retry, Task, TaskKind, lane_of
from kanca.errors import Unavailable
from kanca.queue.claiming import Claimer
from kanca.queue.ownership import lanes_of
from kanca.storage import subscriptions, workers
from kanca.workers.capabilities import DELIVERIES
from kanca.workers.delivery_means import CLAIM_AT_MOST, DeliveryMeans
from kanca.workers.delivery_records import Job
from kanca.workers.feeding import Feeder
from kanca.workers.finishing import REFUSED_DELAY
from kanca.workers.jobs import LAST_COMMITS
from kanca.workers.leaving import Leaving
from kanca.workers.pausing import Pauses
from kanca.workers.shift import Stop
from kanca.workers.under_way import UnderWay

log = structlog.get_logger(__name__)

LOOK_ROUND_EVERY_S = 2.0
"""How often a worker looks who else there is, and what is parked in its lanes."""


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
        self._leaving = Leaving(worker, means, self._claimer, self.nudge)
        self._under_way = UnderWay(means, self._leaving, self.nudge)
        self._feeder = Feeder(means, self._under_way, self._is_own, self.nudge)
        self._nudged = asyncio.Event()
        self._looked_at_s = float("-inf")
        self._loop = asyncio.get_running_loop()
        self._claim_pauses = Pauses()
        self.is_lost = False

    @property
    def active(self) -> int:
        """Attempts that are under way."""
        places = self._under_way.places
        return places.busy + places.slow

    def nudge(self) -> None:
        """Have a look: there may be work, or room."""
        self._nudged.set()

    def doubt(self) -> None:
        """Say that the worker may hold tasks that nobody does."""
        self._claimer.doubt()

    def lose(self) -> None:
        """End: the lease is lost, and what is in hand belongs to others."""
        self.is_lost = self._under_way.is_lost = True
        self.nudge()

    def keeps(self, subscription: int) -> bool:
        """Whether this worker makes the deliveries to a subscription, and has room for one."""
        is_open = not self._stop.requested.is_set() and self._claimer.in_hand < self._means.places
        return is_open and self._is_own(subscription)

    def take(self, task: Task, event: StoredEvent) -> None:
        """Make a delivery that this worker holds already: it was the dispatch of its event."""
        self._claimer.hold(task)
        if self._stop.requested.is_set():
            self._leaving.put_back(task)
        elif not self.is_lost:
            self._admit(task, event)

    async def run(self) -> None:
        """Deliver until asked to stop, or until the lease is lost."""
        asked = asyncio.ensure_future(self._stop.requested.wait())
        asked.add_done_callback(lambda _: self.nudge())
        feeding = asyncio.create_task(self._feeder.run())
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
            self._under_way.forget_waiting()
            await self._leaving.close(timedelta(0))
        else:
            await self._under_way.finish(self._stop.hurried, self._means.shutdown)
            await self._leaving.close(LAST_COMMITS)

    # Claiming -----------------------------------------------------------------------------------------

    def _has_room(self) -> bool:
        room = self._means.places + self._under_way.places.slow - self._claimer.in_hand
        self._claimer.slots = self._claimer.in_hand + min(room, CLAIM_AT_MOST)
        return room >= max(1, self._means.places // 8)

    async def _claim(self) -> bool:
        """Claim what there is room for; whether there may be more."""
        try:
            claimed = await self._claimer.claim()
            if claimed:
                await self._admit_all(claimed)
        except Unavailable as error:
            log.debug("not_claimed", code=error.code)  # the database says in the log that it is away
            await self._claim_pauses.rest()
            return True
        self._claim_pauses.over()
        return bool(claimed)

    async def _rest(self) -> None:
        """Wait for a reason to look again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._means.poll.total_seconds()):
                await self._nudged.wait()

    async def _admit_all(self, tasks: Sequence[Task]) -> None:
        try:
            versions, events = await self._queue.read_claimed({task.ref for task in tasks})
            await self._means.book.refresh(versions)
            await self._means.book.fetch({task.target for task in tasks})
        except Unavailable:
            for task in tasks:
                self._leaving.put_back(task)
            raise
        for task in tasks:
            if self.is_lost:
                return
            if self._stop.requested.is_set():
                self._leaving.put_back(task)
            else:
                self._admit(task, events.get(task.ref))

    def _admit(self, task: Task, event: StoredEvent | None) -> None:
        """Begin a delivery, or let it wait."""
        try:
            self._decide(task, event)
        except Exception:
            # One that nobody understands must not end the worker, nor stay in its hands.
            log.exception("delivery_not_understood", task=task.id, ref=str(task.ref))
            later = Completion(task, Retry(REFUSED_DELAY, task.attempt + 1))
            self._leaving.say(task, None, later)

    def _decide(self, task: Task, event: StoredEvent | None) -> None:
        self._feeder.came(task.target)
        listed = self._means.book.get(task.target)
        skipping = self._means.deliverer.skip(task, event, listed)
        if skipping is not None or event is None or listed is None:
            self._leaving.say(task, event, skipping or Completion(task, HandBack()))
        else:
            self._under_way.admit(Job(task, event, listed, self._loop.time()))

    # Lanes --------------------------------------------------------------------------------------------

    def _is_own(self, subscription: int) -> bool:
        return lane_of(TaskKind.DELIVER, subscription) in self._own

    async def _look_round(self) -> None:
        """Find out which lanes are this worker's, and which receivers have deliveries parked in them."""
        now = self._loop.time()
        if now - self._looked_at_s < LOOK_ROUND_EVERY_S:
            return
        self._looked_at_s = now
        self._feeder.expect_none()
        with suppress(Unavailable):  # the claim will say so
            alive = await self._means.database.read(workers.living)
            self._own = frozenset(lanes_of(self._worker, alive))
            self._claimer.asked = self._own
            parked = await self._means.database.read(subscriptions.with_parked)
            mine = [number for number in parked if self._is_own(number)]
            await self._means.book.fetch(mine)
            for number in mine:
                self._expect_parked(number)

    def _expect_parked(self, number: int) -> None:
        listed = self._means.book.get(number)
        if listed is not None:
            self._means.receiver_of(listed.subscription).has_parked = True
