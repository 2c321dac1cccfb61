"""Workflows as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from kanca.api.workflow_schema import DEFINITION
from kanca.storage.workflows import Workflow

_WORKFLOW: dict[str, JsonValue] = {
    "id": "test-123",
    "name": "Greet",
    "tenant": "default",
    "version": 2,
    "published_version": 1,
    "is_published": True,
    "has_draft": True,
    "is_paused": False,
    "created_at": "2026-03-01T12:00:00Z",
    "updated_at": "2026-03-01T13:00:00Z",
}


class WorkflowView(BaseModel):
    """A workflow."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WORKFLOW]})

    id: str
    name: str
    tenant: str
    version: int = Field(description="The newest.")
    published_version: int | None = Field(description="The one that new runs start with.")
    is_published: bool
    has_draft: bool = Field(description="The newest version is not the published one.")
    is_paused: bool = Field(description="Paused: events are accepted, and runs wait until it is resumed.")
    created_at: datetime
    updated_at: datetime


class WorkflowWithDefinition(WorkflowView):
    """A workflow with a version of its definition."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [_WORKFLOW | {"definition": DEFINITION, "definition_version": 2}]}
    )

    definition: Any
    definition_version: int


class WorkflowPage(BaseModel):
    """Some workflows, by id."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_WORKFLOW], "next_cursor": None}]})

    items: list[WorkflowView]
    next_cursor: str | None


def workflow_fields(workflow: Workflow) -> dict[str, Any]:
    """The members of a workflow."""
    return {
        "id": workflow.id,
        "name": workflow.name,
        "tenant": workflow.tenant,
        "version": workflow.version,
        "published_version": workflow.published_version,
        "is_published": workflow.published_version is not None,
        "has_draft": workflow.has_draft,
        "is_paused": workflow.is_paused,
        "created_at": workflow.created_at,
        "updated_at": workflow.updated_at,
    }
