"""Claiming: what one worker takes from the queue, and when."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from datetime import timedelta

import structlog

from kanca.domain.task import LANES, SUSPECT_LANE, Task, lane_of
from kanca.errors import Unavailable
from kanca.queue.fairness import Lane, note_claimed, plan_asks
from kanca.storage.ports import Capabilities, LaneAsk, QueueStore
from kanca.telemetry import tracing
from kanca.telemetry.metrics import CLAIM_DURATION, CLAIMED

log = structlog.get_logger(__name__)

SWEEP_EVERY = timedelta(milliseconds=250)
"""How often a claim looks below the floors, when that is cheap."""
SWEEP_SHARE = 20
"""And when it is not: a sweep takes at most one part in so many of the time."""
LOOK_FOR_SUSPECTS_EVERY = timedelta(seconds=1)
FIRST_PATIENCE = timedelta(seconds=60)
"""How long a worker waits for its hands to be empty before it goes on without the suspect; doubled each time."""


class Claimer:
    """Takes tasks for one worker, as many as there is room for, and fairly (see ``queue.fairness``).

    A suspect (a task that two workers died of) runs alone. A worker that finds one takes nothing else until its hands
    are empty, then takes the suspect, then nothing until that is released.
    """

    def __init__(
        self,
        queue: QueueStore,
        worker: int,
        slots: int,
        capabilities: Capabilities,
        *,
        lanes: Iterable[int] = range(LANES),
        now_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``slots``: how many tasks the worker may have in hand. ``worker``: its number while its lease lasts.

        ``lanes``: those that it takes from, deliveries' or the others', for they are put back apart.
        """
        self.capabilities = capabilities
        self._queue = queue
        self._worker = worker
        self.slots = slots
        """May be changed at any time: a worker claims ahead of quick work."""
        self._now_us = now_us
        self._monotonic = monotonic
        self._lanes = {number: Lane(number) for number in lanes}
        self.asked: Collection[int] = self._lanes.keys()
        """Those of the lanes that are asked. May be changed at any time: the others belong to other workers."""
        self._has_deliveries = any(lane > SUSPECT_LANE for lane in self._lanes)
        self._in_hand: dict[int, int] = {}
        self._turn = 0
        self._sweep_at = 0.0
        self._suspects = _SuspectWatch(monotonic)
        self._is_in_doubt = False
        """The worker may hold tasks that it does not know of."""

    @property
    def in_hand(self) -> int:
        """How many tasks were claimed and not released."""
        return len(self._in_hand)

    async def claim(self) -> list[Task]:
        """Claim what there is room for, in the order in which it should begin. Empty: nothing to do, or no room.

        One claim at a time. Raises DatabaseUnavailable; what was claimed nevertheless is put back the next time.
        """
        if self._is_in_doubt:
            put_back = await self._queue.put_back(
                self._worker, self._in_hand, deliveries=self._has_deliveries
            )
            self._is_in_doubt = False
            if put_back:
                log.warning("unknown_tasks_put_back", count=put_back)
        if SUSPECT_LANE in self._in_hand.values():
            return []
        if await self._suspects.is_awaited(self._queue, self.capabilities):
            if self._in_hand:
                return []
            if suspects := await self._claim(1, [LaneAsk(SUSPECT_LANE, 0, 1)]):
                return self._hold([(task, SUSPECT_LANE) for task, _ in suspects])
        lanes = [self._lanes[number] for number in self.asked]
        tasks, has_enough = await self._claim_from(lanes)
        if not has_enough and any(lane.is_full for lane in lanes):
            # Most often a burst for one target, whose first share was small.
            with suppress(Unavailable):  # what the first claim gave is to be done all the same
                more, _ = await self._claim_from([lane for lane in lanes if lane.is_full])
                tasks += more
        return tasks

    def doubt(self) -> None:
        """Say that somebody else may have claimed something for this worker and got no answer."""
        self._is_in_doubt = True

    def hold(self, task: Task) -> None:
        """Say that the worker holds a task that it has got otherwise."""
        lane = lane_of(task.kind, task.target)
        self._hold([(task, lane)])
        self._lanes[lane].in_hand += 1

    def release(self, task: Task) -> None:
        """Say that a claimed task is finished, handed back or lost. Does nothing the second time."""
        lane = self._in_hand.pop(task.id, None)
        if lane is not None and lane != SUSPECT_LANE:
            self._lanes[lane].in_hand -= 1

    async def _claim_from(self, lanes: Iterable[Lane]) -> tuple[list[Task], bool]:
        """Claim from these lanes; also gives whether that was all there is room for."""
        begun = self._monotonic()
        is_sweep = begun >= self._sweep_at
        limit, asks = plan_asks(lanes, self.slots, len(self._in_hand), self._now_us(), is_sweep=is_sweep)
        if not asks:
            return [], True
        rows = await self._claim(limit, asks)
        if is_sweep:
            pause = max(SWEEP_EVERY.total_seconds(), SWEEP_SHARE * (self._monotonic() - begun))
            self._sweep_at = begun + pause
        rows.sort(key=lambda row: row[1])
        taken = [(task, lane_of(task.kind, task.target)) for task, _ in rows]
        claimed = [(lane, position) for (_, lane), (_, position) in zip(taken, rows, strict=True)]
        self._turn += 1
        note_claimed(self._lanes, asks, claimed, limit, self._turn)
        return self._hold(taken), len(rows) >= limit

    async def _claim(self, limit: int, asks: list[LaneAsk]) -> list[tuple[Task, int]]:
        begun, began_ns = self._monotonic(), time.time_ns()
        try:
            claimed = await self._queue.claim(self._worker, limit, self.capabilities, asks)
        except BaseException:
            self._is_in_doubt = True
            raise
        CLAIM_DURATION.observe(self._monotonic() - begun)
        for kind, count in Counter(task.kind for task, _ in claimed).items():
            CLAIMED.labels(kind.name.lower()).inc(count)
        if claimed:
            tracing.note("claim", began_ns, attributes={"messaging.batch.message_count": len(claimed)})
        return claimed

    def _hold(self, taken: list[tuple[Task, int]]) -> list[Task]:
        for task, lane in taken:
            self._in_hand[task.id] = lane
        return [task for task, _ in taken]


class _SuspectWatch:
    """Says when a worker should empty its hands for a suspect.

    Not for ever: work that takes long would stop all other work. But each time it waits twice as long as before, so
    that a suspect's turn comes even among long work.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._look_at = 0.0
        self._waiting_since: float | None = None
        self._patience_s = FIRST_PATIENCE.total_seconds()

    async def is_awaited(self, queue: QueueStore, capabilities: Capabilities) -> bool:
        """Whether a suspect waits, as of a second ago."""
        now = self._monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_FOR_SUSPECTS_EVERY.total_seconds()
            if not await queue.has_suspects(capabilities):
                self._waiting_since = None
                self._patience_s = FIRST_PATIENCE.total_seconds()
            elif self._waiting_since is None:
                self._waiting_since = now
        if self._waiting_since is None:
            return False
        if now - self._waiting_since < self._patience_s:
            return True
        # As long without the suspect as it was waited for.
        self._waiting_since = None
        self._look_at = now + self._patience_s
        self._patience_s *= 2
        return False
