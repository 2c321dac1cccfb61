"""The versions of a workflow: which there are, how they differ, and the way back."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import Body, Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from sqlalchemy import Connection

from kanca.api.answers import Json
from kanca.api.audit import About, Audited
from kanca.api.audited import WORKFLOW
from kanca.api.fields import Cursor, Limit, WorkflowIdPath
from kanca.api.openapi import refused_with
from kanca.api.ownership import OWN_WORKFLOW
from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.api.workflow_models import WorkflowView, workflow_fields
from kanca.api.workflows import published_version, roll_back
from kanca.domain.workflow import Definition, read_definition
from kanca.errors import InvalidInput, InvalidWorkflow, WorkflowNotFound, WorkflowNotPublished
from kanca.storage import workflow_history, workflows
from kanca.storage.workflow_history import VersionEntry
from kanca.workflows.difference import difference, show_difference

router = resource("Workflows", "/api/workflows")

_ENTRY: dict[str, JsonValue] = {
    "version": 2,
    "created_at": "2026-03-01T13:00:00Z",
    "published_at": None,
    "is_published": False,
    "is_draft": True,
    "node_count": 3,
}
_DIFFERENCE: dict[str, JsonValue] = {
    "from_version": 1,
    "to_version": 2,
    "is_empty": False,
    "changes": [{"path": "/name", "old": "Greet", "new": "Greet everybody"}],
    "nodes": {
        "added": [{"id": "more", "type": "Log", "config": {"message": "=event.id"}}],
        "removed": [],
        "changed": [
            {
                "id": "say",
                "changes": [{"path": "/config/message", "old": "=event.type", "new": "=event.data.name"}],
            }
        ],
    },
    "edges": {"added": [{"from": "say", "to": "more", "port": "out"}], "removed": []},
}


class Version(BaseModel):
    """A version, without its definition."""

    version: int
    created_at: datetime
    published_at: datetime | None = Field(description="For the last time.")
    is_published: bool = Field(description="New runs start with it.")
    is_draft: bool = Field(description="It is the newest, and not the published one.")
    node_count: int


class VersionPage(BaseModel):
    """Some versions, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_ENTRY], "next_cursor": None}]})

    items: list[Version]
    next_cursor: str | None


class NodeDifference(BaseModel):
    """The nodes that are different."""

    added: list[dict[str, Any]]
    removed: list[dict[str, Any]]
    changed: list[dict[str, Any]] = Field(
        description="`{id, changes}`; a change is `{path, old?, new?}` with a JSON Pointer from the node."
    )


class EdgeDifference(BaseModel):
    """The edges that are different."""

    added: list[dict[str, Any]]
    removed: list[dict[str, Any]]


class VersionDifference(BaseModel):
    """What makes one version another. The order in which nodes and edges are written makes no difference."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DIFFERENCE]})

    from_version: int
    to_version: int
    is_empty: bool
    changes: list[dict[str, Any]] = Field(description="Of the name, the description and the settings.")
    nodes: NodeDifference
    edges: EdgeDifference


class Rollback(BaseModel):
    """Which version to go back to."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"version": 1}]})

    version: int | None = Field(
        None,
        strict=True,
        ge=1,
        le=2**31 - 1,
        description="By default the one that was published before the present one.",
    )


FromQuery = Annotated[
    int | None, Query(alias="from", ge=1, le=2**31 - 1, description="By default the published one.")
]
ToQuery = Annotated[int | None, Query(alias="to", ge=1, le=2**31 - 1, description="By default the newest.")]


@router.get(
    "/{workflow_id}/versions",
    summary="List the versions of a workflow",
    operation_id="list_workflow_versions",
    dependencies=[OWN_WORKFLOW],
    responses=refused_with(InvalidInput, WorkflowNotFound),
)
async def list_versions(
    services: Given, workflow_id: WorkflowIdPath, limit: Limit = 50, cursor: Cursor = None
) -> VersionPage:
    """List the versions, the newest first. One that is newer than the published one is a draft."""
    return await services.database.read(_versions, workflow_id, limit, cursor)


@router.get(
    "/{workflow_id}/diff",
    summary="Compare two versions of a workflow",
    operation_id="compare_workflow_versions",
    dependencies=[OWN_WORKFLOW],
    response_model=VersionDifference,
    responses=refused_with(WorkflowNotFound, WorkflowNotPublished),
)
async def diff(
    services: Given, workflow_id: WorkflowIdPath, old: FromQuery = None, new: ToQuery = None
) -> Json:
    """Say what makes one version another: by default, what publishing the newest would change."""
    found = await services.database.read(_compared, workflow_id, old, new)
    return Json(found)


@router.post(
    "/{workflow_id}/rollback",
    summary="Go back to an older version of a workflow",
    operation_id="roll_back_workflow",
    dependencies=[OWN_WORKFLOW],
    responses=refused_with(InvalidWorkflow, WorkflowNotFound, WorkflowNotPublished),
)
async def rollback(
    services: Given,
    trail: Audited,
    workflow_id: WorkflowIdPath,
    asked: Annotated[Rollback | None, Body()] = None,
) -> WorkflowView:
    """Publish an older version again. Runs that began keep the version that they started with."""
    wanted = asked.version if asked else None
    about = About("workflow.rolled_back", WORKFLOW, workflow_id, detail=published_version)
    workflow = await trail.write(about, roll_back, services, workflow_id, wanted)
    return WorkflowView(**workflow_fields(workflow))


class _Counted(msgspec.Struct):
    """As much of a stored definition as it takes to count its nodes."""

    nodes: list[msgspec.Raw]


_count = msgspec.json.Decoder(_Counted)


def _versions(connection: Connection, workflow_id: str, limit: int, cursor: str | None) -> VersionPage:
    workflow, _ = workflows.version_of(connection, workflow_id)
    page = workflow_history.history(connection, workflow_id, limit, cursor)

    def shown(entry: VersionEntry) -> Version:
        # One definition after the other: together they may be large.
        stored = workflows.definition_of(connection, workflow_id, entry.version)
        is_published = entry.version == workflow.published_version
        return Version(
            **entry._asdict(),
            is_published=is_published,
            is_draft=entry.version == workflow.version and not is_published,
            node_count=len(_count.decode(stored.definition).nodes) if stored else 0,
        )

    return VersionPage(items=[shown(entry) for entry in page.items], next_cursor=page.next_cursor)


def _compared(
    connection: Connection, workflow_id: str, old: int | None, new: int | None
) -> VersionDifference:
    workflow, newer = workflows.version_of(connection, workflow_id, new)
    from_version = workflow.published_version if old is None else old
    if from_version is None:
        raise WorkflowNotPublished(
            f"No version of workflow {workflow_id} is published: say `from` which one to compare."
        )
    _, older = workflows.version_of(connection, workflow_id, from_version)
    found = difference(_definition(older.definition), _definition(newer.definition))
    return VersionDifference(
        from_version=older.version,
        to_version=newer.version,
        is_empty=found.is_empty,
        **show_difference(found),
    )


def _definition(stored: str) -> Definition:
    return read_definition(json.loads(stored))
