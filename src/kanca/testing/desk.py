"""The desk of one run, in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from kanca.domain.event import StoredEvent
from kanca.domain.status import WaitStatus
from kanca.domain.task import RunChange, Task
from kanca.domain.wait import Wait
from kanca.storage.seeking import Opening
from kanca.storage.workflows import Workflow
from kanca.workflows.desk import News


class MemoryDesk:
    """Keeps waits; what comes for them is said with ``claim``."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.waits: dict[UUID, Wait] = {}
        self.openings: dict[UUID, Opening] = {}
        self.events: dict[UUID, StoredEvent] = {}
        self.runs: dict[UUID, RunChange] = {}
        self.workflows: dict[str, Workflow] = {}
        self.is_cancelled = False

    async def open(self, opening: Opening) -> Wait | None:
        """Let the run wait, once however often it is asked."""
        before = self.waits.get(opening.wait_id)
        if before is not None and before.status is not WaitStatus.CANCELLED:
            return before
        now = self._now()
        wait = self.waits[opening.wait_id] = Wait(
            id=opening.wait_id,
            run_id=opening.run_id,
            workflow=opening.workflow,
            node_id=opening.node_id,
            iteration=opening.iteration,
            rule=opening.rule,
            key=opening.key,
            status=WaitStatus.OPEN,
            task_id=opening.task.id,
            opened_at=now,
            due_at=now + opening.timeout,
            child_run_id=opening.child[0].id if opening.child else None,
        )
        self.openings[opening.wait_id] = opening
        return wait

    def claim(self, node_id: str, event: StoredEvent | None = None, iteration: int = 0) -> None:
        """Let what a node waits for come. Raises KeyError when it does not wait."""
        for wait in self.waits.values():
            is_open = wait.status is WaitStatus.OPEN
            if is_open and (wait.node_id, wait.iteration) == (node_id, iteration):
                if event is not None:
                    self.events[event.id] = event
                event_id = event.id if event else None
                changed = replace(wait, status=WaitStatus.CLAIMED, event_id=event_id, ended_at=self._now())
                self.waits[wait.id] = changed
                return
        raise KeyError(node_id)

    async def news(self, run_id: UUID) -> News:
        """All that has come."""
        return News(self.of(run_id), self.is_cancelled)

    def of(self, run_id: UUID) -> tuple[Wait, ...]:
        """The waits of a run."""
        return tuple(wait for wait in self.waits.values() if wait.run_id == run_id)

    async def expire(self, wait_ids: Collection[UUID]) -> None:
        """Let open waits time out."""
        self._end(wait_ids, WaitStatus.TIMED_OUT)

    async def cancel(self, wait_ids: Collection[UUID]) -> None:
        """Close open waits."""
        self._end(wait_ids, WaitStatus.CANCELLED)

    async def give_up(self, wait_ids: Collection[UUID]) -> None:
        """Close waits, whatever came."""
        for wait_id in wait_ids:
            self.waits[wait_id] = replace(self.waits[wait_id], status=WaitStatus.CANCELLED)

    async def event(self, event_id: UUID) -> StoredEvent | None:
        """An event that came."""
        return self.events.get(event_id)

    async def run(self, run_id: UUID) -> RunChange | None:
        """A run that was waited for."""
        return self.runs.get(run_id)

    async def workflow(self, workflow_id: str) -> Workflow | None:
        """A workflow that a run is started of."""
        return self.workflows.get(workflow_id)

    async def take_turn(self, _run_id: UUID, _task: Task, _workflow: int, _key: str, _limit: int) -> bool:
        """It is always its turn: nobody else is there."""
        return True

    def _end(self, wait_ids: Collection[UUID], status: WaitStatus) -> None:
        for wait_id in wait_ids:
            if self.waits[wait_id].status is WaitStatus.OPEN:
                self.waits[wait_id] = replace(self.waits[wait_id], status=status, ended_at=self._now())
