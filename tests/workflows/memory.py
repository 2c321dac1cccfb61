"""A database for runs, in memory: what the engine hands out is kept, and a run can be gone on with from any moment."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from kanca.domain.event import StoredEvent
from kanca.domain.ids import IdFactory
from kanca.domain.task import (
    Attempt,
    Becomes,
    Completion,
    Dead,
    DeadLetter,
    Done,
    Outcome,
    Retry,
    RunChange,
    Step,
    Task,
    TaskKind,
    Wait,
)
from kanca.testing.desk import MemoryDesk
from kanca.workflows.engine import Record, Surroundings, WorkflowEngine
from kanca.workflows.registry import NodeRegistry
from kanca.workflows.runs import RunState, WorkflowVersion
from kanca.workflows.surroundings import ResumeUrl
from kanca.workflows.validation import read_workflow

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that moves a millisecond each time it is looked at."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at


class PoolThreads:
    """Threads for sync nodes."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(4)
        self.abandoned = 0

    def run(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._pool, function)

    def abandon(self, future: asyncio.Future[Any]) -> None:
        self.abandoned += 1


@dataclass
class Store:
    """What would be on disk."""

    task: Task
    run: RunChange | None = None
    steps: dict[UUID, Step] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    history: list[Completion] = field(default_factory=list)
    is_over: bool = False

    def apply(self, completion: Completion) -> None:
        self.history.append(completion)
        records = completion.records
        for run in records.runs:
            self.run = run
        for step in records.steps:
            self.steps[step.id] = step
        self.attempts += records.attempts
        self.outcomes += records.outcomes
        self.dead_letters += records.dead_letters
        about = completion.becomes or Becomes(
            completion.task.kind, completion.task.ref, completion.task.target, completion.task.detail
        )
        after = completion.disposition
        self.is_over = isinstance(after, Done | Dead)
        if self.is_over:
            return
        attempt = after.attempt if isinstance(after, Retry) else self.task.attempt
        self.task = replace(
            self.task,
            kind=about.kind,
            ref=about.ref,
            target=about.target,
            detail=about.detail,
            attempt=attempt,
        )

    async def record(self, completion: Completion) -> bool:
        self.apply(completion)
        return True

    def step(self, node_id: str) -> Step:
        return next(step for step in self.steps.values() if step.node_id == node_id)

    def copy(self) -> Store:
        return Store(**{entry.name: copy(getattr(self, entry.name)) for entry in fields(self)})


class World:
    """An engine with a registry, and events for it."""

    def __init__(
        self,
        registry: NodeRegistry,
        http: Any = None,
        at: datetime = NOW,
        resume_url: ResumeUrl | None = None,
    ) -> None:
        self.registry = registry
        self.is_paused = False
        self.notices: dict[int, Callable[[], None]] = {}
        """Call one to say that there is news for the run of a task that is being worked on."""
        self.clock = Clock(at)
        self.ids = IdFactory(at.timestamp)
        self.threads = PoolThreads()
        self.desk = MemoryDesk(lambda: self.clock.at)
        self.engine = WorkflowEngine(
            Surroundings(
                http=cast(Any, http),
                threads=self.threads,
                desk=self.desk,
                now=self.clock,
                new_id=self.ids.new,
                chance=float,
                resume_url=resume_url,
                watch=self._watch,
                is_paused=lambda _workflow: self.is_paused,
            )
        )
        self._task_ids = itertools.count(1)

    def notice(self) -> None:
        """There is news for whatever is being worked on."""
        for notice in self.notices.values():
            notice()

    @contextmanager
    def _watch(self, task: Task, notice: Callable[[], None]) -> Iterator[None]:
        self.notices[task.id] = notice
        try:
            yield
        finally:
            del self.notices[task.id]

    def version(self, values: Any) -> WorkflowVersion:
        workflow = read_workflow(values, self.registry)
        return WorkflowVersion(workflow.definition.id, 7, "default", 3, workflow)

    def event(self, body: bytes = b'{"total":150}', **changes: Any) -> StoredEvent:
        event = StoredEvent(
            id=self.ids.new(),
            endpoint=101,
            tenant="default",
            type="order.created",
            received_at=NOW,
            source_event_id="ev-1",
            correlation_id="c-1",
            request=b'{"headers":[["X-A","1"],["x-a","2"]]}',
            body=body,
            replay_of=None,
        )
        return replace(event, **changes)

    def dispatched(self, event: StoredEvent) -> Store:
        """A store with the dispatch task of an event."""
        return Store(
            Task(next(self._task_ids), TaskKind.DISPATCH, event.id, event.endpoint, None, None, 0, 0, 1)
        )

    async def go_on(
        self,
        store: Store,
        version: WorkflowVersion,
        event: StoredEvent | None,
        record: Record | None = None,
        **options: Any,
    ) -> Completion:
        """One claim of the task: dispatch it, or go on with its run. The completion is applied."""
        record = record or store.record
        if store.task.kind is TaskKind.DISPATCH:
            assert event is not None
            options = {"node_id": None, "works": 1} | options
            completion = await self.engine.start(store.task, event, version, record, **options)
        else:
            assert store.run is not None
            waits = self.desk.of(store.run.id)
            state = RunState(store.run, version, tuple(store.steps.values()), event, waits)
            completion = await self.engine.execute(store.task, state, record)
        store.apply(completion)
        return completion

    async def finish(
        self, store: Store, version: WorkflowVersion, event: StoredEvent | None, most_claims: int = 50
    ) -> Completion:
        """Claims, with the waiting between them passed, until the task is over."""
        for _ in range(most_claims):
            completion = await self.go_on(store, version, event)
            if store.is_over:
                return completion
            if isinstance(completion.disposition, Retry | Wait):
                self.clock.at += completion.disposition.delay
        raise AssertionError(f"the run did not end within {most_claims} claims")
