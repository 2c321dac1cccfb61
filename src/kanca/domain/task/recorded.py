"""What is recorded in the transaction that ends, retries or checkpoints a task."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kanca.domain.event import NewEvent
from kanca.domain.status import (
    DeliveryStatus,
    OutcomeStatus,
    ReplayOnly,
    ReplayStatus,
    RunOrigin,
    RunStatus,
    StepStatus,
)
from kanca.domain.task.queued import NewTask, TaskKind


@dataclass(slots=True)
class Outcome:
    """How one piece of an event's work ended, with its last attempt. One row per ``(event, work)``."""

    event_id: UUID
    work: str
    """``dispatch``, ``handler:<name>``, ``workflow:<id>``."""
    status: OutcomeStatus
    works: int | None = None
    """On the dispatch, or on the only piece of work: how many pieces the event has (see ``event_status``)."""
    reason: str | None = None
    """The code of why it was skipped or is dead."""
    result: bytes | None = None
    """What the work returned, as JSON."""
    attempt_number: int = 1
    started_at: datetime | None = None
    finished_at: datetime | None = None
    ref: UUID | None = None
    """The run, or the dead letter."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One failed try of a piece of work (the successful one is part of its outcome)."""

    id: UUID
    event_id: UUID | None
    work: str
    call_id: UUID
    attempt_number: int
    started_at: datetime
    finished_at: datetime
    code: str
    error: bytes
    """The cause as JSON: ``{"code", "message", …}``."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A piece of work out of attempts, with all that a retry needs. Keeps its own copy of the body."""

    id: UUID
    kind: TaskKind
    ref: UUID
    target: int
    detail: bytes | None
    order_key: int | None
    event_id: UUID | None
    work: str
    endpoint: int | None
    tenant: str
    event_type: str
    attempts: int
    code: str
    error: bytes
    failed_at: datetime
    body: bytes
    expunged_at: datetime | None = None
    """When its payload was taken away: since then it cannot be retried."""


@dataclass(slots=True)
class RunChange:
    """A run as it is from now on (inserted when it is new)."""

    id: UUID
    workflow_id: str
    version: int
    event_id: UUID | None
    status: RunStatus
    started_at: datetime
    input: bytes | None = None
    """The data of a run that no event started, as JSON; otherwise the event has it."""
    finished_at: datetime | None = None
    output: bytes | None = None
    error: bytes | None = None
    origin: RunOrigin = RunOrigin.EVENT
    parent_run_id: UUID | None = None
    """The run that started this one, and waits for it."""
    parent_wait: UUID | None = None
    """The wait of that run."""
    is_test: bool = False
    """It has no effects, and nobody but who asked for it knows of it."""
    cancel_requested_at: datetime | None = None
    """Set by who wants it to end, and never by who works on it."""


@dataclass(slots=True)
class Step:
    """One execution of a node in a run, stored once it ended. A stored step never runs again by itself."""

    id: UUID
    run_id: UUID
    node_id: str
    iteration: int
    """0, or in the body of a loop the number of the item, from 1."""
    status: StepStatus
    port: str | None
    input: bytes | None
    output: bytes | None
    error: bytes | None
    attempt_number: int
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class RunAnswer:
    """What a run answers the sender of its event, who waits for it."""

    event_id: UUID
    status: int
    headers: bytes
    """As JSON: ``{name: value}``."""
    body: bytes
    created_at: datetime


@dataclass(slots=True)
class Delivery:
    """A delivery that has ended. One row per event and subscription."""

    event_id: UUID
    subscription: int
    """The subscription's number."""
    status: DeliveryStatus
    attempts: int
    """Made in all."""
    reason: str | None
    """The code of why it was skipped or is dead."""
    response_status: int | None
    """Of the last attempt."""
    started_at: datetime | None
    """Of the last attempt."""
    finished_at: datetime
    attempt: bytes | None = None
    """The last attempt, as JSON (``AttemptReport``). Those before it that failed are rows of their own."""


@dataclass(slots=True)
class Replay:
    """New deliveries made from stored events: a job that goes on where it stopped."""

    id: UUID
    tenant: str | None
    """None: of all tenants."""
    subscription: int | None
    """The number of the only subscription that is sent to; None: all that are active."""
    only: ReplayOnly
    since: datetime
    until: datetime
    event_types: tuple[str, ...]
    """Types or wildcards; empty: all."""
    rate_per_second: float | None
    """Deliveries that it makes in a second; None: as fast as it can."""
    status: ReplayStatus
    position: UUID | None
    """The last event that was looked at."""
    total: int
    """Deliveries that there were to make when it was created."""
    queued: int
    """Deliveries that it made so far."""
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    """Set by who wants it to end, and never by who works on it."""


@dataclass(slots=True)
class EventField:
    """A value in an event's payload, by which the event is found."""

    event_id: UUID
    path: str
    value: str


@dataclass(slots=True)
class Records:
    """Rows that are written in the transaction that ends, retries or checkpoints a task."""

    outcomes: tuple[Outcome, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    runs: tuple[RunChange, ...] = ()
    steps: tuple[Step, ...] = ()
    tasks: tuple[NewTask, ...] = ()
    events: tuple[NewEvent, ...] = ()
    """Events that are published; their dispatch is among ``tasks``."""
    answers: tuple[RunAnswer, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    """Those that ended."""
    fields: tuple[EventField, ...] = ()
