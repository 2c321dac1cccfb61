"""``/api/runs/…/waits/…``: what people do for runs that wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import Body, Path, Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from sqlalchemy import Connection

from kanca.api.audit import About, Audited
from kanca.api.audited import A_RUN
from kanca.api.callers import DEFAULT_TENANT, CallerTenant
from kanca.api.fields import EventId, RunIdPath, Text
from kanca.api.openapi import refused_with
from kanca.api.ownership import OWN_RUN, check_event
from kanca.api.routing import resource
from kanca.api.runs import find
from kanca.api.services import Given, Services
from kanca.api.startable import stored_data
from kanca.domain.endpoint import RESUME_ENDPOINT
from kanca.domain.event import Duplicate, NewEvent
from kanca.domain.ids import EVENT, RUN, show_id
from kanca.domain.resume_token import RESUME_PATH, Decision
from kanca.domain.resumption import ADDRESS_LASTS, DECIDED, RESUMED, mark_of
from kanca.domain.status import StepStatus, WaitStatus
from kanca.domain.task import RunChange
from kanca.domain.wait import Wait, WaitAddress
from kanca.errors import (
    EventInUse,
    EventNotFound,
    InvalidInput,
    NoPublicUrl,
    PayloadExpunged,
    RunNotFound,
    WaitNotFound,
    WaitOver,
)
from kanca.storage import applying, events, owners, runs, waits
from kanca.workflows.going_back import generation_of, next_generation
from kanca.workflows.nodes.approval import RULE as APPROVAL_RULE
from kanca.workflows.runs import work_of
from kanca.workflows.values import write_json

router = resource("Workflows", "/api/runs")

REMEMBERED = timedelta(days=7)
"""For how long behind that its use is remembered."""
MAX_ITERATION = 2**31 - 1
_EVENT_ID = "evt_019503f0a1c27d3e8f00b4a6c8d2e1f0"
_RUN_ID = "run_019503f0a1c27d3e8f00b4a6c8d2e1f0"
_ADDRESS = "https://hooks.example.com" + RESUME_PATH

NodePath = Annotated[str, Path(max_length=64, description="The node at which the run waits.")]
Iteration = Annotated[
    int | None,
    Field(
        strict=True,
        ge=0,
        le=MAX_ITERATION,
        description="In the body of a loop: the number of the item, from 1.",
    ),
]


class ResumeStatus(StrEnum):
    """Whether the event counts."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"


class Resume(BaseModel):
    """What a run goes on with."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"decision": "approve", "comment": "Looks good"}]}
    )

    data: Any = Field(None, description="What the node has as the event's data.")
    decision: Decision | None = Field(None, description="Of an `Approval`, which takes nothing without one.")
    comment: Annotated[Text, Field(max_length=10_000)] | None = None
    iteration: Iteration = None


class Resumed(BaseModel):
    """The event that resumes the run."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"event_id": _EVENT_ID, "status": "accepted"}]})

    event_id: str = Field(description="Of a duplicate, the event that came first.")
    status: ResumeStatus


class Apply(BaseModel):
    """Which event a run goes on with."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"event_id": _EVENT_ID}]})

    event_id: EventId
    iteration: Iteration = None


class Applied(BaseModel):
    """The event and the run that goes on with it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"event_id": _EVENT_ID, "run_id": _RUN_ID, "node_id": "paid"}]}
    )

    event_id: str
    run_id: str
    node_id: str


_URLS: dict[str, JsonValue] = {"resume": _ADDRESS + "AQ…", "approve": None, "reject": None}


class ResumeUrls(BaseModel):
    """Addresses that resume a run; all of them count as one."""

    model_config = ConfigDict(json_schema_extra={"examples": [_URLS]})

    resume: str
    approve: str | None = Field(description="Of an `Approval`.")
    reject: str | None = Field(description="Of an `Approval`.")


@dataclass(frozen=True, slots=True)
class _Waiting:
    run: RunChange
    tenant: str
    wait: Wait
    address: WaitAddress


@router.post(
    "/{run_id}/waits/{node_id}/resume",
    summary="Resume a run",
    operation_id="resume_run",
    dependencies=[OWN_RUN],
    responses=refused_with(InvalidInput, RunNotFound, WaitNotFound, WaitOver),
)
async def resume(
    services: Given,
    trail: Audited,
    run_id: RunIdPath,
    node_id: NodePath,
    asked: Annotated[Resume | None, Body()] = None,
) -> Resumed:
    """Let a run go on that waits at a node, as its resume address does, which is used up with it.

    The run goes on with an event of type `run.resumed`, or `approval.decided` with a `decision`.
    """
    given = asked or Resume()
    waiting = await services.database.read(_open_wait, run_id, node_id, given.iteration)
    event = _event(services, waiting, given)
    # Before it happens: the event is accepted as ingest accepts one, in a transaction of its own.
    event_id = show_id(EVENT, event.id)
    await trail.note(
        "run.resumed", A_RUN, run_id, node_id=node_id, event_id=event_id, decision=given.decision
    )
    [answer] = await services.database.accepting.append([event])
    if isinstance(answer, Exception):
        raise answer
    services.wake()
    is_duplicate = isinstance(answer, Duplicate)
    shown = show_id(EVENT, answer.original if isinstance(answer, Duplicate) else event.id)
    return Resumed(event_id=shown, status=ResumeStatus.DUPLICATE if is_duplicate else ResumeStatus.ACCEPTED)


@router.post(
    "/{run_id}/waits/{node_id}/apply",
    summary="Apply an event to a run",
    operation_id="apply_event",
    dependencies=[OWN_RUN],
    responses=refused_with(
        EventInUse, EventNotFound, InvalidInput, PayloadExpunged, RunNotFound, WaitNotFound, WaitOver
    ),
)
async def apply(
    services: Given,
    caller: CallerTenant,
    trail: Audited,
    run_id: RunIdPath,
    node_id: NodePath,
    asked: Apply,
) -> Applied:
    """Let a run go on with an event that did not find it: it came late, is still kept, or could have meant several."""
    await check_event(services, caller, asked.event_id)
    event_id = show_id(EVENT, asked.event_id)
    detail = {"node_id": node_id, "event_id": event_id}
    applied = About[None]("run.event_applied", A_RUN, run_id, detail=lambda _: detail)
    await trail.write(applied, _apply, services, run_id, node_id, asked)
    services.wake()
    return Applied(event_id=event_id, run_id=show_id(RUN, run_id), node_id=node_id)


@router.get(
    "/{run_id}/waits/{node_id}/urls",
    summary="Reveal resume addresses",
    operation_id="reveal_resume_urls",
    dependencies=[OWN_RUN],
    responses=refused_with(InvalidInput, NoPublicUrl, RunNotFound, WaitNotFound, WaitOver),
)
async def urls(
    services: Given,
    trail: Audited,
    run_id: RunIdPath,
    node_id: NodePath,
    iteration: Annotated[
        int | None,
        Query(ge=0, le=MAX_ITERATION, description="In the body of a loop: the number of the item, from 1."),
    ] = None,
) -> ResumeUrls:
    """Give the addresses that resume a run which waits at a node. Whoever has one may use it, so this is audited."""
    make = services.resume_url
    if make is None:
        raise NoPublicUrl
    waiting = await services.database.read(_open_wait, run_id, node_id, iteration)
    address, until = waiting.address, waiting.wait.due_at + ADDRESS_LASTS
    is_approval = waiting.wait.rule == APPROVAL_RULE
    await trail.note("run.urls_revealed", A_RUN, run_id, node_id=node_id)
    return ResumeUrls(
        resume=make(address, until, None),
        approve=make(address, until, Decision.APPROVE) if is_approval else None,
        reject=make(address, until, Decision.REJECT) if is_approval else None,
    )


def _open_wait(connection: Connection, run_id: UUID, node_id: str, iteration: int | None) -> _Waiting:
    """The open wait for an event at a node. Raises RunNotFound, WaitNotFound, WaitOver, InvalidInput."""
    run = find(connection, run_id)
    of_run = waits.of_runs(connection, [run_id]).get(run_id, [])
    there = [each for each in of_run if each.node_id == node_id and iteration in {None, each.iteration}]
    if not there:
        raise WaitNotFound(f"The run {show_id(RUN, run_id)} has not waited at {node_id[:64]!a}.")
    still = [each for each in there if each.status is WaitStatus.OPEN]
    if not still:
        raise WaitOver(f"The run {show_id(RUN, run_id)} does not wait at {node_id!a} any more.")
    if len(still) > 1:
        numbers = ", ".join(str(each.iteration) for each in still[:20])
        raise InvalidInput(f"The run waits there for several items: say `iteration`, one of {numbers}.")
    [wait] = still
    if wait.child_run_id is not None:
        raise InvalidInput(f"The run waits for the run {show_id(RUN, wait.child_run_id)}, not for an event.")
    steps = runs.steps_of(connection, run_id)
    void = sum(step.status in {StepStatus.DEAD, StepStatus.REPLACED} for step in steps)
    generation = generation_of(wait, next_generation(void, of_run))
    if generation is None:
        raise WaitOver(f"The run {show_id(RUN, run_id)} does not wait at {node_id!a} any more.")
    tenant = owners.of_run(connection, run_id) or DEFAULT_TENANT
    return _Waiting(run, tenant, wait, WaitAddress(run_id, wait.node_id, wait.iteration, generation))


def _event(services: Services, waiting: _Waiting, given: Resume) -> NewEvent:
    """The event that somebody's answer is, as ingest would have it."""
    wait, now, identifier = waiting.wait, services.now(), services.ids.new()
    described = {
        "method": "POST",
        "path": RESUME_PATH + "…",
        "ip": "",
        "user_agent": "",
        "headers": [("content-type", "application/json")],
        "authenticated": True,
        "test": False,
        "by_hand": True,
        "resume": mark_of(waiting.address, given.decision),
    }
    return NewEvent(
        id=identifier,
        endpoint=RESUME_ENDPOINT,
        tenant=waiting.tenant,
        type=RESUMED if given.decision is None else DECIDED,
        received_at=now,
        source_event_id=None,
        correlation_id=show_id(EVENT, identifier),
        request=write_json(described),
        body=_body(wait, given),
        dedupe_key=wait.id,
        dedupe_until=max(wait.due_at + ADDRESS_LASTS, now) + REMEMBERED,
    )


def _body(wait: Wait, given: Resume) -> bytes:
    """What the answer says. Raises InvalidInput for one that the node could not take."""
    is_approval = wait.rule == APPROVAL_RULE
    if is_approval and given.decision is None:
        raise InvalidInput("The run waits for a decision: say `approve` or `reject`.")
    if not is_approval and (given.decision is not None or given.comment is not None):
        raise InvalidInput("The run does not wait for a decision: only `data` may be given.")
    data = given.data if "data" in given.model_fields_set else {}
    if is_approval:
        if not isinstance(data, dict):
            raise InvalidInput("`data` of a decision must be an object.")
        data = data | ({"comment": given.comment} if given.comment else {})
    return stored_data(data)


def _apply(connection: Connection, services: Services, run_id: UUID, node_id: str, asked: Apply) -> None:
    waiting = _open_wait(connection, run_id, node_id, asked.iteration)
    shown = show_id(EVENT, asked.event_id)
    event = events.get(connection, asked.event_id)
    if event is None:
        raise EventNotFound(f"There is no event {shown}, or not any more.")
    events.with_payload(event)
    if waiting.wait.rule == APPROVAL_RULE:
        raise InvalidInput("The run waits for a decision: resume it with one.")
    result = write_json({"run_id": show_id(RUN, run_id), "node_id": node_id})
    work = work_of(waiting.run.workflow_id)
    is_applied = applying.apply(connection, waiting.wait, asked.event_id, work, result, services.now())
    if is_applied is None:
        raise EventInUse(
            f"The event {shown} has resumed a run, its work goes on, or it was never for a run of"
            f" {waiting.run.workflow_id} that waits."
        )
    if not is_applied:
        raise WaitOver(f"The run {show_id(RUN, run_id)} does not wait at {node_id!a} any more.")
