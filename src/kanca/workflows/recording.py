"""What is stored of a run while it goes on and when it ends. The engine says what happened, this makes rows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

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
    Outcome,
    Records,
    Retry,
    RunChange,
    Step,
    Task,
    TaskKind,
)
from kanca.workflows.calling import Failed
from kanca.workflows.runs import NodeFailures, RunDetail, RunState, work_of
from kanca.workflows.scope import BY_HAND_TYPE
from kanca.workflows.values import NotJson, write_json

MAX_SHOWN_BYTES = 64 * 1024
"""The largest value that is stored only to be looked at."""
MAX_RESULT_BYTES = 1024 * 1024
"""The largest output of a run that is also the result of its event's work."""


@dataclass(frozen=True, slots=True)
class Times:
    """When a node, or an attempt of it, began and ended."""

    started_at: datetime
    finished_at: datetime


def shown(value: Any) -> bytes:
    """A value that people look at and nothing reads: as JSON, or when it is large, its size."""
    text = _stored(value)
    return text if len(text) <= MAX_SHOWN_BYTES else write_json({"omitted": True, "size_bytes": len(text)})


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
        self._detail = detail
        self._run = replace(state.run, status=RunStatus.RUNNING, finished_at=None, output=None, error=None)
        self._work = work_of(state.version.id)
        self._steps: list[Step] = []
        self._attempts: list[Attempt] = []
        self._call_ids: dict[str, UUID] = {}
        self._run_is_stored = state.run.status is RunStatus.RUNNING and task.kind is TaskKind.RUN
        self._most_attempts = 1

    @property
    def has_begun(self) -> bool:
        """Whether the run stands in the database as running."""
        return self._run_is_stored

    @property
    def has_news(self) -> bool:
        """Whether there is something that is not stored."""
        return bool(self._steps or self._attempts) or not self._run_is_stored

    def call_id(self, node_id: str) -> UUID:
        """The id of a node's step, and of every call of it: the same over retries and crashes."""
        call_id = self._call_ids.get(node_id)
        if call_id is None:
            call_id = self._call_ids[node_id] = derived_id(self._run.id, node_id, "0")
        return call_id

    def step(
        self,
        node_id: str,
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
                id=self.call_id(node_id),
                run_id=self._run.id,
                node_id=node_id,
                iteration=0,
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

    def failed_attempt(
        self, attempt_id: UUID, node_id: str, number: int, failed: Failed, times: Times
    ) -> None:
        """An attempt of a node failed."""
        self._attempts.append(
            Attempt(
                id=attempt_id,
                event_id=self._run.event_id,
                work=self._work,
                call_id=self.call_id(node_id),
                attempt_number=number,
                started_at=times.started_at,
                finished_at=times.finished_at,
                code=failed.code,
                error=failed.cause,
            )
        )

    def waits(self, failures: Mapping[str, NodeFailures]) -> None:
        """These nodes failed and are to be tried again."""
        self._detail = replace(self._detail, failures=dict(failures))

    def checkpoint(self, disposition: Keep | HandBack | Retry) -> Completion:
        """What is new, for a run that goes on, here or later."""
        becomes = Becomes(TaskKind.RUN, self._run.id, self._state.version.number, self._detail.encode())
        completion = Completion(
            self._task, disposition, self._take(() if self._run_is_stored else (self._run,)), becomes
        )
        self._run_is_stored = True
        return completion

    def succeeded(self, result: Any, at: datetime) -> Completion:
        """The run is complete."""
        output = _stored(result)
        run = replace(self._run, status=RunStatus.SUCCEEDED, finished_at=at, output=output)
        records = self._take((run,))
        if self._run.event_id is not None:
            outcome = self._outcome(OutcomeStatus.SUCCEEDED, at, run.id)
            outcome = replace(outcome, result=output if len(output) <= MAX_RESULT_BYTES else None)
            records = replace(records, outcomes=(outcome,))
        return Completion(self._task, Done(), records)

    def dead(self, letter_id: UUID, failed: Failed, attempts: int, at: datetime) -> Completion:
        """The run failed; its dead letter goes on where it stopped."""
        run = replace(self._run, status=RunStatus.FAILED, finished_at=at, error=failed.cause)
        letter = self._dead_letter(letter_id, failed, attempts, at)
        records = replace(self._take((run,)), dead_letters=(letter,))
        if self._run.event_id is not None:
            outcome = self._outcome(OutcomeStatus.DEAD, at, letter_id)
            records = replace(records, outcomes=(replace(outcome, reason=failed.code),))
        return Completion(self._task, Dead(), records)

    def _take(self, runs: tuple[RunChange, ...]) -> Records:
        records = Records(runs=runs, steps=tuple(self._steps), attempts=tuple(self._attempts))
        self._steps.clear()
        self._attempts.clear()
        return records

    def _outcome(self, status: OutcomeStatus, at: datetime, ref: UUID) -> Outcome:
        assert self._run.event_id is not None  # noqa: S101 - only runs of events have outcomes
        return Outcome(
            event_id=self._run.event_id,
            work=self._work,
            status=status,
            works=self._detail.works,
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
            detail=replace(self._detail, failures={}).encode(),
            order_key=self._task.order_key,
            event_id=self._run.event_id,
            work=self._work,
            endpoint=event.endpoint if event else None,
            tenant=event.tenant if event else version.tenant,
            event_type=event.type if event else BY_HAND_TYPE,
            attempts=attempts,
            code=failed.code,
            error=failed.cause,
            failed_at=at,
            body=event.body if event else self._run.input or b"",
        )
