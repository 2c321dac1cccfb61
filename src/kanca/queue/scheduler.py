"""Who makes tasks ready that waited for a time, for their turn, or for their endpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Connection, exists, literal_column, select

from kanca.domain.task import Completion, Retry, TaskKind, TaskState, Wait
from kanca.storage.ports import Database, Promoted, QueueStore, Waker
from kanca.storage.tables import endpoints, tasks

LONGEST_PAUSE = timedelta(seconds=1)
"""What others schedule meanwhile is late by this much at most."""
SHORTEST_PAUSE = timedelta(milliseconds=20)
"""Between two looks whether a task's turn has come."""
BATCH = 1_000
BUSY_SHARE = 10
"""Promoting takes at most one part in so many of the time, where many tasks wait for their turn."""


class Scheduler:
    """Promotes tasks that are due, and ordered tasks whose turn has come.

    Hurry it (``Duties.hurry``) after a completion that ``concerns`` it: what follows is then ready within milliseconds,
    and otherwise within a second.
    """

    def __init__(
        self, queue: QueueStore, waker: Waker, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._queue = queue
        self._waker = waker
        self._monotonic = monotonic
        self._idle_turns = 0
        self._is_waited = False

    def concerns(self, completion: Completion) -> bool:
        """Whether there may be something to promote, or something sooner than known, once this is written."""
        task, after = completion.task, completion.disposition
        return (
            isinstance(after, Retry | Wait)
            or task.order_key is not None
            or (self._is_waited and task.kind is TaskKind.DISPATCH)
            or any(new.order_key is not None or new.due_at is not None for new in completion.records.tasks)
        )

    async def run_once(self) -> timedelta:
        """Promote what can be, and say when there is more. Raises DatabaseUnavailable."""
        begun = self._monotonic()
        promoted = await self._queue.promote(BATCH)
        took = timedelta(seconds=self._monotonic() - begun)
        if promoted.moved:
            self._waker.wake()
        self._is_waited = promoted.is_waited
        self._idle_turns = 0 if promoted.moved else self._idle_turns + 1
        return pause_after(promoted, took, self._idle_turns)


def pause_after(promoted: Promoted, took: timedelta, idle_turns: int) -> timedelta:
    """How long to wait after a promotion that ``took`` so long, the last ``idle_turns`` of which moved nothing."""
    if promoted.moved >= BATCH:
        return timedelta(0)
    pause = LONGEST_PAUSE
    patience = SHORTEST_PAUSE * 2 ** min(idle_turns, 10)
    if promoted.is_waited:
        pause = min(pause, max(patience, took * BUSY_SHARE))
    if promoted.due_in is not None:
        # One that is due and was not moved is just being moved by another worker.
        pause = min(pause, promoted.due_in if promoted.due_in > timedelta(0) else patience)
    return pause


class Unparker:
    """Makes dispatches ready that were parked although their endpoint is not paused (any more).

    Resuming an endpoint does so at once; but a worker that still believed it paused may park one a moment later.
    """

    def __init__(self, database: Database, waker: Waker, every: timedelta = timedelta(seconds=5)) -> None:
        self._database = database
        self._waker = waker
        self._every = every

    async def run_once(self) -> timedelta:
        """Unpark what should not be parked. Raises DatabaseUnavailable."""
        for endpoint in await self._database.read(_resumed_with_parked):
            if await self._database.queue.unpark(TaskKind.DISPATCH, endpoint):
                self._waker.wake()
        return self._every


def _resumed_with_parked(connection: Connection) -> list[int]:
    is_parked = exists().where(
        # Written out, for a partial index serves only what is known to be within it.
        tasks.c.state == literal_column(f"{TaskState.PARKED:d}"),
        tasks.c.order_key.is_(None),
        tasks.c.kind == TaskKind.DISPATCH,
        tasks.c.target == endpoints.c.number,
    )
    query = select(endpoints.c.number).where(~endpoints.c.is_paused, is_parked)
    return list(connection.scalars(query))
