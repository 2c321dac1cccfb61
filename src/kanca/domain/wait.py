"""Waits: a run that is parked at a node until something comes for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from kanca.domain.ids import derived_id
from kanca.domain.status import WaitStatus


class WaitAddress(NamedTuple):
    """Where in which run something is waited for: it is known before the wait is there."""

    run_id: UUID
    node_id: str
    iteration: int = 0
    """0, or in the body of a loop the number of the item, from 1."""
    generation: int = 0
    """How often a person had the run go back before it."""

    @property
    def wait_id(self) -> UUID:
        """The id of the wait, the same however often it is opened."""
        return derived_id(self.run_id, "wait", self.node_id, f"{self.iteration}", f"{self.generation}")


@dataclass(frozen=True, slots=True)
class Wait:
    """One wait as it is stored."""

    id: UUID
    run_id: UUID
    workflow: int
    """The number of the workflow."""
    node_id: str
    iteration: int
    rule: str
    """How keys are made: waits and events of one rule can meet (see ``workflows.correlation``)."""
    key: str
    status: WaitStatus
    task_id: int
    """The task of the run: who has news signals it."""
    opened_at: datetime
    due_at: datetime
    """When it times out."""
    ended_at: datetime | None = None
    event_id: UUID | None = None
    """What claimed it."""
    child_run_id: UUID | None = None
    """The run that it waits for, if it waits for one."""
