"""``/api/runs``: executions of workflows."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from kanca.api.answers import Json
from kanca.api.fields import ChosenId, Moment, RunIdPath, Text
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.api.workflow_documents import drawing, drawing_response
from kanca.api.workflow_models import Run, RunPage, RunWithSteps, run_fields, show_step
from kanca.domain.ids import RUN, show_id
from kanca.domain.status import RunStatus
from kanca.domain.task import RunChange, Step
from kanca.domain.workflow import Definition, read_definition
from kanca.errors import RunNotFound
from kanca.storage import runs, workflows
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
    since: Moment | None = Field(None, description="Begun at or after this moment.")
    until: Moment | None = Field(None, description="Begun before this moment.")
    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="The most items of a page.")
    cursor: Text | None = Field(None, max_length=200, description="`next_cursor` of the page before.")


@router.get("", summary="List runs", operation_id="list_runs", response_model=RunPage)
async def list_all(services: Given, search: Annotated[RunSearch, Query()]) -> Json:
    """List runs, the newest first, without their steps."""
    wanted = RunFilter(search.workflow_id, search.status, search.since, search.until)
    page = await services.database.read(runs.page, wanted, search.limit, search.cursor)
    return Json(RunPage(items=[Run(**run_fields(run)) for run in page.items], next_cursor=page.next_cursor))


@router.get(
    "/{run_id}",
    summary="Read a run",
    operation_id="get_run",
    response_model=RunWithSteps,
    responses=refused_with(RunNotFound),
)
async def get(services: Given, run_id: RunIdPath) -> Json:
    """Read one run with every step that has ended."""
    found = await services.database.read(_with_steps, run_id)
    if found is None:
        raise RunNotFound(f"There is no run {show_id(RUN, run_id)}, or not any more.")
    run, steps = found
    return Json(RunWithSteps(**run_fields(run), steps=[show_step(step) for step in steps]))


@router.get(
    "/{run_id}/mermaid",
    summary="Draw a run",
    operation_id="draw_run",
    response_class=Response,
    responses=refused_with(RunNotFound) | drawing_response(_MERMAID),
)
async def mermaid(services: Given, run_id: RunIdPath) -> Response:
    """Give the graph that the run goes through as a Mermaid flowchart, with what became of every node."""
    found = await services.database.read(_with_definition, run_id)
    if found is None:
        raise RunNotFound(f"There is no run {show_id(RUN, run_id)}, or not any more.")
    definition, run, steps = found
    return drawing(draw_run(definition, run, steps, waits=()))


def _with_definition(
    connection: Connection, run_id: RunIdPath
) -> tuple[Definition, RunChange, tuple[Step, ...]] | None:
    found = _with_steps(connection, run_id)
    version = found and workflows.definition_of(connection, found[0].workflow_id, found[0].version)
    return (read_definition(json.loads(version.definition)), *found) if found and version else None


def _with_steps(connection: Connection, run_id: RunIdPath) -> tuple[RunChange, tuple[Step, ...]] | None:
    run = runs.get(connection, run_id)
    return (run, runs.steps_of(connection, run_id)) if run else None
