"""``/api/runs``: executions of workflows."""

from __future__ import annotations

import json
from typing import Annotated
from uuid import UUID

from fastapi import Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from kanca.api.answers import Json
from kanca.api.callers import CallerTenant
from kanca.api.fields import ChosenId, EventId, Moment, RunIdPath, Text
from kanca.api.openapi import refused_with
from kanca.api.ownership import OWN_RUN
from kanca.api.routing import resource
from kanca.api.run_models import Run, RunPage, RunWithSteps, run_fields, run_picture
from kanca.api.services import Given
from kanca.api.workflow_documents import drawing, drawing_response
from kanca.domain.ids import RUN, show_id
from kanca.domain.status import RunStatus
from kanca.domain.task import RunChange, Step
from kanca.domain.wait import Wait
from kanca.domain.workflow import Definition, read_definition
from kanca.errors import RunNotFound
from kanca.storage import runs, waits, workflows
from kanca.storage.pages import MAX_LIMIT
from kanca.storage.runs import RunFilter
from kanca.workflows.drawing import draw_run

router = resource("Workflows", "/api/runs")

_MERMAID = """flowchart TD
    n0(["in<br/>WebhookTrigger<br/>succeeded<br/>2026-03-01 12:00:00Z, 0.001 s"])
    classDef succeeded fill:#d5efd8,stroke:#23803a,color:#031
    class n0 succeeded
"""


class RunSearch(BaseModel):
    """Which runs, and which page of them."""

    model_config = ConfigDict(extra="forbid")

    workflow_id: ChosenId | None = Field(None, description="Only those of this workflow.")
    status: RunStatus | None = Field(None, description="Only those with this status.")
    event_id: EventId | None = Field(None, description="Only those that this event started.")
    is_test: bool = Field(False, description="Only tests; they are left out otherwise.")
    waiting_for: Text | None = Field(
        None, min_length=1, max_length=512, description="Only those that wait now for an event with this key."
    )
    since: Moment | None = Field(None, description="Begun at or after this moment.")
    until: Moment | None = Field(None, description="Begun before this moment.")
    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="The most items of a page.")
    cursor: Text | None = Field(None, max_length=200, description="`next_cursor` of the page before.")


@router.get("", summary="List runs", operation_id="list_runs", response_model=RunPage)
async def list_all(services: Given, caller: CallerTenant, search: Annotated[RunSearch, Query()]) -> Json:
    """List runs, the newest first, without their steps."""
    wanted = RunFilter(**search.model_dump(exclude={"limit", "cursor"}), tenant=caller.tenant)
    page = await services.database.read(runs.page, wanted, search.limit, search.cursor)
    return Json(RunPage(items=[Run(**run_fields(run)) for run in page.items], next_cursor=page.next_cursor))


@router.get(
    "/{run_id}",
    summary="Read a run",
    operation_id="get_run",
    dependencies=[OWN_RUN],
    response_model=RunWithSteps,
    responses=refused_with(RunNotFound),
)
async def get(services: Given, run_id: RunIdPath) -> Json:
    """Read one run with every step that has ended, its failed attempts, and all that the run has waited for."""
    return Json(await services.database.read(picture, run_id))


@router.get(
    "/{run_id}/mermaid",
    summary="Draw a run",
    operation_id="draw_run",
    dependencies=[OWN_RUN],
    response_class=Response,
    responses=refused_with(RunNotFound) | drawing_response(_MERMAID),
)
async def mermaid(services: Given, run_id: RunIdPath) -> Response:
    """Give the graph that the run goes through as a Mermaid flowchart, with what became of every node."""
    found = await services.database.read(_with_definition, run_id)
    if found is None:
        raise _missing(run_id)
    definition, run, steps, opened = found
    return drawing(draw_run(definition, run, steps, opened))


def picture(connection: Connection, run_id: UUID) -> RunWithSteps:
    """A run with all that is stored of it. Raises RunNotFound."""
    run = find(connection, run_id)
    steps = runs.steps_of(connection, run_id)
    attempts = runs.attempts_of(connection, run_id, [step.id for step in steps])
    return run_picture(run, steps, attempts, waits.of_runs(connection, [run_id]).get(run_id, ()))


def find(connection: Connection, run_id: UUID) -> RunChange:
    """The run with that id. Raises RunNotFound."""
    run = runs.get(connection, run_id)
    if run is None:
        raise _missing(run_id)
    return run


def _with_definition(
    connection: Connection, run_id: UUID
) -> tuple[Definition, RunChange, tuple[Step, ...], list[Wait]] | None:
    run = find(connection, run_id)
    version = workflows.definition_of(connection, run.workflow_id, run.version)
    if version is None:
        return None
    opened = waits.of_runs(connection, [run_id]).get(run_id, [])
    definition = read_definition(json.loads(version.definition))
    return definition, run, runs.steps_of(connection, run_id), opened


def _missing(run_id: UUID) -> RunNotFound:
    return RunNotFound(f"There is no run {show_id(RUN, run_id)}, or not any more.")
