"""From the database to the engine: versions of workflows, prepared once, and runs as they are stored."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection

from kanca.domain.event import StoredEvent
from kanca.domain.status import WaitStatus
from kanca.domain.task import RunChange, Step, Task
from kanca.domain.wait import Wait
from kanca.domain.workflow import read_definition
from kanca.errors import InvalidWorkflow
from kanca.storage import runs, waits, workflows
from kanca.storage.events import read_events
from kanca.storage.ports import Database
from kanca.workflows.registry import NodeRegistry
from kanca.workflows.runs import RunState, WorkflowVersion
from kanca.workflows.validation import Workflow, read_workflow

MOST_VERSIONS = 256
"""Prepared versions that are kept; the one that was not used for longest goes first."""

_Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Stored:
    """A version as it is stored."""

    definition: str
    number: int
    """0: the workflow was deleted."""
    tenant: str


@dataclass(frozen=True, slots=True)
class _Found:
    runs: dict[UUID, tuple[RunChange, tuple[Step, ...]]]
    waits: dict[UUID, list[Wait]]
    events: dict[UUID, StoredEvent]
    versions: dict[_Key, _Stored]


class WorkflowLoader:
    """Gives workflows ready to run, and what is stored of runs. One for a process."""

    def __init__(self, database: Database, registry: NodeRegistry) -> None:
        self._database = database
        self._registry = registry
        self._kept: OrderedDict[_Key, WorkflowVersion] = OrderedDict()

    async def version(self, workflow_id: str, version: int) -> WorkflowVersion | None:
        """A version of a workflow; None when there is none. It never changes, so it is read and prepared once.

        Raises DatabaseUnavailable.
        """
        key = (workflow_id, version)
        if key not in self._kept:
            self._keep(await self._database.read(_read_versions, {key}))
        return self._used(key)

    async def states(self, tasks: Sequence[Task]) -> dict[UUID, RunState]:
        """What is stored of the runs of these tasks, by the run's id (``task.ref``), read in one transaction.

        A run that is not there any more is left out. Raises DatabaseUnavailable.
        """
        found = await self._database.read(_read_runs, {task.ref for task in tasks}, self._kept.keys())
        self._keep(found.versions)
        states: dict[UUID, RunState] = {}
        for task in tasks:
            run, steps = found.runs.get(task.ref, (None, ()))
            version = await self.version(run.workflow_id, run.version) if run else None
            if run is None or version is None:
                continue
            if version.number != task.target:
                version = replace(version, number=task.target)
            event = found.events.get(run.event_id) if run.event_id else None
            its_waits = tuple(found.waits.get(run.id, ()))
            came = {wait.event_id for wait in its_waits} & found.events.keys()
            arrived = {event_id: found.events[event_id] for event_id in came if event_id is not None}
            states[run.id] = RunState(run, version, steps, event, its_waits, arrived)
        return states

    def _keep(self, versions: dict[_Key, _Stored]) -> None:
        for key, stored in versions.items():
            workflow_id, number = key
            values = json.loads(stored.definition)
            workflow = self._prepared(values)
            definition = read_definition(values)
            self._kept[key] = WorkflowVersion(
                workflow_id, stored.number, stored.tenant, number, workflow, definition
            )
        while len(self._kept) > MOST_VERSIONS:
            self._kept.popitem(last=False)

    def _prepared(self, values: object) -> Workflow | InvalidWorkflow:
        try:
            return read_workflow(values, self._registry)
        except InvalidWorkflow as error:
            return error

    def _used(self, key: _Key) -> WorkflowVersion | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)


def _read_runs(connection: Connection, run_ids: Collection[UUID], known: AbstractSet[_Key]) -> _Found:
    found = runs.get_all(connection, run_ids)
    wanted = {(run.workflow_id, run.version) for run in found.values()} - known
    steps = runs.steps_of_all(connection, found)
    its_waits = waits.of_runs(connection, found)
    started_by = {run.event_id for run in found.values()}
    came = {
        wait.event_id
        for run_id in found
        for wait in _unused(its_waits.get(run_id, ()), steps.get(run_id, ()))
    }
    return _Found(
        {run_id: (run, steps.get(run_id, ())) for run_id, run in found.items()},
        its_waits,
        read_events(connection, {event_id for event_id in started_by | came if event_id is not None}),
        _read_versions(connection, wanted),
    )


def _unused(its_waits: Iterable[Wait], steps: Iterable[Step]) -> Iterator[Wait]:
    """The waits for which something came that is not in a step yet."""
    stored = {(step.node_id, step.iteration) for step in steps}
    return (
        wait
        for wait in its_waits
        if wait.status is WaitStatus.CLAIMED and (wait.node_id, wait.iteration) not in stored
    )


def _read_versions(connection: Connection, keys: Collection[_Key]) -> dict[_Key, _Stored]:
    versions: dict[_Key, _Stored] = {}
    for workflow_id, number in keys:
        version = workflows.definition_of(connection, workflow_id, number)
        workflow = workflows.get(connection, workflow_id)
        if version is not None:
            versions[workflow_id, number] = _Stored(
                version.definition,
                workflow.number if workflow else 0,
                workflow.tenant if workflow else "default",
            )
    return versions
