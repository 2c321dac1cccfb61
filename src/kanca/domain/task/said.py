"""What a worker says of a task: what becomes of it, and what is recorded with that."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from kanca.domain.task.queued import Task, TaskKind
from kanca.domain.task.recorded import Records


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


@dataclass(slots=True)
class Completion:
    """What a worker says of a claimed task. Written whole, or, when the fence is old, not at all."""

    task: Task
    disposition: Disposition
    records: Records = field(default_factory=Records)
    becomes: Becomes | None = None
