"""Letting go of deliveries that are parked in the queue, when their receivers have room again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from kanca.domain.task import TaskKind
from kanca.errors import Unavailable
from kanca.workers.delivery_means import CLAIM_AT_MOST, DeliveryMeans
from kanca.workers.pausing import Pauses
from kanca.workers.under_way import UnderWay

log = structlog.get_logger(__name__)

FEED_EVERY_S = 0.05
FEED_AT_MOST = 500
"""Receivers at a time."""
FED_AT_MOST = 2_000
"""Deliveries at a time, or little more."""


class Feeder:
    """Has parked deliveries claimed again, of each receiver as many as it takes."""

    def __init__(
        self,
        means: DeliveryMeans,
        under_way: UnderWay,
        is_own: Callable[[int], bool],
        nudge: Callable[[], None],
    ) -> None:
        """``is_own``: whether this worker makes the deliveries to a subscription. ``nudge``: there is work."""
        self._means = means
        self._under_way = under_way
        self._is_own = is_own
        self._nudge = nudge
        self._coming: dict[int, int] = {}
        """Let go, and not claimed yet."""
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Feed all receivers, again and again."""
        pauses = Pauses()
        while True:
            await asyncio.sleep(FEED_EVERY_S)
            try:
                self._under_way.give_up_waiting()
                await self._feed()
                pauses.over()
            except Unavailable:
                await pauses.rest()
            except Exception:
                log.exception("parked_deliveries_not_fed")

    def came(self, number: int) -> None:
        """One was claimed that may be of those let go."""
        if self._coming.get(number):
            self._coming[number] -= 1

    def expect_none(self) -> None:
        """What was let go a while ago and did not come went to another worker."""
        self._coming.clear()

    async def _feed(self) -> None:
        """Let parked deliveries go whose receivers have room."""
        now = self._loop.time()
        wanted: dict[int, int] = {}
        total = 0
        for receiver in self._means.receivers.waiting():
            number = receiver.number
            if not self._is_own(number):
                receiver.has_parked = False
                continue
            listed = self._means.book.get(number)
            room = 0
            if listed is None or self._means.deliverer.is_off(listed):
                room = CLAIM_AT_MOST  # to be skipped
            elif self._under_way.places.is_free_for(receiver) and (room := receiver.room(now)):
                room += receiver.may_wait()
            ahead = self._under_way.waiting_for(number) + self._coming.get(number, 0)
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
        moved = await self._means.database.queue.unpark_some(TaskKind.DELIVER, wanted)
        for number, most in wanted.items():
            receiver = known[number]
            if receiver is not None and moved.get(number, 0) >= most:
                receiver.has_parked = True
        for number, count in moved.items():
            self._coming[number] = self._coming.get(number, 0) + count
        if moved:
            self._nudge()
