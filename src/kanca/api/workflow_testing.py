"""``/api/workflows/…/test``: runs without effects."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Body
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from kanca.api.answers import Json
from kanca.api.audit import About, Audited
from kanca.api.audited import A_RUN
from kanca.api.fields import EventId, WorkflowIdPath
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.run_actions import ended
from kanca.api.run_models import RunWithSteps
from kanca.api.runs import picture
from kanca.api.services import Given, Services
from kanca.api.startable import stored_data, version_of
from kanca.domain.ids import derived_id
from kanca.errors import EventNotFound, InvalidInput, InvalidWorkflow, PayloadExpunged, WorkflowNotFound
from kanca.storage import events, runs
from kanca.workflows.runs import TestPlan, run_of_test

router = resource("Workflows", "/api/workflows")

LOOKS = 100
"""How often it is looked whether a test has ended."""


class TestRequest(BaseModel):
    """What a workflow is tested with."""

    __test__ = False
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"data": {"total": 40}, "outputs": {"tell-sales": {"status": 200, "headers": {}}}}]
        },
    )

    data: Any = Field(None, description="What the run has in the place of an event's data; by default `{}`.")
    event_id: EventId | None = Field(
        None, description="A stored event that the run sees instead; nothing becomes of it."
    )
    node_id: str | None = Field(
        None,
        max_length=64,
        description="The trigger at which it starts; may be left out when there is only one.",
    )
    version: int | None = Field(
        None, strict=True, ge=1, le=2**31 - 1, description="By default the newest, published or not."
    )
    outputs: dict[str, Any] = Field(
        default_factory=dict,
        description='What nodes are left with instead of being run, by id: an output, or `{"port", "output"}`.',
    )
    live: list[str] = Field(
        default_factory=list, max_length=1000, description="Nodes that are run all the same, effects and all."
    )


@router.post(
    "/{workflow_id}/test",
    summary="Test a workflow",
    operation_id="test_workflow",
    response_model=RunWithSteps,
    responses=refused_with(EventNotFound, InvalidInput, InvalidWorkflow, PayloadExpunged, WorkflowNotFound),
)
async def try_out(
    services: Given,
    trail: Audited,
    workflow_id: WorkflowIdPath,
    asked: Annotated[TestRequest | None, Body()] = None,
) -> Json:
    """Run any version without effects, and show what became of it.

    Nodes with effects, and those that wait, are not run: they have the output that is given for them, or else the
    sample of their type. The answer waits up to 10 seconds for the end of the run.
    """
    tested = About[UUID]("workflow.tested", A_RUN, made=lambda run_id: run_id)
    run_id = await trail.write(tested, _start, services, workflow_id, asked or TestRequest())
    services.wake()
    await ended(services, run_id, LOOKS)
    return Json(await services.database.read(picture, run_id))


def _start(connection: Connection, services: Services, workflow_id: str, asked: TestRequest) -> UUID:
    version, now = version_of(connection, services, workflow_id, asked.version), services.now()
    run_id, data = services.ids.new(), None
    if asked.event_id is None:
        data = _data(asked)
    elif "data" in asked.model_fields_set:
        raise InvalidInput("Give either data or an event_id.")
    elif (event := events.get(connection, asked.event_id)) is None:
        raise EventNotFound("There is no such event, or not any more.")
    else:
        events.with_payload(event)
        # As every run of an event it has its time in front, and each test is another one.
        run_id = derived_id(asked.event_id, "test", run_id.hex)
    plan = TestPlan(asked.outputs, tuple(asked.live))
    run, task = run_of_test(run_id, version, asked.node_id, data, asked.event_id, plan, now)
    runs.start(connection, run, task, now)
    return run_id


def _data(asked: TestRequest) -> bytes:
    stored_data(asked.outputs)
    return stored_data(asked.data if "data" in asked.model_fields_set else {})
