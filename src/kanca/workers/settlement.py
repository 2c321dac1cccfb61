"""What is written when an attempt of a piece of work has ended. Pure, but for ids and chance that are handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import msgspec

from kanca.domain.event import StoredEvent
from kanca.domain.retry import GiveUp, RetryPolicy, after_failure
from kanca.domain.status import OutcomeStatus, RunStatus
from kanca.domain.task import (
    Attempt,
    Becomes,
    Completion,
    Dead,
    DeadLetter,
    Done,
    NewTask,
    Outcome,
    Records,
    Retry,
    RunChange,
    Task,
    TaskKind,
)
from kanca.handlers.causes import as_json
from kanca.handlers.execution import CallOutcome, Discarded, Failed, Succeeded
from kanca.workflows.scope import BY_HAND_TYPE, type_of

DISPATCH_WORK = "dispatch"
INTERNAL_ERROR = "internal_error"
RECORD_REFUSED = "record_refused"
WORKER_LOST = "worker_lost"
DEFAULT_TENANT = "default"


class Work(msgspec.Struct, frozen=True):
    """One attempt of one piece of work, done under a claimed task."""

    task: Task
    event: StoredEvent | None
    """None for a run that was started by hand."""
    name: str
    """``handler:<name>``, ``workflow:<id>``, ``dispatch``."""
    call_id: UUID
    about: Becomes
    """What the task is about from now on: a dispatch with one target is that target's work."""
    works: int | None
    """How many pieces of work the event has, where this piece has to say it."""
    started_at: datetime
    run: RunChange | None = None
    """Of a workflow: the run as it is stored."""
    tenant: str = DEFAULT_TENANT
    """Whose it is where there is no event to say so."""

    @property
    def is_test(self) -> bool:
        """Whether it is no piece of its event's work, but only looks at that."""
        return self.run is not None and self.run.is_test

    @property
    def attempt_number(self) -> int:
        """1 for the first attempt."""
        return self.task.attempt + 1


@dataclass(frozen=True, slots=True)
class Settling:
    """What deciding needs from outside."""

    now: Callable[[], datetime]
    new_id: Callable[[], UUID]
    chance: Callable[[], float]

    def settle(self, work: Work, ended: CallOutcome, policy: RetryPolicy) -> Completion:
        """The completion for an attempt that ended."""
        if isinstance(ended, Failed):
            return self.fail(work, ended, policy)
        status, reason, result = _success(ended)
        outcomes = _outcome(work, status, self.now(), reason=reason, result=result)
        return Completion(work.task, Done(), Records(outcomes=outcomes))

    def fail(self, work: Work, failed: Failed, policy: RetryPolicy) -> Completion:
        """The completion for a failed attempt: another one later, or a dead letter."""
        finished_at = self.now()
        attempt = Attempt(
            id=self.new_id(),
            event_id=work.event.id if work.event and not work.is_test else None,
            work=work.name,
            call_id=work.call_id,
            attempt_number=work.attempt_number,
            started_at=work.started_at,
            finished_at=finished_at,
            code=failed.code,
            error=failed.cause,
        )
        follows = after_failure(work.attempt_number, policy, self.chance(), failed.asked_delay)
        if failed.is_final or isinstance(follows, GiveUp):
            return self._bury(work, failed, (attempt,), finished_at)
        becomes = None if work.task.kind == work.about.kind else work.about
        return Completion(
            work.task, Retry(follows.delay, work.attempt_number), Records(attempts=(attempt,)), becomes
        )

    def bury(self, work: Work, failed: Failed) -> Completion:
        """The dead letter alone, for work that cannot be tried, or whose attempt cannot be recorded."""
        return self._bury(work, failed, (), self.now())

    def _bury(
        self, work: Work, failed: Failed, attempts: tuple[Attempt, ...], failed_at: datetime
    ) -> Completion:
        if work.run is not None and work.run.is_test:
            return _told(work, work.run, failed, attempts, failed_at)
        letter = _dead_letter(work, failed, self.new_id(), failed_at)
        outcomes = _outcome(work, OutcomeStatus.DEAD, failed_at, reason=failed.code, ref=letter.id)
        runs: tuple[RunChange, ...] = ()
        tasks: tuple[NewTask, ...] = ()
        if work.run is not None:
            runs = (replace(work.run, status=RunStatus.FAILED, finished_at=failed_at, error=failed.cause),)
            if work.run.parent_wait is not None:
                tasks = (NewTask(TaskKind.RETURN, work.run.id, work.about.target),)
        records = Records(
            outcomes=outcomes, attempts=attempts, dead_letters=(letter,), runs=runs, tasks=tasks
        )
        return Completion(work.task, Dead(), records)


def _told(
    work: Work, run: RunChange, failed: Failed, attempts: tuple[Attempt, ...], failed_at: datetime
) -> Completion:
    """The failure of a test, which nobody is to retry."""
    failed_run = replace(run, status=RunStatus.FAILED, finished_at=failed_at, error=failed.cause)
    records = Records(attempts=attempts, runs=(failed_run,))
    if run.parent_wait is not None:
        records.tasks = (NewTask(TaskKind.RETURN, run.id, work.task.target),)
    return Completion(work.task, Done(), records)


def _outcome(
    work: Work,
    status: OutcomeStatus,
    finished_at: datetime,
    *,
    reason: str | None,
    result: bytes | None = None,
    ref: UUID | None = None,
) -> tuple[Outcome, ...]:
    if work.event is None:
        return ()
    outcome = Outcome(
        event_id=work.event.id,
        work=work.name,
        status=status,
        works=work.works,
        reason=reason,
        result=result,
        attempt_number=work.attempt_number,
        started_at=work.started_at,
        finished_at=finished_at,
        ref=ref,
    )
    return (outcome,)


def _dead_letter(work: Work, failed: Failed, identifier: UUID, failed_at: datetime) -> DeadLetter:
    event = work.event
    return DeadLetter(
        id=identifier,
        kind=work.about.kind,
        ref=work.about.ref,
        target=work.about.target,
        detail=work.about.detail,
        order_key=work.task.order_key,
        event_id=event.id if event else None,
        work=work.name,
        endpoint=event.endpoint if event else None,
        tenant=event.tenant if event else work.tenant,
        event_type=event.type if event else type_of(work.run) if work.run else BY_HAND_TYPE,
        attempts=work.attempt_number,
        code=failed.code,
        error=failed.cause,
        failed_at=failed_at,
        body=event.body if event else b"",
    )


def _success(ended: Succeeded | Discarded) -> tuple[OutcomeStatus, str | None, bytes | None]:
    if isinstance(ended, Succeeded):
        return OutcomeStatus.SUCCEEDED, ended.note, ended.result
    return OutcomeStatus.SKIPPED, "discarded", as_json({"reason": ended.reason})
