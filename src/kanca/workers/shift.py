"""A shift: what a worker does under one lease, from its registration until it stops or loses the lease.

claim a batch → read what it is about, in one transaction → do each task in a slot → record, many at once
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog

from kanca.domain.event import StoredEvent
from kanca.domain.task import Completion, Task
from kanca.errors import Unavailable
from kanca.queue.claiming import Claimer
from kanca.storage.ports import Capabilities, QueueStore
from kanca.workers.capabilities import capabilities_of
from kanca.workers.finishing import Finishing
from kanca.workers.jobs import Jobs
from kanca.workers.pausing import Pauses
from kanca.workers.performing import Performer
from kanca.workers.reading import Reader
from kanca.workers.workbench import Held

log = structlog.get_logger(__name__)

REFRESH_EVERY_S = 1.0
"""How long a worker goes by what it knows, when no work makes it read."""


Written = Callable[[StoredEvent | None, Completion], None]
"""Is told of every completion that was written, and the event that it is about."""


class Stop(Protocol):
    """A request to stop: in good order once it is ``requested``, at once when it is ``hurried``."""

    requested: asyncio.Event
    hurried: asyncio.Event


@dataclass(frozen=True, slots=True)
class Means:
    """What every shift of a worker uses."""

    queue: QueueStore
    reader: Reader
    performer: Performer
    slots: int
    poll: timedelta
    shutdown: timedelta
    on_written: Written


class Shift:
    """One lease of a worker."""

    def __init__(self, worker: int, means: Means, stop: Stop) -> None:
        self._means = means
        self._stop = stop
        self._claimer = Claimer(means.queue, worker, means.slots, self._capabilities())
        finishing = Finishing(means.queue, worker)
        self._jobs = Jobs(means.performer, finishing, means.slots, means.on_written, self._release)
        self._nudged = asyncio.Event()
        self._pauses = Pauses()
        self._learnt_at_s = asyncio.get_running_loop().time()
        self.is_lost = False
        self.is_stuck = False
        """It ended because work that does not return keeps other work from ever beginning."""

    @property
    def active(self) -> int:
        """Pieces of work that are being done."""
        return self._jobs.active

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

    async def run(self) -> None:
        """Work until asked to stop, until the lease is lost, or until all slots are stuck."""
        asked = asyncio.ensure_future(self._stop.requested.wait())
        asked.add_done_callback(lambda _: self.nudge())
        while not (self._stop.requested.is_set() or self.is_lost or self._jobs.is_stuck):
            self._nudged.clear()
            self._jobs.hand_back_waiting()
            await self._refresh()
            if not self._has_room() or not await self._claim():
                await self._rest()
        asked.cancel()
        self.is_stuck = self._jobs.is_stuck
        if self.is_lost:
            await self._jobs.abandon()
        else:
            await self._jobs.finish(self._means.shutdown, self._stop.hurried)

    def _has_room(self) -> bool:
        """Whether a claim is worth its price."""
        slots, ahead = self._jobs.slots, self._jobs.ahead
        self._claimer.slots = slots + ahead
        # Quick work is claimed in large bites.
        return self._claimer.in_hand <= ((slots + ahead) // 2 if ahead > slots else slots - 1)

    async def _claim(self) -> bool:
        """Claim and begin what there is room for; whether there may be more."""
        try:
            claimed = await self._claimer.claim()
            if claimed:
                await self._begin(claimed)
        except Unavailable as error:
            log.debug("not_claimed", code=error.code)  # the database says in the log that it is away
            await self._pauses.rest()
            return True
        self._pauses.over()
        return bool(claimed)

    async def _begin(self, tasks: Sequence[Task]) -> None:
        try:
            held = await self._means.reader.read(tasks)
        except Unavailable:
            self._jobs.hand_back(tasks)
            raise
        except Exception:
            log.exception("batch_not_readable", tasks=len(tasks))
            held = await self._read_each(tasks)
        self._learn()
        if self._stop.requested.is_set():
            self._jobs.hand_back(each.task for each in held)
        elif not self.is_lost:
            self._jobs.begin(held)

    async def _read_each(self, tasks: Sequence[Task]) -> list[Held]:
        """Those of the tasks that can be read; the others have failed."""
        readable: list[Held] = []
        for task in tasks:
            try:
                found = await self._means.reader.read_alone(task)
            except Unavailable:
                self._jobs.hand_back([task])
            else:
                if isinstance(found, Held):
                    readable.append(found)
                else:
                    self._jobs.fail(*found)
        return readable

    async def _rest(self) -> None:
        """Wait for a reason to look again."""
        try:
            async with asyncio.timeout(self._means.poll.total_seconds()):
                await self._nudged.wait()
        except TimeoutError:
            return

    def _release(self, task: Task) -> None:
        self._claimer.release(task)
        self._nudged.set()

    async def _refresh(self) -> None:
        """Learn what others can do by now: a worker that may claim nothing would never read it with its work."""
        if asyncio.get_running_loop().time() - self._learnt_at_s >= REFRESH_EVERY_S:
            with suppress(Unavailable):  # the claim will say so
                await self._means.reader.read([])
            self._learn()

    def _learn(self) -> None:
        self._learnt_at_s = asyncio.get_running_loop().time()
        self._claimer.capabilities = self._capabilities()

    def _capabilities(self) -> Capabilities:
        catalogue = self._means.reader.catalogue
        return capabilities_of(self._means.performer.own, catalogue.handlers, catalogue.others_workflows)
