"""What a worker has in hand under one lease: tasks that wait for a slot, are being done, or are being recorded."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from kanca.domain.event import StoredEvent
from kanca.domain.task import SUSPECT_CRASHES, Completion, HandBack, Retry, Task
from kanca.errors import InvalidInput, Unavailable
from kanca.queue.fairness import lane_room
from kanca.workers.appetite import Appetite
from kanca.workers.finishing import REFUSED_DELAY, Finishing
from kanca.workers.performing import Performer, RecordRefused
from kanca.workers.workbench import Held, Workbench

log = structlog.get_logger(__name__)

CANCEL_PATIENCE_S = 2.0
"""How long cancelled work may take to notice."""
LAST_COMMITS = timedelta(seconds=5)
"""How long a stopping worker tries to record what it has."""
LOOK_AGAIN_S = 0.2
"""How often a stopping worker looks which work it still waits for."""
LONGEST_WAIT_S = 1.0
"""A claimed task that has not begun by then is handed back: somebody else may have a free slot."""


class Jobs:
    """Does claimed tasks in so many slots, and records what came of them."""

    def __init__(
        self,
        performer: Performer,
        finishing: Finishing,
        slots: int,
        on_written: Callable[[StoredEvent | None, Completion], None],
        on_released: Callable[[Task], None],
    ) -> None:
        """``on_written`` is told what was recorded of an event; ``on_released``, that a task is no longer in hand."""
        self._performer = performer
        self._finishing = finishing
        self._slots = slots
        self._on_written = on_written
        self._on_released = on_released
        self._bench = Workbench()
        self._appetite = Appetite()
        self._begun_at_s = 0.0
        """When the last task began."""
        self._all: set[asyncio.Task[None]] = set()
        self._at_work: set[asyncio.Task[None]] = set()
        """Those that are at their work, not at recording it."""
        self._given_up: dict[asyncio.Task[None], Held] = {}
        """Those of them that were recorded as dead, for they do not return."""
        self._has_lost_lease = False

    @property
    def active(self) -> int:
        """Pieces of work that are being done."""
        return self._bench.active

    @property
    def slots(self) -> int:
        """Slots that work can be done in: those of threads that nobody waits for are taken."""
        return self._slots - self._performer.calls.threads.abandoned

    @property
    def ahead(self) -> int:
        """How many tasks to have in hand beyond the slots."""
        return self._appetite.ahead(self._slots)

    @property
    def is_stuck(self) -> bool:
        """Whether work that was given up and does not return keeps other work from ever beginning.

        It takes every slot, or all that its lane may have; or it is a suspect, beside which nothing is claimed.
        """
        stuck = self._given_up.values()
        lanes = Counter(held.lane for held in stuck)
        return (
            len(stuck) >= self.slots
            or any(lane_room(self.slots, len(stuck), of_lane) == 0 for of_lane in lanes.values())
            or any(held.task.crashes >= SUSPECT_CRASHES for held in stuck)
        )

    def begin(self, held: Iterable[Held]) -> None:
        """Do these tasks, each as soon as there is a slot."""
        if not self._bench.waiting:
            self._begun_at_s = asyncio.get_running_loop().time()
        for each in held:
            self._bench.put(each)
        self._fill()

    def fail(self, held: Held, error: Exception) -> None:
        """Record that a task could not be begun."""
        self._spawn(self._record(held.task, self._fail(held, error), held))

    def hand_back(self, tasks: Iterable[Task]) -> None:
        """Leave these tasks to others; no attempt is counted."""
        for task in tasks:
            self._spawn(self._record(task, Completion(task, HandBack())))

    def hand_back_waiting(self, *, unless_moving: bool = True) -> None:
        """Leave to others what has not begun, if nothing has begun for too long."""
        now_s = asyncio.get_running_loop().time()
        if self._bench.waiting and not (unless_moving and now_s - self._begun_at_s < LONGEST_WAIT_S):
            self._appetite.was_too_large()
            self.hand_back(held.task for held in self._bench.clear())

    async def finish(self, patience: timedelta, hurried: asyncio.Event) -> None:
        """Finish what has begun within ``patience`` (or until ``hurried``), and hand back what has not.

        What is cut short is not handed back here but when the worker signs off: until this process is gone, a thread
        of it may still be at work.
        """
        self.hand_back_waiting(unless_moving=False)
        hurry = asyncio.ensure_future(hurried.wait())
        give_up_at = asyncio.get_running_loop().time() + patience.total_seconds()
        while (busy := self._at_work - self._given_up.keys()) and not hurry.done():
            left = give_up_at - asyncio.get_running_loop().time()
            if left <= 0:
                break
            # Not longer at once than a moment: what is given up meanwhile need not be waited for.
            moment = min(left, LOOK_AGAIN_S)
            await asyncio.wait({hurry, *busy}, timeout=moment, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        await self._cancel(self._at_work)
        await self._finishing.close(LAST_COMMITS)
        await self._cancel(self._all)

    async def abandon(self) -> None:
        """Stop everything and record nothing: the tasks belong to others now."""
        self._has_lost_lease = True
        self._bench.clear()
        await self._finishing.close(timedelta(0))
        await self._cancel(self._all)

    def _fill(self) -> None:
        while (held := self._bench.next(self.slots)) is not None:
            self._begun_at_s = asyncio.get_running_loop().time()
            self._at_work.add(self._spawn(self._do(held)))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        job = asyncio.create_task(work)
        self._all.add(job)
        job.add_done_callback(self._all.discard)
        return job

    async def _do(self, held: Held) -> None:
        loop = asyncio.get_running_loop()
        job = asyncio.current_task()
        assert job is not None  # noqa: S101 - a coroutine that runs is in a task; mypy does not know
        begun_at_s = loop.time()

        def give_up(completion: Completion) -> None:
            self._given_up[job] = held
            log.error("work_given_up", task=held.task.id, ref=str(held.task.ref))
            self._spawn(self._write(held, completion))

        try:
            completion = await self._perform(held, give_up)
        finally:
            self._at_work.discard(job)
            self._given_up.pop(job, None)
            self._bench.done(held)
            self._appetite.ended(loop.time() - begun_at_s)
            if not self._has_lost_lease:
                self._fill()
        await self._record(held.task, completion, held)

    async def _perform(self, held: Held, give_up: Callable[[Completion], None]) -> Completion:
        try:
            return await self._performer.perform(held, self._keep, give_up)
        except Unavailable:
            return Completion(held.task, HandBack())
        except Exception as error:  # noqa: BLE001 - our own mistake; it is logged and counted as an attempt
            return self._fail(held, error)

    def _fail(self, held: Held, error: Exception) -> Completion:
        try:
            return self._performer.fail(held, error)
        except Exception:
            # A task of which nothing can be made must leave the worker all the same.
            log.exception("task_not_understood", task=held.task.id, ref=str(held.task.ref))
            return Completion(held.task, Retry(REFUSED_DELAY, held.task.attempt + 1))

    async def _keep(self, completion: Completion) -> bool:
        try:
            return await self._finishing.keep(completion)
        except InvalidInput as error:
            raise RecordRefused from error

    async def _record(self, task: Task, completion: Completion, held: Held | None = None) -> None:
        try:
            await self._write(held, completion)
        finally:
            self._on_released(task)

    async def _write(self, held: Held | None, completion: Completion) -> None:
        instead = None if held is None else partial(self._performer.refuse, held)
        written = await self._finishing.finish(completion, instead)
        if written is not None:
            self._on_written(held.event if held else None, written)

    async def _cancel(self, jobs: Iterable[asyncio.Task[None]]) -> None:
        cancelled = set(jobs)
        for job in cancelled:
            job.cancel()
        if cancelled:
            await asyncio.wait(cancelled, timeout=CANCEL_PATIENCE_S)
