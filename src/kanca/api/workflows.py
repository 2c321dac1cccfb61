"""``/api/workflows``: graphs that events run through, each save a new version."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import Body, Query
from pydantic import WithJsonSchema
from sqlalchemy import Connection

from kanca.api.answers import Json, Message
from kanca.api.audit import About, Audited, Trail
from kanca.api.audited import A_RUN, WORKFLOW
from kanca.api.callers import CallerTenant
from kanca.api.fields import ChosenId, Cursor, Limit, Tenant, WorkflowIdPath
from kanca.api.openapi import refused_with
from kanca.api.ownership import OWN_WORKFLOW
from kanca.api.routing import resource
from kanca.api.run_models import Run, RunRequest, run_fields
from kanca.api.services import Given, Services
from kanca.api.startable import published, stored_data
from kanca.api.workflow_models import WorkflowPage, WorkflowView, WorkflowWithDefinition, workflow_fields
from kanca.api.workflow_schema import DEFINITION_SCHEMA
from kanca.domain.task import RunChange, TaskKind
from kanca.domain.workflow import Definition, Problem, show_definition
from kanca.errors import (
    InvalidInput,
    InvalidWorkflow,
    WorkflowExists,
    WorkflowInUse,
    WorkflowNotFound,
    WorkflowNotPublished,
)
from kanca.storage import endpoints, runs, schedules, workflow_history, workflows
from kanca.storage.workflows import Workflow
from kanca.workflows.credentials import check_credentials
from kanca.workflows.entry import contradiction
from kanca.workflows.runs import run_by_hand
from kanca.workflows.starting import schedules_in
from kanca.workflows.validation import read_workflow, refusal

router = resource("Workflows", "/api/workflows")

DefinitionBody = Annotated[dict[str, Any], WithJsonSchema(DEFINITION_SCHEMA), Body()]
ChangedBody = Annotated[dict[str, Any], WithJsonSchema(DEFINITION_SCHEMA | {"required": ["nodes"]}), Body()]
"""The address says the id."""
VersionQuery = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="By default the newest.")]


@router.post(
    "",
    summary="Create a workflow",
    operation_id="create_workflow",
    responses=refused_with(InvalidWorkflow, WorkflowExists),
)
async def create(
    services: Given,
    trail: Audited,
    definition: DefinitionBody,
    tenant: Annotated[ChosenId, Query(description="A label that groups what belongs together.")] = "default",
) -> WorkflowView:
    """Save a new workflow. Runs start once it is published; endpoints can be made for it at once.

    Everything that is wrong with a definition is in `problems`, with the node that it is about.
    """
    saved = read_workflow(definition, services.nodes).definition
    created = About[Workflow]("workflow.created", WORKFLOW, made=lambda workflow: workflow.id)
    workflow = await trail.write(created, create_workflow, saved, tenant, services.now())
    return WorkflowView(**workflow_fields(workflow))


@router.get("", summary="List workflows", operation_id="list_workflows")
async def list_all(
    services: Given, caller: CallerTenant, limit: Limit = 50, cursor: Cursor = None, tenant: Tenant = None
) -> WorkflowPage:
    """List workflows by id, without their definitions."""
    page = await services.database.read(workflows.page, limit, cursor, caller.tenant_of(tenant))
    items = [WorkflowView(**workflow_fields(workflow)) for workflow in page.items]
    return WorkflowPage(items=items, next_cursor=page.next_cursor)


@router.get(
    "/{workflow_id}",
    summary="Read a workflow",
    operation_id="get_workflow",
    dependencies=[OWN_WORKFLOW],
    response_model=WorkflowWithDefinition,
    responses=refused_with(WorkflowNotFound),
)
async def get(services: Given, workflow_id: WorkflowIdPath, version: VersionQuery = None) -> Json:
    """Read a workflow with its newest definition, or with that of another version."""
    workflow, stored = await services.database.read(workflows.version_of, workflow_id, version)
    return Json(
        WorkflowWithDefinition(
            **workflow_fields(workflow),
            definition=msgspec.Raw(stored.definition.encode()),
            definition_version=stored.version,
        )
    )


@router.put(
    "/{workflow_id}",
    summary="Save a new version of a workflow",
    operation_id="save_workflow",
    responses=refused_with(InvalidWorkflow, WorkflowNotFound),
)
async def save(
    services: Given, trail: Audited, workflow_id: WorkflowIdPath, definition: ChangedBody
) -> WorkflowView:
    """Save a new version. It takes effect when it is published; runs keep the version that they started with."""
    if definition.setdefault("id", workflow_id) != workflow_id:
        raise InvalidInput(f"The definition's id is not {workflow_id}, and an id cannot be changed.")
    saved = read_workflow(definition, services.nodes).definition
    about = About[Workflow]("workflow.saved", WORKFLOW, workflow_id)
    workflow = await trail.write(about, save_workflow, saved, services.now())
    return WorkflowView(**workflow_fields(workflow))


@router.post(
    "/{workflow_id}/publish",
    summary="Publish a workflow",
    operation_id="publish_workflow",
    dependencies=[OWN_WORKFLOW],
    responses=refused_with(InvalidWorkflow, WorkflowNotFound),
)
async def publish(
    services: Given, trail: Audited, workflow_id: WorkflowIdPath, version: VersionQuery = None
) -> WorkflowView:
    """Let new runs start, with the newest version or another one."""
    about = About("workflow.published", WORKFLOW, workflow_id, detail=published_version)
    workflow = await trail.write(about, publish_workflow, services, workflow_id, version)
    return WorkflowView(**workflow_fields(workflow))


@router.post(
    "/{workflow_id}/unpublish",
    summary="Unpublish a workflow",
    operation_id="unpublish_workflow",
    dependencies=[OWN_WORKFLOW],
    responses=refused_with(WorkflowNotFound),
)
async def unpublish(services: Given, trail: Audited, workflow_id: WorkflowIdPath) -> WorkflowView:
    """Let no new run start: its endpoints accept, and their events are skipped. Runs that began go on."""
    about = About[Workflow]("workflow.unpublished", WORKFLOW, workflow_id)
    workflow = await trail.write(about, workflows.unpublish, workflow_id, services.now())
    return WorkflowView(**workflow_fields(workflow))


@router.post(
    "/{workflow_id}/pause",
    summary="Pause a workflow",
    operation_id="pause_workflow",
    dependencies=[OWN_WORKFLOW],
    responses=refused_with(WorkflowNotFound),
)
async def pause(services: Given, trail: Audited, workflow_id: WorkflowIdPath) -> WorkflowView:
    """Hold the workflow's runs: none begins and none goes on until `resume`. Its events are accepted and stored."""
    workflow = await _set_paused(services, trail, workflow_id, is_paused=True)
    return WorkflowView(**workflow_fields(workflow))


@router.post(
    "/{workflow_id}/resume",
    summary="Resume a workflow",
    operation_id="resume_workflow",
    dependencies=[OWN_WORKFLOW],
    responses=refused_with(WorkflowNotFound),
)
async def resume(services: Given, trail: Audited, workflow_id: WorkflowIdPath) -> WorkflowView:
    """Let the runs go on, beginning with those that have waited."""
    workflow = await _set_paused(services, trail, workflow_id, is_paused=False)
    await services.database.queue.unpark(TaskKind.RUN, workflow.number)
    services.wake()
    return WorkflowView(**workflow_fields(workflow))


@router.delete(
    "/{workflow_id}",
    summary="Delete a workflow",
    operation_id="delete_workflow",
    dependencies=[OWN_WORKFLOW],
    responses=refused_with(WorkflowNotFound, WorkflowInUse),
)
async def delete(trail: Audited, workflow_id: WorkflowIdPath) -> Message:
    """Delete a workflow that no endpoint uses. Its runs stay."""
    deleted = About[None]("workflow.deleted", WORKFLOW, workflow_id)
    await trail.write(deleted, workflows.remove, workflow_id)
    return Message(message=f"Workflow {workflow_id} was deleted")


@router.post(
    "/{workflow_id}/runs",
    summary="Start a run by hand",
    operation_id="start_run",
    dependencies=[OWN_WORKFLOW],
    response_model=Run,
    responses=refused_with(InvalidInput, InvalidWorkflow, WorkflowNotFound, WorkflowNotPublished),
)
async def start_run(
    services: Given,
    trail: Audited,
    workflow_id: WorkflowIdPath,
    request: Annotated[RunRequest | None, Body()] = None,
) -> Json:
    """Start a run of the published version with data in the place of an event's."""
    started = About[RunChange]("run.started", A_RUN, made=lambda run: run.id)
    run = await trail.write(started, _start, services, workflow_id, request or RunRequest())
    services.wake()
    return Json(Run(**run_fields(run)))


def roll_back(connection: Connection, services: Services, workflow_id: str, version: int | None) -> Workflow:
    """Publish that version, or the one that was published before the present one.

    Raises WorkflowNotFound, InvalidWorkflow, and WorkflowNotPublished when there is none to go back to.
    """
    before, _ = workflows.version_of(connection, workflow_id)
    chosen = workflow_history.published_before(connection, before) if version is None else version
    if chosen is None:
        raise WorkflowNotPublished(f"No other version of workflow {workflow_id} was ever published.")
    return publish_workflow(connection, services, workflow_id, chosen)


def published_version(workflow: Workflow) -> dict[str, int | None]:
    """Which version it was that was published."""
    return {"version": workflow.published_version}


async def _set_paused(services: Services, trail: Trail, workflow_id: str, *, is_paused: bool) -> Workflow:
    about = About[Workflow]("workflow.paused" if is_paused else "workflow.resumed", WORKFLOW, workflow_id)
    return await trail.write(about, workflows.set_paused, workflow_id, services.now(), is_paused=is_paused)


def _as_json(definition: Definition) -> str:
    return json.dumps(show_definition(definition))


def _node_types(definition: Definition) -> set[str]:
    return {node.type for node in definition.nodes}


def create_workflow(connection: Connection, saved: Definition, tenant: str, now: datetime) -> Workflow:
    """Store a new workflow, unpublished. Raises WorkflowExists."""
    return workflows.create(
        connection, saved.id, tenant, saved.name, _as_json(saved), now, _node_types(saved)
    )


def save_workflow(connection: Connection, saved: Definition, now: datetime) -> Workflow:
    """Store a new version of a workflow, unpublished. Raises WorkflowNotFound."""
    return workflows.save(connection, saved.id, saved.name, _as_json(saved), now, _node_types(saved))


def publish_workflow(
    connection: Connection, services: Services, workflow_id: str, version: int | None = None
) -> Workflow:
    """Publish a version that can be run: a node type may have gone since it was saved, or a credential.

    Raises WorkflowNotFound, InvalidWorkflow.
    """
    _, stored = workflows.version_of(connection, workflow_id, version)
    ready = read_workflow(json.loads(stored.definition), services.nodes)
    check_credentials(connection, ready.definition)
    _check_entries(connection, ready.definition)
    published = workflows.publish(connection, workflow_id, services.now(), stored.version)
    new = schedules_in(ready, services.now())
    schedules.replace(connection, published.number, workflow_id, stored.version, new)
    return published


def _check_entries(connection: Connection, definition: Definition) -> None:
    """Raise InvalidWorkflow when events of an endpoint could not do what the endpoint says."""
    problems = [
        Problem(entry.node_id, "endpoint_contradicts", f"the endpoint {entry.webhook_id} is {why_not}")
        for entry in endpoints.entries(connection, definition.id)
        if (why_not := contradiction(definition, entry.node_id, entry.behavior)) is not None
    ]
    if problems:
        raise refusal(problems)


def _start(connection: Connection, services: Services, workflow_id: str, request: RunRequest) -> RunChange:
    version, data = published(connection, services, workflow_id), stored_data(request.data)
    now = services.now()
    run, task = run_by_hand(services.ids.new(), version, request.node_id, data, now)
    runs.start(connection, run, task, now)
    return run
