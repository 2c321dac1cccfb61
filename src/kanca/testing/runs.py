"""Runs of workflows, from their start to their end, in memory.

The engine is the workers'. What it says is kept here instead of in a database, and the time between two attempts passes
at once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, cast

from kanca.app.capturing import Capture, capturing_here
from kanca.domain.credential import Credential
from kanca.domain.event import StoredEvent
from kanca.domain.ids import IdFactory, derived_id
from kanca.domain.task import HandBack, NewTask, RunChange, Task
from kanca.domain.wait import WaitAddress
from kanca.egress import EgressClient
from kanca.handlers.threads import SyncThreads
from kanca.storage.workflows import Workflow as StoredWorkflow
from kanca.testing.coming import Coming
from kanca.testing.credentials import GivenCredentials
from kanca.testing.desk import MemoryDesk
from kanca.testing.events import EVENT_ID, RECEIVED_AT
from kanca.testing.http import FakeHttp
from kanca.testing.memory import Memory, RunResult
from kanca.workflows.engine import DEFAULT_TIMEOUT, Surroundings, WorkflowEngine
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.registry import NodeRegistry
from kanca.workflows.runs import RunState, WorkflowVersion, run_by_hand, run_of_event, start_of
from kanca.workflows.validation import Workflow, read_workflow
from kanca.workflows.values import write_json


class HasNodes(Protocol):
    """What ``Kanca`` is to this module."""

    @property
    def nodes(self) -> NodeRegistry:
        """The built-in node types and those registered with ``node``."""
        ...


async def run_workflow(  # noqa: PLR0913 - the public function: every argument is a promise to users
    definition: Mapping[str, Any] | Path,
    data: Any = None,
    *,
    event_type: str | None = None,
    headers: Mapping[str, str] | None = None,
    source_event_id: str | None = None,
    node_id: str | None = None,
    hooks: HasNodes | NodeRegistry | None = None,
    http: FakeHttp | None = None,
    resumes: Mapping[str, Any] | None = None,
    workflows: Mapping[str, Mapping[str, Any] | Path] | None = None,
    credentials: Mapping[str, Credential | Mapping[str, str]] | None = None,
) -> RunResult:
    """Run a workflow (its definition, or the path of a JSON file with it) with these data, until it ends.

    With ``event_type`` as for an event that came in; without, as if started by hand. ``node_id`` is where it starts
    (None: at its only trigger). ``hooks`` has your own node types. ``http`` answers the requests that nodes send; they
    reach nobody in any case.

    ``resumes`` says what comes for nodes at which the run waits, by id: the data of an event, a ``Decision``, or
    ``Timeout()``; in the body of a loop a list of these, by item. Delays pass at once. ``workflows`` are those that
    ``SubWorkflow`` nodes run, by id (``resumes`` is for their nodes, too). ``credentials`` are what nodes name.

    Raises InvalidWorkflow for a definition that could not be saved (all that is wrong is in its message and in
    ``facts["problems"]``), InvalidInput when the run cannot start at that node, NotResumed when it waits for something
    that is not given, and UnexpectedRequest when a request was sent that ``http`` has no answer to.
    """
    workflow = read_workflow(_values(definition), _registry(hooks))
    start_of(workflow, node_id)
    version = WorkflowVersion(workflow.definition.id, 1, "default", 1, workflow)
    event = None
    if event_type is None:
        run_id = derived_id(EVENT_ID, "run")
        run, task = run_by_hand(run_id, version, node_id, write_json(data), RECEIVED_AT)
    else:
        event = _event(event_type, data, headers or {}, source_event_id)
        run, task = run_of_event(event, version, node_id, RECEIVED_AT)
    http = FakeHttp() if http is None else http
    threads = SyncThreads()
    others = {
        name: read_workflow(_values(other), _registry(hooks)) for name, other in (workflows or {}).items()
    }
    theatre = _Theatre(http, threads, resumes or {}, others, GivenCredentials(credentials or {}))
    try:
        memory = await theatre.run(run, task, version, event)
    finally:
        threads.close()
    http.check()
    return memory.result(http)


def _values(definition: Mapping[str, Any] | Path) -> Any:
    return json.loads(definition.read_text()) if isinstance(definition, Path) else definition


def _registry(hooks: HasNodes | NodeRegistry | None) -> NodeRegistry:
    if hooks is None:
        return built_in_registry()
    return hooks if isinstance(hooks, NodeRegistry) else hooks.nodes


def _event(
    event_type: str, data: Any, headers: Mapping[str, str], source_event_id: str | None
) -> StoredEvent:
    return StoredEvent(
        id=EVENT_ID,
        endpoint=1,
        tenant="default",
        type=event_type,
        received_at=RECEIVED_AT,
        source_event_id=source_event_id,
        correlation_id="test",
        request=write_json({"headers": list(headers.items())}),
        body=write_json({"event_type": event_type, "data": data}),
        replay_of=None,
    )


def _claimed(task: NewTask) -> Task:
    return Task(1, task.kind, task.ref, task.target, task.detail, None, attempt=0, crashes=0, fence=1)


@dataclass(frozen=True, slots=True)
class _Theatre:
    """What all runs of a test share."""

    http: FakeHttp
    threads: SyncThreads
    resumes: Mapping[str, Any]
    workflows: Mapping[str, Workflow]
    credentials: GivenCredentials

    async def run(
        self, run: RunChange, task: NewTask, version: WorkflowVersion, event: StoredEvent | None
    ) -> Memory:
        """Go on with the run, as often as it takes."""
        memory = Memory(_claimed(task), run)
        desk = MemoryDesk(lambda: memory.now)
        desk.workflows |= {name: _stored(name) for name in self.workflows}
        engine = WorkflowEngine(
            Surroundings(
                http=cast(EgressClient, self.http),  # all that nodes use of it
                threads=self.threads,
                desk=desk,
                now=lambda: memory.now,
                new_id=IdFactory(RECEIVED_AT.timestamp).new,
                chance=lambda: 0.0,
                credentials=self.credentials,
                resume_url=_resume_url,
            )
        )
        captured = Capture(memory.published.append, asyncio.get_running_loop())
        coming = Coming(self.resumes, desk, self._run_child)
        while True:
            state = RunState(memory.run, version, tuple(memory.steps.values()), event, desk.of(run.id))
            with capturing_here(captured):
                completion = await engine.execute(memory.task, state, memory.record, timeout=DEFAULT_TIMEOUT)
            if isinstance(completion.disposition, HandBack):
                raise asyncio.CancelledError  # the engine ends in good order when the test is cancelled
            await memory.record(completion)
            if memory.is_over:
                return memory
            if not await coming.bring(memory.now):
                memory.sleep(completion.disposition)

    async def _run_child(self, run: RunChange, task: NewTask) -> RunChange:
        version = WorkflowVersion(run.workflow_id, 1, "default", 1, self.workflows[run.workflow_id])
        return (await self.run(run, task, version, None)).run


def _stored(workflow_id: str) -> StoredWorkflow:
    return StoredWorkflow(workflow_id, 1, "default", workflow_id, 1, 1, RECEIVED_AT, RECEIVED_AT)


def _resume_url(address: WaitAddress, _until: datetime, decision: str | None) -> str:
    said = f"/{decision}" if decision else ""
    place = f"{address.node_id}/{address.iteration}" if address.iteration else address.node_id
    return f"https://kanca.example/resume/{place}{said}"
