"""Runs as JSON: their steps, and what they waited for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from kanca.api.answers import stored_json
from kanca.domain.ids import EVENT, RUN, STEP, WAIT, show_id
from kanca.domain.status import RunOrigin, RunStatus, StepStatus, WaitStatus
from kanca.domain.task import Attempt, RunChange, Step
from kanca.domain.wait import Wait

_RUN: dict[str, JsonValue] = {
    "id": "run_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "workflow_id": "test-123",
    "version": 1,
    "event_id": "evt_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "status": "succeeded",
    "input": None,
    "output": {"message": "hello"},
    "error": None,
    "started_at": "2026-03-01T12:00:00.127612Z",
    "finished_at": "2026-03-01T12:00:00.140012Z",
    "origin": "event",
    "parent_run_id": None,
    "is_test": False,
    "cancel_requested_at": None,
}
_STEP: dict[str, JsonValue] = {
    "id": "stp_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "node_id": "say",
    "iteration": 0,
    "status": "succeeded",
    "port": "out",
    "input": {"message": "hello"},
    "output": {"message": "hello"},
    "error": None,
    "attempt_number": 1,
    "started_at": "2026-03-01T12:00:00.128001Z",
    "finished_at": "2026-03-01T12:00:00.139800Z",
    "attempts": [],
}
_WAIT: dict[str, JsonValue] = {
    "id": "wait_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "node_id": "paid",
    "iteration": 0,
    "status": "claimed",
    "key": "A-1",
    "opened_at": "2026-03-01T12:00:00.130100Z",
    "due_at": "2026-03-02T12:00:00.130100Z",
    "ended_at": "2026-03-01T12:00:00.137400Z",
    "event_id": "evt_019503f0a1c27d3e8f00b4a6c8d2e1f1",
    "child_run_id": None,
}


class RunRequest(BaseModel):
    """How to start a run."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"data": {"message": "hello"}}]}
    )

    data: Any = Field(default_factory=dict, description="What the run has in the place of an event's data.")
    node_id: str | None = Field(
        None,
        max_length=64,
        description="The trigger at which it starts; may be left out when there is only one.",
    )


class Run(BaseModel):
    """One execution of a workflow."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RUN]})

    id: str
    workflow_id: str
    version: int = Field(description="The version that it started with, and keeps.")
    event_id: str | None = Field(description="The event that started it; null when a person did.")
    status: RunStatus
    input: Any = Field(description="The data of a run that a person started.")
    output: Any
    error: Any
    started_at: datetime
    finished_at: datetime | None
    origin: RunOrigin = Field(description="What started it.")
    parent_run_id: str | None = Field(description="The run that started it, and waits for it.")
    is_test: bool = Field(description="A test: it has no effects.")
    cancel_requested_at: datetime | None = Field(description="Somebody wants it to end.")


class StepAttempt(BaseModel):
    """One failed attempt of a node."""

    attempt_number: int
    started_at: datetime
    finished_at: datetime
    code: str
    error: Any


class RunStep(BaseModel):
    """One execution of a node."""

    id: str
    node_id: str
    iteration: int
    status: StepStatus
    port: str | None = Field(description="The way by which the node was left.")
    input: Any
    output: Any
    error: Any
    attempt_number: int
    started_at: datetime
    finished_at: datetime
    attempts: list[StepAttempt] = Field(description="Those that failed.")


class RunWait(BaseModel):
    """Something that a run waits for, or has waited for."""

    id: str
    node_id: str
    iteration: int
    status: WaitStatus
    key: str | None = Field(
        description="What an event has to say to be the one; null where another thing tells."
    )
    opened_at: datetime
    due_at: datetime = Field(description="When it times out.")
    ended_at: datetime | None
    event_id: str | None = Field(description="The event that came.")
    child_run_id: str | None = Field(description="The run that is waited for.")


class RunWithSteps(Run):
    """One run, with every step that has ended, and all that it has waited for."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RUN | {"steps": [_STEP], "waits": [_WAIT]}]})

    steps: list[RunStep]
    waits: list[RunWait]


class RunPage(BaseModel):
    """Some runs, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_RUN], "next_cursor": None}]})

    items: list[Run]
    next_cursor: str | None = Field(description="null only at the end: a page may be short, and have one.")


def run_fields(run: RunChange) -> dict[str, Any]:
    """The members of a run."""
    return {
        "id": show_id(RUN, run.id),
        "workflow_id": run.workflow_id,
        "version": run.version,
        "event_id": show_id(EVENT, run.event_id) if run.event_id else None,
        "status": run.status,
        "input": stored_json(run.input),
        "output": stored_json(run.output),
        "error": stored_json(run.error),
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "origin": run.origin,
        "parent_run_id": show_id(RUN, run.parent_run_id) if run.parent_run_id else None,
        "is_test": run.is_test,
        "cancel_requested_at": run.cancel_requested_at,
    }


def run_picture(
    run: RunChange, steps: Iterable[Step], attempts: Mapping[UUID, Sequence[Attempt]], waits: Iterable[Wait]
) -> RunWithSteps:
    """A run with all that is stored of it."""
    return RunWithSteps(
        **run_fields(run),
        steps=[_step(step, attempts.get(step.id, ())) for step in steps],
        waits=[_wait(wait) for wait in waits],
    )


def _step(step: Step, attempts: Sequence[Attempt]) -> RunStep:
    return RunStep(
        id=show_id(STEP, step.id),
        node_id=step.node_id,
        iteration=step.iteration,
        status=step.status,
        port=step.port,
        input=stored_json(step.input),
        output=stored_json(step.output),
        error=stored_json(step.error),
        attempt_number=step.attempt_number,
        started_at=step.started_at,
        finished_at=step.finished_at,
        attempts=[_attempt(attempt) for attempt in attempts],
    )


def _attempt(attempt: Attempt) -> StepAttempt:
    return StepAttempt(
        attempt_number=attempt.attempt_number,
        started_at=attempt.started_at,
        finished_at=attempt.finished_at,
        code=attempt.code,
        error=stored_json(attempt.error),
    )


def _wait(wait: Wait) -> RunWait:
    return RunWait(
        id=show_id(WAIT, wait.id),
        node_id=wait.node_id,
        iteration=wait.iteration,
        status=wait.status,
        # Rules of our own have keys that mean nothing to others.
        key=None if not wait.rule or wait.rule.startswith("@") else wait.key,
        opened_at=wait.opened_at,
        due_at=wait.due_at,
        ended_at=wait.ended_at,
        event_id=show_id(EVENT, wait.event_id) if wait.event_id else None,
        child_run_id=show_id(RUN, wait.child_run_id) if wait.child_run_id else None,
    )
