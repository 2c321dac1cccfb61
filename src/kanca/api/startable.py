"""What runs that people ask for start with: a version of a workflow, and data."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection

from kanca.api.services import Services
from kanca.errors import InvalidInput, WorkflowNotPublished
from kanca.storage import workflows
from kanca.workflows.runs import WorkflowVersion
from kanca.workflows.validation import read_workflow
from kanca.workflows.values import NotJson, write_json


def published(connection: Connection, services: Services, workflow_id: str) -> WorkflowVersion:
    """The published version of a workflow. Raises WorkflowNotFound, WorkflowNotPublished, InvalidWorkflow."""
    workflow, _ = workflows.version_of(connection, workflow_id)
    if workflow.published_version is None:
        raise WorkflowNotPublished(f"No version of workflow {workflow_id} is published.")
    return version_of(connection, services, workflow_id, workflow.published_version)


def version_of(
    connection: Connection, services: Services, workflow_id: str, number: int | None
) -> WorkflowVersion:
    """A version of a workflow, the newest for None. Raises WorkflowNotFound, InvalidWorkflow."""
    workflow, stored = workflows.version_of(connection, workflow_id, number)
    return WorkflowVersion(
        id=workflow_id,
        number=workflow.number,
        tenant=workflow.tenant,
        version=stored.version,
        workflow=read_workflow(json.loads(stored.definition), services.nodes),
    )


def stored_data(data: Any) -> bytes:
    """What was given as ``data``, as runs keep it. Raises InvalidInput for what is no JSON."""
    try:
        return write_json(data)
    except NotJson as error:
        raise InvalidInput(f"data: {error}") from None
