"""Tasks: the rows of the durable queue, and what a worker may say of one when it is done with it.

A task's life:

    ready ──claim──► running ──Done/Dead──► (row gone; an outcome or a dead letter stands for it)
      ▲                │ │ │
      │   HandBack     │ │ └─Park──► parked ──unpark──► ready
      ├────────────────┘ └──Retry, Wait──► scheduled ──due, or for Wait a signal──► ready
      └──rescue (the worker's lease expired: crashes + 1; after the third the task is dead)

``fence`` grows by one with every claim and is never reset. Whoever finishes a task names the fence it was claimed with;
a worker that lost its lease names an old one, and nothing it says is written.

Nothing here is ever changed once it is made. What is made for every single event is not declared ``frozen`` all the
same: making a frozen one takes four times as long, which came to a fifth of a worker's time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
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

LANES = 64
"""Fairness classes of the queue: tasks of one target share a lane, and claims take from all lanes in turn."""

LONGEST_LEASE = timedelta(seconds=300)
"""The most that a worker's lease may be set to; one that lasts longer is from before a clock was set back."""

SUSPECT_CRASHES = 2
"""A task that so many workers died of is a suspect: from then on it runs alone, so that nobody else dies with it."""

SUSPECT_LANE = LANES
"""Where suspects wait: no ordinary claim looks there."""

DELIVERY_LANES = range(LANES + 1, LANES + 1 + 128)
"""Those of deliveries, which are claimed apart from all else: thousands of them may be under way at once."""

DELIVERY_CRASHES = 20
"""Workers that may die holding a delivery. None of the user's code runs in it, and it dies with thousands of others."""


class TaskKind(IntEnum):
    """What a worker has to do."""

    DISPATCH = 1
    """Find an event's targets. ``ref`` is the event, ``target`` the endpoint."""
    CALL = 2
    """Call a handler with an event. ``ref`` is the event, ``target`` the handler."""
    RUN = 3
    """Go on with a run. ``ref`` is the run, ``target`` the workflow."""
    RESUME = 4
    """Bring an event to the run that waits for it. ``ref`` is the event, ``target`` the workflow."""
    RETURN = 5
    """Tell a run that one which it started has ended. ``ref`` is the run that ended, ``target`` its workflow."""
    DELIVER = 6
    """Send an event to a subscription. ``ref`` is the event, ``target`` the subscription."""
    REPLAY = 7
    """Go on with a replay. ``ref`` is the replay, ``target`` the subscription, or 0."""


class TaskState(IntEnum):
    """Where a task is in its life."""

    READY = 0
    """Claimable, in the order of ``position`` within its lane."""
    RUNNING = 1
    """A worker holds it under its lease."""
    SCHEDULED = 2
    """Waits for ``due_at``, or for a signal."""
    PARKED = 3
    """Waits for something else: its endpoint is paused, or an earlier task with its order key is unfinished."""


@dataclass(frozen=True, slots=True)
class NewTask:
    """Work to be done."""

    kind: TaskKind
    ref: UUID
    target: int
    detail: bytes | None = None
    """What the worker needs besides the ids, as JSON: small."""
    order_key: int | None = None
    """Tasks of one target with the same key run one after the other, in the order of their events. Born parked."""
    due_at: datetime | None = None
    """Not before this moment; None is now."""

    @property
    def state(self) -> TaskState:
        """The state it is born in."""
        if self.order_key is not None:
            return TaskState.PARKED
        return TaskState.READY if self.due_at is None else TaskState.SCHEDULED


@dataclass(slots=True)
class Task:
    """A claimed task."""

    id: int
    kind: TaskKind
    ref: UUID
    target: int
    detail: bytes | None
    order_key: int | None
    attempt: int
    """Attempts that failed so far; the one that starts now is number ``attempt + 1``."""
    crashes: int
    """Workers that died holding it since it last stored a step."""
    fence: int
    signals: int = 0
    """How often somebody else had news for it when it was claimed (see ``Wait``)."""


def lane_of(kind: TaskKind, target: int) -> int:
    """The lane of a target's tasks. A multiplicative hash (Knuth): neighbours in number are not neighbours in lane."""
    mixed = (target * 8 + kind) * 2654435761 & 0xFFFFFFFF
    return DELIVERY_LANES.start + (mixed >> 25) if kind is TaskKind.DELIVER else mixed >> 26


def order_key_of(text: str) -> int:
    """An order key as the 63-bit number that the queue compares."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


# What a worker says of a task -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Done:
    """It is finished, whatever the outcome rows say."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt after ``delay``; the one that ended counts."""

    delay: timedelta
    attempt: int
    """The number of failed attempts from now on (a step that succeeded before the failing one resets it)."""


@dataclass(frozen=True, slots=True)
class Dead:
    """Out of attempts; ``Records.dead_letters`` says why."""


@dataclass(frozen=True, slots=True)
class HandBack:
    """Not begun, or given up at shutdown: ready again at once, and no attempt is counted."""


@dataclass(frozen=True, slots=True)
class Park:
    """Not now: it waits until it is unparked."""


@dataclass(frozen=True, slots=True)
class Keep:
    """It goes on under the same lease; what is recorded with this is a checkpoint."""


@dataclass(frozen=True, slots=True)
class Wait:
    """It waits for a signal, for ``delay`` at most; no attempt is counted.

    Whoever has news for a task raises its ``signals`` and makes it ready. What was signalled while a worker held the
    task would be lost if it went to sleep now, so it is ready again at once when there were more signals than it was
    claimed with.
    """

    delay: timedelta


Disposition = Done | Retry | Dead | HandBack | Park | Keep | Wait


@dataclass(slots=True)
class Becomes:
    """The task is about something more definite from now on: a dispatch with one target becomes the work itself."""

    kind: TaskKind
    ref: UUID
    target: int
    detail: bytes | None = None


# What is recorded in the same transaction ---------------------------------------------------------


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


@dataclass(slots=True)
class Completion:
    """What a worker says of a claimed task. Written whole, or, when the fence is old, not at all."""

    task: Task
    disposition: Disposition
    records: Records = field(default_factory=Records)
    becomes: Becomes | None = None
