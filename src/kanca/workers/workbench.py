"""Claimed tasks that wait for a slot, and which of them begins next. Pure."""

from __future__ import annotations

from collections import deque

import msgspec

from kanca.domain.event import StoredEvent
from kanca.domain.task import Task
from kanca.queue.fairness import lane_room
from kanca.workers.targets import Sender, Targets
from kanca.workflows.runs import RunState


class Held(msgspec.Struct, frozen=True, eq=False):
    """A claimed task, with what was read of it."""

    task: Task
    event: StoredEvent | None
    """What a dispatch or a call is about; None when it is gone."""
    sender: Sender | None
    """The endpoint of the event; None for published events."""
    targets: Targets | None
    """Of a dispatch."""
    state: RunState | None
    """What a run's task is about; None when it is gone."""
    handler_name: str | None
    """What a call's task is about."""
    lane: int
    """The lane that it counts for."""


class Workbench:
    """Hands out waiting tasks, lane by lane in turn; no lane takes all slots (see ``queue.fairness``)."""

    def __init__(self) -> None:
        self._waiting: dict[int, deque[Held]] = {}
        self._active: dict[int, int] = {}
        self.active = 0
        """Tasks that were handed out and are not done."""

    @property
    def waiting(self) -> int:
        """Tasks that wait."""
        return sum(map(len, self._waiting.values()))

    def put(self, held: Held) -> None:
        """Let a task wait for its turn."""
        self._waiting.setdefault(held.lane, deque()).append(held)

    def next(self, slots: int) -> Held | None:
        """The task that begins next when there are so many slots in all; None when none may."""
        for lane, queue in self._waiting.items():
            if lane_room(slots, self.active, self._active.get(lane, 0)) > 0:
                held = queue.popleft()
                # To the end of the turns, or out of them.
                del self._waiting[lane]
                if queue:
                    self._waiting[lane] = queue
                self._active[lane] = self._active.get(lane, 0) + 1
                self.active += 1
                return held
        return None

    def done(self, held: Held) -> None:
        """Say that a task needs its slot no longer."""
        self.active -= 1
        self._active[held.lane] -= 1
        if not self._active[held.lane]:
            del self._active[held.lane]

    def clear(self) -> list[Held]:
        """Take back all that waits."""
        waiting = [held for queue in self._waiting.values() for held in queue]
        self._waiting.clear()
        return waiting
