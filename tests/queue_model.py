"""What the queue should be, in memory: what the databases are compared with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from kanca.domain.task import (
    SUSPECT_CRASHES,
    Completion,
    Dead,
    Done,
    HandBack,
    Keep,
    NewTask,
    Park,
    Retry,
    Task,
    TaskKind,
    TaskState,
    Wait,
)

MAX_CRASHES = 3
_UNDISPATCHED = {TaskState.READY, TaskState.RUNNING, TaskState.SCHEDULED}


@dataclass
class Row:
    """A task as it should be."""

    kind: TaskKind
    ref: UUID
    target: int
    order_key: int | None
    state: TaskState
    attempt: int = 0
    crashes: int = 0
    fence: int = 0
    worker: int | None = None
    due_at: int | None = None
    signals: int = 0

    @property
    def is_suspect(self) -> bool:
        return self.crashes >= SUSPECT_CRASHES

    def let_go(self, state: TaskState) -> None:
        self.state, self.worker = state, None


@dataclass
class Model:
    """The queue, with time in seconds from the beginning of the test."""

    now: int = 0
    tasks: dict[int, Row] = field(default_factory=dict)
    leases: dict[int, int] = field(default_factory=dict)
    """When each worker's lease ends."""
    outcomes: dict[tuple[UUID, str], bytes | None] = field(default_factory=dict)

    def is_alive(self, worker: int) -> bool:
        return self.leases[worker] > self.now

    def holds(self, worker: int, task: Task) -> bool:
        row = self.tasks.get(task.id)
        if row is None:
            return False
        return (row.state, row.worker, row.fence) == (TaskState.RUNNING, worker, task.fence)

    def ready(self, *, suspects: bool) -> set[int]:
        return {
            n for n, row in self.tasks.items() if row.state is TaskState.READY and row.is_suspect is suspects
        }

    def parked(self, kind: TaskKind, target: int) -> list[Row]:
        return [
            row
            for row in self.tasks.values()
            if row.state is TaskState.PARKED
            and row.order_key is None
            and (row.kind, row.target) == (kind, target)
        ]

    def add(self, number: int, new: NewTask) -> None:
        self.tasks[number] = Row(new.kind, new.ref, new.target, new.order_key, new.state)

    def claim(self, worker: int, number: int) -> Row:
        row = self.tasks[number]
        row.state, row.worker, row.fence = TaskState.RUNNING, worker, row.fence + 1
        return row

    def finish(self, completion: Completion) -> None:
        """Apply what the worker that holds the task says of it."""
        row = self.tasks[completion.task.id]
        for outcome in completion.records.outcomes:
            self.outcomes[outcome.event_id, outcome.work] = outcome.result
        if completion.becomes is not None:
            row.kind, row.target = completion.becomes.kind, completion.becomes.target
        has_news = row.signals > completion.task.signals
        match completion.disposition:
            case Done() | Dead():
                del self.tasks[completion.task.id]
            case Retry(delay, attempt):
                row.attempt = attempt
                self._let_wait(row, delay, has_news=has_news)
            case Wait(delay):
                self._let_wait(row, delay, has_news=has_news)
            case HandBack():
                row.let_go(TaskState.READY)
            case Park():
                row.let_go(TaskState.READY if has_news else TaskState.PARKED)
            case Keep():
                pass

    def _let_wait(self, row: Row, delay: timedelta, *, has_news: bool) -> None:
        """It waits, if there was no news since it was claimed."""
        row.let_go(TaskState.READY if has_news else TaskState.SCHEDULED)
        row.due_at = None if has_news else self.now + int(delay.total_seconds())

    def signal(self, number: int) -> None:
        """There is news for a task; for calls of handlers there never is."""
        row = self.tasks[number]
        if row.kind is TaskKind.CALL:
            return
        row.signals += 1
        if row.state in {TaskState.SCHEDULED, TaskState.PARKED}:
            row.state, row.due_at = TaskState.READY, None

    def leave(self, worker: int) -> int:
        held = [row for row in self.tasks.values() if row.worker == worker]
        for row in held:
            row.let_go(TaskState.READY)
        del self.leases[worker]
        return len(held)

    def rescue(self, rescuer: int) -> tuple[int, set[int]]:
        """Give how many tasks come back, and which are lost."""
        dead = {worker for worker in self.leases if not self.is_alive(worker) and worker != rescuer}
        lost: set[int] = set()
        returned = 0
        for number, row in self.tasks.items():
            if row.worker in dead:
                row.crashes += 1
                if row.crashes >= MAX_CRASHES:
                    row.worker, row.fence = rescuer, row.fence + 1
                    lost.add(number)
                else:
                    row.let_go(TaskState.READY)
                    returned += 1
        for worker in dead:
            del self.leases[worker]
        return returned, lost

    def promote(self) -> int:
        """Make ready what is due, and the first of each order key when none of it has its turn."""
        moved = 0
        for row in self.tasks.values():
            if row.due_at is not None and row.due_at <= self.now:
                row.state, row.due_at = TaskState.READY, None
                moved += 1
        ordered = [(row.ref, number, row) for number, row in self.tasks.items() if row.order_key is not None]
        taken = {(row.target, row.order_key) for _, _, row in ordered if row.state is not TaskState.PARKED}
        first: dict[tuple[int, int | None], Row] = {}
        for _, _, row in sorted(ordered):
            if (row.target, row.order_key) not in taken:
                first.setdefault((row.target, row.order_key), row)
        undispatched = [
            row.ref
            for row in self.tasks.values()
            if row.kind is TaskKind.DISPATCH and row.state in _UNDISPATCHED
        ]
        for row in first.values():
            if not any(ref < row.ref for ref in undispatched):
                row.state = TaskState.READY
                moved += 1
        return moved
