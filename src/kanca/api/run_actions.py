"""``/api/runs/…/cancel``, ``retry`` and ``replay``: what people do with runs."""

from __future__ import annotations

import json
from typing import Annotated
from uuid import UUID

from fastapi import Body
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from kanca.api.answers import Json
from kanca.api.audit import About, Audited
from kanca.api.audited import A_RUN
from kanca.api.fields import RunIdPath
from kanca.api.openapi import refused_with
from kanca.api.ownership import OWN_RUN
from kanca.api.routing import resource
from kanca.api.run_models import Run, run_fields
from kanca.api.runs import find
from kanca.api.services import Given, Services
from kanca.api.startable import published
from kanca.domain.expunged import GONE
from kanca.domain.ids import RUN, show_id
from kanca.domain.status import UNFINISHED_RUNS, RunStatus, StepStatus
from kanca.domain.task import NewTask, RunChange, TaskKind
from kanca.errors import (
    EventNotFound,
    InvalidInput,
    InvalidWorkflow,
    PayloadExpunged,
    RunNotFailed,
    RunNotFound,
    RunOver,
    RunUnfinished,
    WorkflowNotFound,
    WorkflowNotPublished,
)
from kanca.storage import dead_letters, events, going_back, redelivering, runs, waits, workflows
from kanca.workflows.going_back import start_in, way_back
from kanca.workflows.runs import RunDetail, run_by_hand, run_of_event, start_of, work_of
from kanca.workflows.validation import Workflow, read_workflow

router = resource("Workflows", "/api/runs")

LOOK_EVERY_S = 0.1
CANCEL_LOOKS = 20
"""How often it is looked whether a run that is cancelled has ended."""


class RunRetry(BaseModel):
    """From where a run is done again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"from": "say"}]})

    node_id: str | None = Field(
        None,
        alias="from",
        max_length=64,
        description="The node; what can be reached from it is done again, too."
        " By default, what has failed is tried again.",
    )


@router.post(
    "/{run_id}/cancel",
    summary="Cancel a run",
    operation_id="cancel_run",
    dependencies=[OWN_RUN],
    response_model=Run,
    responses=refused_with(RunNotFound, RunOver),
)
async def cancel(services: Given, trail: Audited, run_id: RunIdPath) -> Json:
    """Have a run end, and the runs that it waits for; what it is doing is stopped, what it waits for is not taken.

    The answer waits up to 2 seconds for the end; a run that takes longer is answered with `cancel_requested_at`.
    """
    cancelled = About[None]("run.cancelled", A_RUN, run_id)
    await trail.write(cancelled, _request_cancel, services, run_id)
    services.wake()
    return Json(Run(**run_fields(await ended(services, run_id, CANCEL_LOOKS))))


@router.post(
    "/{run_id}/retry",
    summary="Retry a run",
    operation_id="retry_run",
    dependencies=[OWN_RUN],
    response_model=Run,
    responses=refused_with(
        InvalidInput, InvalidWorkflow, PayloadExpunged, RunNotFailed, RunNotFound, RunUnfinished
    ),
)
async def retry(
    services: Given,
    trail: Audited,
    run_id: RunIdPath,
    asked: Annotated[RunRetry | None, Body()] = None,
) -> Json:
    """Let a run go on that has ended: a failed one where it failed, or any one `from` a node, with what was stored.

    From a node in the body of a loop means from that loop. What is done again has new call ids, and waits anew. A run
    that waited for this one is not told again.
    """
    node_id = asked.node_id if asked else None
    retried = About[RunChange]("run.retried", A_RUN, run_id, detail=lambda _: {"node_id": node_id})
    run = await trail.write(retried, _retry, services, run_id, node_id)
    services.wake()
    return Json(Run(**run_fields(run)))


@router.post(
    "/{run_id}/replay",
    summary="Replay a run",
    operation_id="replay_run",
    dependencies=[OWN_RUN],
    response_model=Run,
    responses=refused_with(
        EventNotFound,
        InvalidInput,
        InvalidWorkflow,
        PayloadExpunged,
        RunNotFound,
        WorkflowNotFound,
        WorkflowNotPublished,
    ),
)
async def replay(services: Given, trail: Audited, run_id: RunIdPath) -> Json:
    """Start a new run of the published version with what started this one.

    Of a run's event a new event is made with the same bytes, which only this workflow gets. A run that another run
    started is refused: it is replayed with that one.
    """
    replayed = About[RunChange](
        "run.replayed", A_RUN, run_id, detail=lambda new: {"new_run_id": show_id(RUN, new.id)}
    )
    run = await trail.write(replayed, _replay, services, run_id)
    services.wake()
    return Json(Run(**run_fields(run)))


async def ended(services: Services, run_id: UUID, looks: int) -> RunChange:
    """The run once it has ended, or after so many looks as it is then. Raises RunNotFound."""
    while True:
        run = await services.database.read(find, run_id)
        looks -= 1
        if not looks or run.status not in UNFINISHED_RUNS:
            return run
        await services.pause(LOOK_EVERY_S)


def prepared(connection: Connection, services: Services, run: RunChange) -> Workflow:
    """The version that a run has. Raises InvalidWorkflow when it cannot be run any more."""
    stored = workflows.definition_of(connection, run.workflow_id, run.version)
    if stored is None:
        raise WorkflowNotFound(f"The workflow {run.workflow_id} was deleted.")
    return read_workflow(json.loads(stored.definition), services.nodes)


def _request_cancel(connection: Connection, services: Services, run_id: UUID) -> None:
    run = find(connection, run_id)
    if run.status not in UNFINISHED_RUNS:
        raise RunOver(f"The run {show_id(RUN, run_id)} has {run.status}.")
    waits.request_cancel(connection, run_id, services.now())


def _retry(connection: Connection, services: Services, run_id: UUID, node_id: str | None) -> RunChange:
    # Nobody expunges it meanwhile.
    redelivering.lock(connection)
    run = find(connection, run_id)
    if run.status in UNFINISHED_RUNS:
        raise RunUnfinished(f"The run {show_id(RUN, run_id)} is {run.status}: cancel it first.")
    if run.is_test:
        raise InvalidInput("A test is not done again: start another one.")
    _check_payload(run)
    letter = dead_letters.of_run(connection, run)
    if node_id is None and letter is not None:
        if not dead_letters.retry(connection, letter.id, services.now()):
            raise RunUnfinished(f"The run {show_id(RUN, run_id)} is being tried again.")
        return find(connection, run_id)
    workflow = prepared(connection, services, run)
    stored = runs.steps_of(connection, run_id)
    if node_id is None:
        # Its dead letter was deleted, or it never had one: another run was told that it failed.
        node_id = next((step.node_id for step in stored[::-1] if step.status is StepStatus.DEAD), None)
        if run.status is not RunStatus.FAILED or node_id is None:
            raise RunNotFailed(f"The run {show_id(RUN, run_id)} has {run.status}: say `from` which node.")
    back = way_back(workflow, stored, waits.of_runs(connection, [run_id]).get(run_id, ()), node_id)
    detail = RunDetail(
        start=start_in(workflow, stored),
        generation=back.generation,
        depth=going_back.depth_of(connection, run),
    )
    task = NewTask(TaskKind.RUN, run_id, _number_of(connection, run.workflow_id), detail.encode())
    work = work_of(run.workflow_id)
    if not going_back.go_back(connection, run, work, back.replaced, task, services.now()):
        raise RunUnfinished(f"The run {show_id(RUN, run_id)} is being done again.")
    return find(connection, run_id)


def _check_payload(run: RunChange) -> None:
    if run.input == GONE:
        raise PayloadExpunged("What the run was given was expunged: there is nothing to do it again with.")


def _number_of(connection: Connection, workflow_id: str) -> int:
    workflow = workflows.get(connection, workflow_id)
    if workflow is None:
        raise WorkflowNotFound(f"The workflow {workflow_id} was deleted.")
    return workflow.number


def _replay(connection: Connection, services: Services, run_id: UUID) -> RunChange:
    # Nobody expunges what started it meanwhile.
    redelivering.lock(connection)
    run, now = find(connection, run_id), services.now()
    if run.is_test:
        raise InvalidInput("A test is not replayed: start a run.")
    if run.parent_run_id is not None:
        # A copy of its input would be left when what started the other run is expunged: nothing leads to it from there.
        parent = show_id(RUN, run.parent_run_id)
        raise InvalidInput(f"The run {parent} started it: replay that one.", parent_run_id=parent)
    _check_payload(run)
    version = published(connection, services, run.workflow_id)
    workflow = version.ready()
    start = start_of(workflow, start_in(workflow, runs.steps_of(connection, run_id)))
    if run.event_id is None:
        new, task = run_by_hand(services.ids.new(), version, start, run.input or b"null", now)
        runs.start(connection, new, task, now)
        return new
    event = events.get(connection, run.event_id)
    if event is None:
        raise EventNotFound("The event of the run is not stored any more.")
    again = events.as_replay(events.with_payload(event), services.ids.new(), now)
    events.add(connection, again)
    stored = events.get(connection, again.id)
    assert stored is not None  # noqa: S101 - it was just added
    new, _ = run_of_event(stored, version, start, now)
    detail = RunDetail(start=start, works=1)
    runs.start(connection, new, NewTask(TaskKind.RUN, new.id, version.number, detail.encode()), now)
    return new
