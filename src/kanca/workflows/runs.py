"""Runs before they begin: how they are started, and what is loaded to go on with one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from kanca.domain.event import StoredEvent
from kanca.domain.ids import derived_id
from kanca.domain.status import RunOrigin, RunStatus
from kanca.domain.task import NewTask, RunChange, Step, Task, TaskKind
from kanca.domain.wait import Wait
from kanca.domain.workflow import Definition
from kanca.errors import InvalidInput, InvalidWorkflow
from kanca.workflows.node_type import ERROR
from kanca.workflows.validation import UNKNOWN_NODE_TYPE, Workflow


@dataclass(frozen=True, slots=True)
class WorkflowVersion:
    """A stored version of a workflow."""

    id: str
    number: int
    """The target of its tasks."""
    tenant: str
    version: int
    workflow: Workflow | InvalidWorkflow
    """The error when this process cannot run it: a node type of an app may have gone, or be another app's."""
    definition: Definition | None = None
    """As it was written: what can be said of it without its node types."""

    @property
    def is_for_others(self) -> bool:
        """Whether it has nodes of types that this process lacks, and perhaps another one has."""
        return isinstance(self.workflow, InvalidWorkflow) and any(
            problem["code"] == UNKNOWN_NODE_TYPE for problem in self.workflow.facts["problems"]
        )

    def ready(self) -> Workflow:
        """The workflow. Raises InvalidWorkflow when this process cannot run it."""
        if isinstance(self.workflow, InvalidWorkflow):
            raise self.workflow.with_traceback(None)
        return self.workflow


@dataclass(frozen=True, slots=True)
class RunState:
    """All that is stored of a run."""

    run: RunChange
    version: WorkflowVersion
    """The version that it started with."""
    steps: tuple[Step, ...]
    event: StoredEvent | None
    """What started it; None when that was no event."""
    waits: tuple[Wait, ...] = ()
    arrived: Mapping[UUID, StoredEvent] = field(default_factory=dict)
    """What came for its waits and is not in a step yet, as far as it was read together with the run."""


@dataclass(frozen=True, slots=True)
class NodeFailures:
    """The failed attempts of a node that will be tried again."""

    count: int
    due_at: datetime
    """Not before this moment."""


@dataclass(frozen=True, slots=True)
class RunFailure:
    """What a run has failed of that is not over yet: other nodes were still at work."""

    code: str
    cause: bytes
    attempts: int


@dataclass(frozen=True, slots=True)
class TestPlan:
    """How a test run goes without effects."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    """What nodes are left with instead of being run, by id: an output, or ``{"port", "output"}``."""
    live: tuple[str, ...] = ()
    """Nodes that are run all the same, effects and all."""


@dataclass(frozen=True, slots=True)
class RunDetail:
    """What the task of a run carries."""

    start: str | None = None
    """The node at which the run starts; None when the workflow has only one such node."""
    works: int | None = None
    """1 when the run is its event's only piece of work (see ``Outcome.works``)."""
    failures: Mapping[str, NodeFailures] = field(default_factory=dict)
    """By node, and ``node#3`` in the body of a loop."""
    sleeps: Mapping[str, datetime] = field(default_factory=dict)
    """When nodes go on that sleep; by node, as above."""
    deadline: datetime | None = None
    """When the run has had its time."""
    failed: RunFailure | None = None
    """It only has to be said that the run has failed."""
    generation: int = 0
    """How often a person had the run go back: what is done from then on is new to those who deduplicate."""
    depth: int = 0
    """How many runs there are above this one."""
    hops: int = 0
    """Of a run that another run started: how often what started that one went through Kanca."""
    traceparent: str | None = None
    """Of a run that another run started: where in a trace that was."""
    test: TestPlan | None = None

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)


def detail_of(task: Task) -> RunDetail:
    """What the task of a run carries."""
    return msgspec.json.decode(task.detail, type=RunDetail) if task.detail else RunDetail()


def work_of(workflow_id: str) -> str:
    """The name of the piece of work that a workflow is for an event."""
    return f"workflow:{workflow_id}"


def run_of_event(
    event: StoredEvent, version: WorkflowVersion, node_id: str | None, now: datetime
) -> tuple[RunChange, NewTask]:
    """The run that an event starts at a node (None: the only one possible), and its task.

    For an event with several pieces of work; both belong into the transaction that ends the dispatch. The same event
    always gives the same run.
    """
    run = new_run(event, version, now)
    return run, _task(run, version, node_id)


def new_run(event: StoredEvent, version: WorkflowVersion, now: datetime) -> RunChange:
    """The run that an event starts, always the same one."""
    run_id = derived_id(event.id, work_of(version.id))
    return RunChange(run_id, version.id, version.version, event.id, RunStatus.PENDING, now)


def run_by_hand(
    run_id: UUID, version: WorkflowVersion, node_id: str | None, data: bytes, now: datetime
) -> tuple[RunChange, NewTask]:
    """A run with ``data`` (JSON) and no event, and its task: both belong into one transaction.

    Raises InvalidInput when the run cannot start at that node, InvalidWorkflow when it cannot be run at all.
    """
    start_of(version.ready(), node_id)
    run = RunChange(
        run_id, version.id, version.version, None, RunStatus.PENDING, now, input=data, origin=RunOrigin.HAND
    )
    return run, _task(run, version, node_id)


def run_of_run(
    run_id: UUID,
    workflow: tuple[str, int, int],
    data: bytes,
    parent: RunChange,
    wait_id: UUID,
    detail: RunDetail,
    now: datetime,
) -> tuple[RunChange, NewTask]:
    """A run with ``data`` (JSON) that another run starts and waits for, and its task.

    ``workflow``: its id, version and number; ``detail``: what the new run carries of those above it.
    """
    workflow_id, version, number = workflow
    run = RunChange(
        run_id,
        workflow_id,
        version,
        None,
        RunStatus.PENDING,
        now,
        input=data,
        origin=RunOrigin.WORKFLOW,
        parent_run_id=parent.id,
        parent_wait=wait_id,
        is_test=parent.is_test,
    )
    return run, NewTask(TaskKind.RUN, run.id, number, detail.encode())


def run_of_test(
    run_id: UUID,
    version: WorkflowVersion,
    node_id: str | None,
    data: bytes | None,
    event_id: UUID | None,
    plan: TestPlan,
    now: datetime,
) -> tuple[RunChange, NewTask]:
    """A run that tests a version with ``data`` (JSON) or an event, and its task; it is no part of the event's work.

    Raises InvalidInput when the run cannot start at that node or the plan speaks of what there is not, InvalidWorkflow
    when it cannot be run at all.
    """
    workflow = version.ready()
    start = start_of(workflow, node_id)
    _check_plan(workflow, plan)
    run = RunChange(
        run_id,
        version.id,
        version.version,
        event_id,
        RunStatus.PENDING,
        now,
        input=data,
        origin=RunOrigin.EVENT if event_id else RunOrigin.HAND,
        is_test=True,
    )
    detail = RunDetail(start=start, test=plan)
    return run, NewTask(TaskKind.RUN, run.id, version.number, detail.encode())


def pinned(plan: TestPlan, node_id: str, port: str, otherwise: Any) -> tuple[str, Any]:
    """By which port (else ``port``) and with what a node is left that is not run in a test."""
    value = plan.outputs.get(node_id, otherwise)
    if node_id in plan.outputs and isinstance(value, Mapping) and value.keys() == {"port", "output"}:
        return str(value["port"]), value["output"]
    return port, value


def _check_plan(workflow: Workflow, plan: TestPlan) -> None:
    for node_id in (*plan.outputs, *plan.live):
        if node_id not in workflow.nodes:
            raise InvalidInput(f"The workflow has no node {node_id[:64]!a}.")
    for node_id in plan.outputs:
        node = workflow.nodes[node_id]
        port, _ = pinned(plan, node_id, node.ports[0], None)
        if port not in node.ports and not (port == ERROR and node.has_error_port):
            raise InvalidInput(
                f"The node {node_id!r} has no port {port[:64]!a}; it has: {', '.join(node.ports)}"
            )
    for node_id in plan.live:
        if node_id in workflow.waits:
            raise InvalidInput(
                f"The node {node_id!r} would take events that are for others: give its output."
            )


def start_of(workflow: Workflow, node_id: str | None) -> str:
    """The node at which a run starts that is to start at ``node_id`` (None: at the only one possible).

    Raises InvalidInput when there is no such start, or when it takes a choice between several.
    """
    if node_id is None and len(workflow.starts) == 1:
        return workflow.starts[0]
    if node_id in workflow.starts:
        return str(node_id)
    starts = ", ".join(workflow.starts)
    if node_id is None:
        raise InvalidInput(f"the workflow has several triggers, so the node must be named: {starts}")
    raise InvalidInput(f"runs cannot start at the node {node_id[:64]!r}; they can at: {starts}")


def _task(run: RunChange, version: WorkflowVersion, node_id: str | None) -> NewTask:
    return NewTask(TaskKind.RUN, run.id, version.number, RunDetail(start=node_id).encode())
