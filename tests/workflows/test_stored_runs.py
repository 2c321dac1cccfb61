"""Runs on the real databases: what the engine hands out is written, read again, and gone on with after a crash."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kanca.domain.ids import derived_id
from kanca.domain.status import EventStatus, RunStatus, StepStatus
from kanca.domain.task import Completion, Dead, Done, Keep, Retry, Step, Task, TaskKind
from kanca.storage import dead_letters, events, runs, workflows
from kanca.storage.ports import Database
from kanca.workflows.loading import WorkflowLoader
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.registry import NodeRegistry
from kanca.workflows.runs import RunState, WorkflowVersion, run_by_hand
from kanca.workflows.step import StepContext, StepFailed
from kanca.workflows.values import read_json
from tests.factories import ids, new_event
from tests.queueing import claim, register
from tests.workflows.memory import World

DEFINITION = {
    "id": "flow",
    "name": "Flow",
    "nodes": [
        {"id": "start", "type": "WebhookTrigger"},
        {"id": "sum", "type": "Transform", "config": {"value": {"sum": "=event.data.a + event.data.b"}}},
        {"id": "first", "type": "Effect"},
        {"id": "check", "type": "Branch", "config": {"condition": "steps.sum.sum > 2"}},
        {"id": "second", "type": "Effect"},
        {"id": "other", "type": "Effect"},
        {"id": "end", "type": "Transform", "config": {"value": "=[steps.first, input]"}},
    ],
    "edges": [
        {"from": "start", "to": "sum"},
        {"from": "sum", "to": "first"},
        {"from": "first", "to": "check"},
        {"from": "check", "to": "second", "port": "true"},
        {"from": "check", "to": "other", "port": "false"},
        {"from": "second", "to": "end"},
        {"from": "other", "to": "end"},
    ],
}


class Crash(BaseException):
    """The worker dies."""


class Life:
    """A database with a workflow, and workers that come and go."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.calls: list[tuple[str, str, int]] = []
        self.failures: list[Exception] = []
        self.registry = self._registry()
        self.world = World(self.registry, at=datetime.now(UTC))
        self.loader = WorkflowLoader(database, self.registry)

    def _registry(self) -> NodeRegistry:
        registry = built_in_registry()

        @registry.node("Effect")
        async def effect(step: StepContext, config: dict[str, Any]) -> str:
            self.calls.append((step.node_id, step.call_id, step.attempt_number))
            if self.failures:
                raise self.failures.pop(0)
            return f"{step.node_id} done"

        return registry

    async def publish(self) -> WorkflowVersion:
        now = datetime.now(UTC)
        stored = await self.database.write(
            workflows.create, "flow", "default", "Flow", json.dumps(DEFINITION), now
        )
        await self.database.write(workflows.publish, "flow", now)
        version = await self.loader.version("flow", stored.version)
        assert version is not None
        assert version.number == stored.number
        return version

    async def work(self, version: WorkflowVersion, dies_after: int | None = None) -> Completion | None:
        """One worker's life: claim the only task and do it. It may die once so many checkpoints are written."""
        queue = self.database.queue
        worker = await register(queue)
        (task,) = await claim(queue, worker)
        checkpoints = 0

        async def record(completion: Completion) -> bool:
            nonlocal checkpoints
            assert isinstance(completion.disposition, Keep)
            assert await queue.finish(worker, [completion]) == [True]
            checkpoints += 1
            if checkpoints == dies_after:
                raise Crash
            return True

        try:
            completion = await self._do(task, version, record)
        except Crash:
            await queue.leave(worker)
            return None
        assert await queue.finish(worker, [completion]) == [True]
        await queue.leave(worker)
        return completion

    async def _do(self, task: Task, version: WorkflowVersion, record: Any) -> Completion:
        engine = self.world.engine
        if task.kind is TaskKind.DISPATCH:
            event = await self.database.read(events.get, task.ref)
            assert event is not None
            return await engine.start(task, event, version, record, node_id=None, works=1)
        state = await self.state(task)
        assert state is not None
        return await engine.execute(task, state, record)

    async def state(self, task: Task) -> RunState | None:
        return (await self.loader.states([task])).get(task.ref)

    async def steps(self, run_id: Any) -> dict[str, Step]:
        return {step.node_id: step for step in await self.database.read(runs.steps_of, run_id)}


@pytest.fixture
async def life(database: Database) -> Life:
    return Life(database)


async def test_a_run_is_stored_with_its_steps_and_its_events_result(life: Life) -> None:
    version = await life.publish()
    event = new_event(body=b'{"a":1,"b":2}')
    await life.database.accepting.append([event])
    completion = await life.work(version)
    assert completion is not None
    assert isinstance(completion.disposition, Done)

    run_id = derived_id(event.id, "workflow:flow")
    run = await life.database.read(runs.get, run_id)
    assert run is not None
    assert (run.status, run.event_id, run.version) == (RunStatus.SUCCEEDED, event.id, 1)
    assert read_json(run.output or b"") == ["first done", "second done"]
    steps = await life.steps(run_id)
    assert {node: (step.status.value, step.port) for node, step in steps.items()} == {
        "start": ("succeeded", "out"),
        "sum": ("succeeded", "out"),
        "first": ("succeeded", "out"),
        "check": ("succeeded", "true"),
        "second": ("succeeded", "out"),
        "other": ("skipped", None),
        "end": ("succeeded", "out"),
    }
    assert steps["sum"].output == b'{"sum":3}'
    statuses = await life.database.read(events.statuses_of, [event.id])
    assert statuses == {event.id: EventStatus.SUCCEEDED}
    (outcome,) = (await life.database.read(events.outcomes_of, [event.id]))[event.id]
    assert (outcome.work, outcome.result, outcome.ref) == ("workflow:flow", run.output, run_id)


@pytest.mark.parametrize("dies_after", [1, 2])
async def test_after_a_crash_the_run_goes_on_behind_its_last_stored_step(life: Life, dies_after: int) -> None:
    version = await life.publish()
    event = new_event(body=b'{"a":1,"b":2}')
    await life.database.accepting.append([event])
    assert await life.work(version, dies_after) is None
    before = list(life.calls)
    statuses = await life.database.read(events.statuses_of, [event.id])
    assert statuses == {event.id: EventStatus.PENDING}

    completion = await life.work(version)
    assert completion is not None
    assert isinstance(completion.disposition, Done)
    run_id = derived_id(event.id, "workflow:flow")
    assert len(await life.steps(run_id)) == 7
    called = [node for node, _, _ in life.calls]
    assert called == ["first", "second"]
    assert [node for node, _, _ in before] == ["first"][: dies_after - 1]


async def test_a_dead_run_goes_on_where_it_failed_once_its_letter_is_retried(life: Life) -> None:
    version = await life.publish()
    event = new_event(body=b'{"a":0,"b":0}')
    await life.database.accepting.append([event])
    life.failures = [
        StepFailed("busy", "later", retry_after=timedelta(0)),
        StepFailed("refused", "no", is_final=True),
    ]
    first = await life.work(version)
    assert first is not None
    assert isinstance(first.disposition, Retry)
    await life.database.queue.promote(10)
    second = await life.work(version)
    assert second is not None
    assert isinstance(second.disposition, Dead)

    run_id = derived_id(event.id, "workflow:flow")
    run = await life.database.read(runs.get, run_id)
    assert run is not None
    assert run.status is RunStatus.FAILED
    assert (await life.steps(run_id))["first"].status is StepStatus.DEAD
    tried = (await life.database.read(events.attempts_of, [event.id]))[event.id]
    assert sorted((attempt.attempt_number, attempt.code) for attempt in tried) == [
        (1, "busy"),
        (2, "refused"),
    ]
    statuses = await life.database.read(events.statuses_of, [event.id])
    assert statuses == {event.id: EventStatus.DEAD}

    (letter,) = (await life.database.read(dead_letters.page)).items
    await life.database.write(dead_letters.retry, letter.id, datetime.now(UTC))
    third = await life.work(version)
    assert third is not None
    assert isinstance(third.disposition, Done)
    assert [(node, number) for node, _, number in life.calls] == [
        ("first", 1),
        ("first", 2),
        ("first", 1),
        ("other", 1),
    ]
    assert len({call_id for node, call_id, _ in life.calls if node == "first"}) == 1
    statuses = await life.database.read(events.statuses_of, [event.id])
    assert statuses == {event.id: EventStatus.SUCCEEDED}


async def test_a_run_started_by_hand_is_found_with_its_version(life: Life) -> None:
    version = await life.publish()
    run, task = run_by_hand(ids.new(), version, "start", b'{"a":1,"b":2}', datetime.now(UTC))
    await life.database.write(runs.start, run, task, datetime.now(UTC))
    await life.database.write(workflows.save, "flow", "Flow", "{}", datetime.now(UTC))
    completion = await life.work(version)
    assert completion is not None
    assert isinstance(completion.disposition, Done)
    stored = await life.database.read(runs.get, run.id)
    assert stored is not None
    assert (stored.status, stored.version, stored.input) == (RunStatus.SUCCEEDED, 1, b'{"a":1,"b":2}')


async def test_a_run_of_a_deleted_workflow_can_still_be_gone_on_with(life: Life) -> None:
    version = await life.publish()
    run, task = run_by_hand(ids.new(), version, None, b'{"a":1,"b":2}', datetime.now(UTC))
    await life.database.write(runs.start, run, task, datetime.now(UTC))
    await life.database.write(workflows.remove, "flow")
    life.loader = WorkflowLoader(life.database, life.registry)
    claimed = Task(1, task.kind, task.ref, task.target, task.detail, None, 0, 0, 1)
    state = await life.state(claimed)
    assert state is not None
    assert (state.version.number, state.version.id) == (version.number, "flow")
    assert state.version.ready().order[0] == "start"


async def test_what_is_not_there_is_not_loaded(life: Life) -> None:
    assert await life.loader.version("flow", 1) is None
    gone = Task(1, TaskKind.RUN, ids.new(), 7, None, None, 0, 0, 1)
    assert await life.loader.states([gone]) == {}


async def test_a_version_that_cannot_run_here_says_why(life: Life) -> None:
    await life.publish()
    version = await WorkflowLoader(life.database, built_in_registry()).version("flow", 1)
    assert version is not None
    with pytest.raises(Exception, match="there is no node type 'Effect'"):
        version.ready()
