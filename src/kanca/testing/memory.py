"""What would be in the database of a run, and what a test is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from kanca.domain.event import NewEvent
from kanca.domain.status import RunStatus
from kanca.domain.task import (
    Attempt,
    Completion,
    Dead,
    Disposition,
    Done,
    Retry,
    RunChange,
    Step,
    Task,
    Wait,
)
from kanca.domain.task import RunAnswer as StoredAnswer
from kanca.testing.events import RECEIVED_AT
from kanca.testing.http import FakeHttp
from kanca.testing.published import Published, as_published
from kanca.workflows.progress import At
from kanca.workflows.recording import text_of
from kanca.workflows.runs import detail_of
from kanca.workflows.values import read_json

_RUN_STATUS: Mapping[RunStatus, Literal["succeeded", "cancelled"]] = {
    RunStatus.SUCCEEDED: "succeeded",
    RunStatus.CANCELLED: "cancelled",
}


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a node ended."""

    node_id: str
    status: str
    """``succeeded``, ``skipped`` (its way was not taken), ``failed`` (and the run went on), ``cancelled``, ``dead``."""
    port: str | None
    """The port it was left by; None when it was skipped or failed."""
    input: Any
    output: Any
    error: Mapping[str, Any] | None
    """Of a node that failed: ``code``, ``message``, …"""
    attempt_number: int
    """The attempt that it ended with; 1 is the first."""
    iteration: int = 0
    """In the body of a loop, the number of the item, from 1."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt of a node that failed."""

    node_id: str
    attempt_number: int
    error: Mapping[str, Any]
    """``code``, ``message``, …"""
    retry_after: timedelta | None
    """How long a worker would have waited before the next one (without chance in it); None: it was the last one."""


@dataclass(frozen=True, slots=True)
class RunAnswer:
    """What the sender of the event would be answered, if it waited."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return read_json(self.body)


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to."""

    status: Literal["succeeded", "failed", "cancelled"]
    output: Any
    error: Mapping[str, Any] | None
    """Of a run that failed: ``code``, ``message`` and the id of the ``node``."""
    steps: tuple[StepResult, ...]
    """In the order in which the nodes ended."""
    failed_attempts: tuple[FailedAttempt, ...]
    """In the order in which they failed."""
    http: FakeHttp
    """With all ``requests`` that were sent."""
    published: tuple[Published, ...] = ()
    """What it published itself, by ``SendWebhook`` or by your own node types (not what runs published that it waited
    for)."""
    answer: RunAnswer | None = None
    """What it answered first. Only the run of an event has somebody to answer."""

    def step(self, node_id: str, iteration: int = 0) -> StepResult:
        """How that node ended (in the body of a loop: for that item, from 1).

        Raises KeyError when the run did not come to it.
        """
        for step in self.steps:
            if (step.node_id, step.iteration) == (node_id, iteration):
                return step
        raise KeyError(f"the run did not come to {node_id!r}, only to: {', '.join(self.path)}")

    @property
    def path(self) -> list[str]:
        """The ids of the nodes that ran, in the order in which they ended."""
        return [step.node_id for step in self.steps if step.status != "skipped"]


@dataclass(slots=True)
class Memory:
    """Keeps what the engine says."""

    task: Task
    run: RunChange
    now: datetime = RECEIVED_AT
    steps: dict[UUID, Step] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    delays: dict[tuple[str, int], timedelta] = field(default_factory=dict)
    """What followed an attempt of a node."""
    published: list[NewEvent] = field(default_factory=list)
    answers: list[StoredAnswer] = field(default_factory=list)
    is_over: bool = False

    async def record(self, completion: Completion) -> bool:
        """Keep what the engine says, and let the time pass until the next attempt."""
        records = completion.records
        for run in records.runs:
            self.run = run
        self.steps |= {step.id: step for step in records.steps}
        self.attempts += records.attempts
        self.published += records.events
        self.answers += records.answers
        if completion.becomes is not None:
            self.task.detail = completion.becomes.detail
            self._note_delays()
        disposition = completion.disposition
        if isinstance(disposition, Retry):
            self.now += disposition.delay
        self.is_over = isinstance(disposition, Done | Dead)
        return True

    def sleep(self, disposition: Disposition) -> None:
        """Nothing has come: let the time pass until something is due."""
        if isinstance(disposition, Wait):
            self.now += disposition.delay

    def _note_delays(self) -> None:
        for node_id, failures in detail_of(self.task).failures.items():
            self.delays.setdefault((node_id, failures.count), failures.due_at - self.now)

    def result(self, http: FakeHttp) -> RunResult:
        """What came of it."""
        return RunResult(
            status=_RUN_STATUS.get(self.run.status, "failed"),
            output=_value(self.run.output),
            error=_value(self.run.error),
            steps=tuple(map(_step, self.steps.values())),
            failed_attempts=tuple(map(self._attempt, self.attempts)),
            http=http,
            published=tuple(map(as_published, self.published)),
            answer=_answer(self.answers[0]) if self.answers else None,
        )

    def _attempt(self, attempt: Attempt) -> FailedAttempt:
        error = read_json(attempt.error)
        step = self.steps.get(attempt.call_id)
        at = At(error["node"], step.iteration if step else 0)
        delay = self.delays.get((text_of(at), attempt.attempt_number))
        return FailedAttempt(error["node"], attempt.attempt_number, error, delay)


def _step(step: Step) -> StepResult:
    return StepResult(
        node_id=step.node_id,
        status=step.status.value,
        port=step.port,
        input=_value(step.input),
        output=_value(step.output),
        error=_value(step.error),
        attempt_number=step.attempt_number,
        iteration=step.iteration,
    )


def _answer(answer: StoredAnswer) -> RunAnswer:
    return RunAnswer(answer.status, read_json(answer.headers), answer.body)


def _value(stored: bytes | None) -> Any:
    return None if stored is None else read_json(stored)
