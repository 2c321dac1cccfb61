"""What would be in the database of a run, and what a test is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from kanca.domain.status import RunStatus, StepStatus
from kanca.domain.task import Attempt, Completion, Dead, Done, Retry, RunChange, Step, Task
from kanca.testing.events import RECEIVED_AT
from kanca.testing.http import FakeHttp
from kanca.workflows.runs import detail_of
from kanca.workflows.values import read_json

_STEP_STATUS: Mapping[StepStatus, Literal["succeeded", "skipped", "dead"]] = {
    StepStatus.SUCCEEDED: "succeeded",
    StepStatus.SKIPPED: "skipped",
    StepStatus.DEAD: "dead",
}


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a node ended."""

    node_id: str
    status: Literal["succeeded", "skipped", "dead"]
    port: str | None
    """The port it was left by; None when it was skipped or failed."""
    input: Any
    output: Any
    error: Mapping[str, Any] | None
    """Of a node that failed: ``code``, ``message``, …"""
    attempt_number: int
    """The attempt that it ended with; 1 is the first."""


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
class RunResult:
    """What a run came to."""

    status: Literal["succeeded", "failed"]
    output: Any
    error: Mapping[str, Any] | None
    """Of a run that failed: ``code``, ``message`` and the id of the ``node``."""
    steps: tuple[StepResult, ...]
    """In the order in which the nodes ended."""
    failed_attempts: tuple[FailedAttempt, ...]
    """In the order in which they failed."""
    http: FakeHttp
    """With all ``requests`` that were sent."""

    def step(self, node_id: str) -> StepResult:
        """How that node ended. Raises KeyError when the run did not come to it."""
        for step in self.steps:
            if step.node_id == node_id:
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
    is_over: bool = False

    async def record(self, completion: Completion) -> bool:
        """Keep what the engine says, and let the time pass until the next attempt."""
        records = completion.records
        for run in records.runs:
            self.run = run
        self.steps |= {step.id: step for step in records.steps}
        self.attempts += records.attempts
        if completion.becomes is not None:
            self.task.detail = completion.becomes.detail
            self._note_delays()
        disposition = completion.disposition
        if isinstance(disposition, Retry):
            self.now += disposition.delay
        self.is_over = isinstance(disposition, Done | Dead)
        return True

    def _note_delays(self) -> None:
        for node_id, failures in detail_of(self.task).failures.items():
            self.delays.setdefault((node_id, failures.count), failures.due_at - self.now)

    def result(self, http: FakeHttp) -> RunResult:
        """What came of it."""
        return RunResult(
            status="succeeded" if self.run.status is RunStatus.SUCCEEDED else "failed",
            output=_value(self.run.output),
            error=_value(self.run.error),
            steps=tuple(map(_step, self.steps.values())),
            failed_attempts=tuple(map(self._attempt, self.attempts)),
            http=http,
        )

    def _attempt(self, attempt: Attempt) -> FailedAttempt:
        error = read_json(attempt.error)
        delay = self.delays.get((error["node"], attempt.attempt_number))
        return FailedAttempt(error["node"], attempt.attempt_number, error, delay)


def _step(step: Step) -> StepResult:
    return StepResult(
        node_id=step.node_id,
        status=_STEP_STATUS[step.status],
        port=step.port,
        input=_value(step.input),
        output=_value(step.output),
        error=_value(step.error),
        attempt_number=step.attempt_number,
    )


def _value(stored: bytes | None) -> Any:
    return None if stored is None else read_json(stored)
