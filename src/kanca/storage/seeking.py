"""Waits that look for events, events that look for waits, and what becomes of them (``matching`` says which)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from kanca.domain.task import NewTask, RunChange, Task
from kanca.domain.wait import Wait

DIRECT = "@"
"""The rule of events that name one wait."""
KEYLESS = ""
"""The rule, and the key, of nodes that have no keys."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A run wants to wait."""

    task: Task
    """Of the run, as it was claimed."""
    wait_id: UUID
    run_id: UUID
    workflow: int
    workflow_id: str
    node_id: str
    iteration: int
    rule: str
    key: str
    timeout: timedelta
    not_before: datetime | None = None
    """Events that were received before are for other runs. Matters where there are no keys."""
    child: tuple[RunChange, NewTask] | None = None
    """The run that is waited for, begun in the same transaction."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event looks for the run that waits for it."""

    event_id: UUID
    task: Task
    """Of the event's work, as it was claimed."""
    workflow: int
    workflow_id: str
    node_id: str
    keys: tuple[tuple[str, str], ...]
    """``(rule, key)``, by every rule that a run may wait by."""
    received_at: datetime
    patience: timedelta
    """How long it is kept for a run that does not wait yet."""
    wait_id: UUID | None = None
    """The one wait that it is for."""
    may_be_early: bool = True
    """Whether a run could still come to wait for it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The event has resumed a run."""

    wait: Wait


@dataclass(frozen=True, slots=True)
class Early:
    """No run waits for the event yet: it is kept until then."""

    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several runs could be meant."""

    run_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Missed:
    """No run takes the event any more."""

    reason: str


Arrived = Taken | Early | Ambiguous | Missed

NO_WAIT = "no_wait"
NOT_HELD = "not_held"
"""The event's work is another worker's by now, which says what becomes of it."""
ALREADY_RESUMED = "already_resumed"
WAIT_TIMED_OUT = "wait_timed_out"
WAIT_CANCELLED = "wait_cancelled"
