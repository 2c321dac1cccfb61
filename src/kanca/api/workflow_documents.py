"""Workflows as documents: to be kept elsewhere, to be checked before they are saved, to be looked at."""

from __future__ import annotations

import asyncio
import json
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from fastapi import Query, Response
from pydantic import BaseModel, ConfigDict, Field

from kanca.api.answers import Json
from kanca.api.callers import THE_SAME_FOR_ALL
from kanca.api.fields import WorkflowIdPath
from kanca.api.openapi import refused_with
from kanca.api.ownership import OWN_WORKFLOW
from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.api.workflow_schema import DEFINITION
from kanca.api.workflows import DefinitionBody, VersionQuery
from kanca.bodies.yaml import write_yaml
from kanca.domain.workflow import read_definition, show_definition
from kanca.errors import InvalidWorkflow, WorkflowNotFound
from kanca.storage import workflows
from kanca.workflows.drawing import draw_workflow
from kanca.workflows.validation import read_workflow

router = resource("Workflows", "/api/workflows")

_MERMAID = 'flowchart TD\n    n0(["in<br/>WebhookTrigger"])\n    n1["say<br/>Log"]\n    n0 --> n1\n'
_NEVER_A_PAGE = {"X-Content-Type-Options": "nosniff"}


class ExportFormat(StrEnum):
    """How a definition is written."""

    JSON = "json"
    YAML = "yaml"


class Checked(BaseModel):
    """A definition that can be saved."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"definition": DEFINITION}]})

    definition: Any = Field(description="As it would be saved.")


def drawing_response(example: str) -> dict[int | str, dict[str, Any]]:
    """What the document says of an answer that is a drawing."""
    return {200: {"description": "A Mermaid flowchart.", "content": {"text/plain": {"example": example}}}}


def drawing(text: str) -> Response:
    """A drawing as an answer."""
    return Response(text, media_type="text/plain", headers=_NEVER_A_PAGE)


@router.post(
    "/validate",
    summary="Check a definition",
    operation_id="validate_workflow",
    dependencies=[THE_SAME_FOR_ALL],
    response_model=Checked,
    responses=refused_with(InvalidWorkflow),
)
async def validate(services: Given, definition: DefinitionBody) -> Json:
    """Refuse what saving it would refuse, and show what saving it would store; nothing is changed."""
    saved = read_workflow(definition, services.nodes).definition
    return Json(Checked(definition=msgspec.Raw(json.dumps(show_definition(saved)).encode())))


@router.get(
    "/{workflow_id}/export",
    summary="Export a workflow",
    operation_id="export_workflow",
    dependencies=[OWN_WORKFLOW],
    response_class=Response,
    responses=refused_with(WorkflowNotFound)
    | {
        200: {
            "description": "The definition.",
            "content": {
                "application/json": {"example": DEFINITION},
                "application/yaml": {"example": write_yaml(DEFINITION)},
            },
        }
    },
)
async def export(
    services: Given,
    workflow_id: WorkflowIdPath,
    format: Annotated[ExportFormat, Query(description="How it is written.")] = ExportFormat.JSON,
    version: VersionQuery = None,
) -> Response:
    """Give a version's definition and nothing else, as a file that can be saved again."""
    _, stored = await services.database.read(workflows.version_of, workflow_id, version)
    definition = json.loads(stored.definition)
    if format is ExportFormat.YAML:
        # A large one takes seconds, in which others are served.
        text = await asyncio.to_thread(write_yaml, definition)
    else:
        text = json.dumps(definition, indent=2, ensure_ascii=False) + "\n"
    name = f'attachment; filename="{workflow_id}.{format}"'
    return Response(
        text, media_type=f"application/{format}", headers=_NEVER_A_PAGE | {"Content-Disposition": name}
    )


@router.get(
    "/{workflow_id}/mermaid",
    summary="Draw a workflow",
    operation_id="draw_workflow",
    dependencies=[OWN_WORKFLOW],
    response_class=Response,
    responses=refused_with(WorkflowNotFound) | drawing_response(_MERMAID),
)
async def mermaid(services: Given, workflow_id: WorkflowIdPath, version: VersionQuery = None) -> Response:
    """Give a version's graph as a Mermaid flowchart."""
    _, stored = await services.database.read(workflows.version_of, workflow_id, version)
    return drawing(draw_workflow(read_definition(json.loads(stored.definition))))
