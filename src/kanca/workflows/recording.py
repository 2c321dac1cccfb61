"""What is stored of a run while it goes on and when it ends. The engine says what happened, this makes rows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from kanca.domain.event import NewEvent
from kanca.domain.ids import derived_id
from kanca.domain.status import OutcomeStatus, RunStatus, StepStatus
from kanca.domain.task import (
    Attempt,
    Becomes,
    Completion,
    Dead,
    DeadLetter,
    Done,
    HandBack,
    Keep,
    NewTask,
    Outcome,
    Park,
    Records,
    Retry,
    RunAnswer,
    RunChange,
    Step,
    Task,
    TaskKind,
    Wait,
)
from kanca.workflows.calling import Failed
from kanca.workflows.progress import At
from kanca.workflows.runs import NodeFailures, RunDetail, RunState, work_of
from kanca.workflows.scope import type_of
from kanca.workflows.step import Answer
from kanca.workflows.values import NotJson, write_json

MAX_SHOWN_BYTES = 64 * 1024
"""The largest value that is stored only to be looked at."""
MAX_RESULT_BYTES = 1024 * 1024
"""The largest output of a run that is also the result of its event's work."""

RUN_CANCELLED = "run_cancelled"
_NOTHING = Records()


@dataclass(slots=True)
class Times:
    """When a node, or an attempt of it, began and ended."""

    started_at: datetime
    finished_at: datetime


def shown(value: Any) -> bytes:
    """A value that people look at and nothing reads: as JSON, or when it is large, its size."""
    text = _stored(value)
    return text if len(text) <= MAX_SHOWN_BYTES else write_json({"omitted": True, "size_bytes": len(text)})


def text_of(at: At) -> str:
    """How a run's task names a node: ``node``, or ``node#3`` in the body of a loop."""
    return f"{at.node_id}#{at.iteration}" if at.iteration else at.node_id


def at_of(text: str) -> At:
    """What ``text_of`` names."""
    node_id, _, iteration = text.partition("#")
    return At(node_id, int(iteration or 0))


def _stored(value: Any) -> bytes:
    try:
        return write_json(value)
    except NotJson:
        return b'{"omitted":true}'


class Recorder:
    """Collects what happens in a run, and hands it out as completions; each fact in one of them only."""

    def __init__(self, task: Task, state: RunState, detail: RunDetail) -> None:
        self._task = task
        self._state = state
        self.detail = detail
        self._run = state.run
        self._work = work_of(state.version.id)
        self._steps: list[Step] = []
        self._attempts: list[Attempt] = []
        self._said = Records()
        """What else is new: events, tasks, an answer."""
        self._call_ids: dict[At, UUID] = {}
        self._stored_status = state.run.status if task.kind is TaskKind.RUN else None
        self._most_attempts = 1

    @property
    def has_begun(self) -> bool:
        """Whether the run stands in the database as running."""
        return self._stored_status in (RunStatus.RUNNING, RunStatus.WAITING)

    @property
    def status(self) -> RunStatus:
        """How the run stands in the database, once it has begun."""
        return self._stored_status or RunStatus.RUNNING

    @property
    def has_news(self) -> bool:
        """Whether there is something that is not stored."""
        return bool(self._steps or self._attempts or self._said != _NOTHING) or not self.has_begun

    def call_id(self, at: At) -> UUID:
        """The id of a node's step, and of every call of it: the same over retries and crashes."""
        call_id = self._call_ids.get(at)
        if call_id is None:
            generation = (str(self.detail.generation),) if self.detail.generation else ()
            names = (at.node_id, str(at.iteration), *generation)
            call_id = self._call_ids[at] = derived_id(self._run.id, *names)
        return call_id

    def step(
        self,
        at: At,
        status: StepStatus,
        times: Times,
        *,
        port: str | None = None,
        input: bytes | None = None,
        output: bytes | None = None,
        error: bytes | None = None,
        attempt_number: int = 1,
    ) -> None:
        """A node ended."""
        self._most_attempts = max(self._most_attempts, attempt_number)
        self._steps.append(
            Step(
                id=self.call_id(at),
                run_id=self._run.id,
                node_id=at.node_id,
                iteration=at.iteration,
                status=status,
                port=port,
                input=input,
                output=output,
                error=error,
                attempt_number=attempt_number,
                started_at=times.started_at,
                finished_at=times.finished_at,
            )
        )

    def failed_attempt(self, attempt_id: UUID, at: At, number: int, failed: Failed, times: Times) -> None:
        """An attempt of a node failed."""
        self._attempts.append(
            Attempt(
                id=attempt_id,
                # A test's are no failures of the event.
                event_id=None if self._run.is_test else self._run.event_id,
                work=self._work,
                call_id=self.call_id(at),
                attempt_number=number,
                started_at=times.started_at,
                finished_at=times.finished_at,
                code=failed.code,
                error=failed.cause,
            )
        )

    def publish(self, event: NewEvent) -> None:
        """A node publishes an event."""
        self._said.events += (event,)
        self._said.tasks += (NewTask(TaskKind.DISPATCH, event.id, event.endpoint),)

    def answer(self, answer: Answer, now: datetime) -> None:
        """A node answers the sender of the run's event."""
        if self._run.event_id is not None:
            headers = write_json(dict(answer.headers))
            row = RunAnswer(self._run.event_id, answer.status, headers, answer.body, now)
            self._said.answers = (row,)

    def waits(self, failures: Mapping[At, NodeFailures], sleeps: Mapping[At, datetime]) -> None:
        """These nodes failed and are to be tried again, and these sleep."""
        self.detail = replace(
            self.detail,
            failures={text_of(at): failure for at, failure in failures.items()},
            sleeps={text_of(at): until for at, until in sleeps.items()},
        )

    def checkpoint(
        self, disposition: Keep | HandBack | Retry | Wait | Park, status: RunStatus = RunStatus.RUNNING
    ) -> Completion:
        """What is new, for a run that goes on, here or later."""
        becomes = Becomes(TaskKind.RUN, self._run.id, self._state.version.number, self.detail.encode())
        runs = () if self._stored_status is status else (self._now(status),)
        self._stored_status = status
        return Completion(self._task, disposition, self._take(runs), becomes)

    def succeeded(self, result: Any, at: datetime) -> Completion:
        """The run is complete."""
        output = _stored(result)
        run = self._now(RunStatus.SUCCEEDED, at, output)
        records = self._take((run,), is_over=True)
        if self._is_for_event:
            outcome = self._outcome(OutcomeStatus.SUCCEEDED, at, run.id)
            outcome.result = output if len(output) <= MAX_RESULT_BYTES else None
            records.outcomes = (outcome,)
        return Completion(self._task, Done(), records)

    def dead(self, letter_id: UUID, failed: Failed, attempts: int, at: datetime) -> Completion:
        """The run failed; its dead letter goes on where it stopped. A run that waits for it has the failure instead."""
        run = self._now(RunStatus.FAILED, at, error=failed.cause)
        records = self._take((run,), is_over=True)
        if run.parent_run_id is not None or run.is_test:
            return Completion(self._task, Done(), records)
        records.dead_letters = (self._dead_letter(letter_id, failed, attempts, at),)
        if self._run.event_id is not None:
            outcome = self._outcome(OutcomeStatus.DEAD, at, letter_id)
            records.outcomes = (replace(outcome, reason=failed.code),)
        return Completion(self._task, Dead(), records)

    def cancelled(self, at: datetime, reason: str = RUN_CANCELLED, error: bytes | None = None) -> Completion:
        """The run does not go on, for a reason that is nobody's failure."""
        run = self._now(RunStatus.CANCELLED, at, error=error)
        records = self._take((run,), is_over=True)
        if self._is_for_event:
            outcome = self._outcome(OutcomeStatus.SKIPPED, at, run.id)
            records.outcomes = (replace(outcome, reason=reason),)
        return Completion(self._task, Done(), records)

    @property
    def _is_for_event(self) -> bool:
        """Whether it is a piece of an event's work: tests only look at one."""
        return self._run.event_id is not None and not self._run.is_test

    def _now(
        self,
        status: RunStatus,
        finished_at: datetime | None = None,
        output: bytes | None = None,
        error: bytes | None = None,
    ) -> RunChange:
        return replace(self._run, status=status, finished_at=finished_at, output=output, error=error)

    def _take(self, runs: tuple[RunChange, ...], *, is_over: bool = False) -> Records:
        records, self._said = self._said, Records()
        records.runs, records.steps, records.attempts = runs, tuple(self._steps), tuple(self._attempts)
        self._steps.clear()
        self._attempts.clear()
        if is_over and self._run.parent_wait is not None:
            records.tasks += (NewTask(TaskKind.RETURN, self._run.id, self._state.version.number),)
        return records

    def _outcome(self, status: OutcomeStatus, at: datetime, ref: UUID) -> Outcome:
        assert self._run.event_id is not None  # noqa: S101 - only runs of events have outcomes
        return Outcome(
            event_id=self._run.event_id,
            work=self._work,
            status=status,
            works=self.detail.works,
            attempt_number=self._most_attempts,
            started_at=self._run.started_at,
            finished_at=at,
            ref=ref,
        )

    def _dead_letter(self, letter_id: UUID, failed: Failed, attempts: int, at: datetime) -> DeadLetter:
        event, version = self._state.event, self._state.version
        return DeadLetter(
            id=letter_id,
            kind=TaskKind.RUN,
            ref=self._run.id,
            target=version.number,
            detail=replace(self.detail, failures={}, sleeps={}, deadline=None, failed=None).encode(),
            order_key=self._task.order_key,
            event_id=self._run.event_id,
            work=self._work,
            endpoint=event.endpoint if event else None,
            tenant=event.tenant if event else version.tenant,
            event_type=event.type if event else type_of(self._run),
            attempts=attempts,
            code=failed.code,
            error=failed.cause,
            failed_at=at,
            body=event.body if event else self._run.input or b"",
        )
