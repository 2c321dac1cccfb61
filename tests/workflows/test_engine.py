from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kanca.domain.decisions import Retry as AskForRetry
from kanca.domain.ids import CALL, RUN, derived_id, show_id
from kanca.domain.status import OutcomeStatus, RunStatus, StepStatus
from kanca.domain.task import Completion, Dead, Done, HandBack, Keep, Retry, TaskKind
from kanca.errors import CommitTimeout, InvalidInput, InvalidWorkflow
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.registry import NodeRegistry
from kanca.workflows.runs import WorkflowVersion, run_by_hand, run_of_event
from kanca.workflows.step import StepContext, StepFailed
from kanca.workflows.values import read_json
from tests.workflows.memory import NOW, Store, World


class Effects:
    """Node types that keep count of their calls and do as they are told."""

    def __init__(self) -> None:
        self.calls: list[StepContext] = []
        self.failures: list[BaseException] = []
        """What the next calls raise."""
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()

    def register(self, registry: NodeRegistry) -> None:
        @registry.node("Effect")
        async def effect(step: StepContext, config: dict[str, Any]) -> Any:
            self.calls.append(step)
            self.begun.set()
            await self.may_end.wait()
            if self.failures:
                raise self.failures.pop(0)
            return {"did": step.node_id, "got": step.input} | config.get("adds", {})


@pytest.fixture
def effects() -> Effects:
    return Effects()


@pytest.fixture
def world(effects: Effects) -> World:
    registry = built_in_registry()
    effects.register(registry)
    return World(registry)


def node(node_id: str, type_name: str, **config: Any) -> dict[str, Any]:
    return {"id": node_id, "type": type_name, "config": config}


def chain(*nodes: dict[str, Any]) -> dict[str, Any]:
    all_nodes = [node("start", "WebhookTrigger"), *nodes]
    pairs = itertools.pairwise(all_nodes)
    return {"id": "w", "nodes": all_nodes, "edges": [{"from": a["id"], "to": b["id"]} for a, b in pairs]}


TWO_WAYS = {
    "id": "w",
    "nodes": [
        node("start", "WebhookTrigger"),
        node("check", "Branch", condition="input.total > 100"),
        node("big", "Transform", value={"big": "=input.total"}),
        node("small", "Transform", value={"small": "=input.total"}),
        node("after-small", "Log", message="x"),
        node("end", "Transform", value={"got": "=input", "event": "=event.type"}),
    ],
    "edges": [
        {"from": "start", "to": "check"},
        {"from": "check", "to": "big", "port": "true"},
        {"from": "check", "to": "small", "port": "false"},
        {"from": "small", "to": "after-small"},
        {"from": "big", "to": "end"},
        {"from": "after-small", "to": "end"},
    ],
}


async def test_a_run_of_pure_nodes_is_written_in_one_completion(world: World) -> None:
    event = world.event()
    store = world.dispatched(event)
    completion = await world.go_on(store, world.version(TWO_WAYS), event)

    assert store.history == [completion]
    assert isinstance(completion.disposition, Done)
    run = store.run
    assert run is not None
    assert (run.id, run.event_id, run.version) == (derived_id(event.id, "workflow:w"), event.id, 3)
    assert run.status is RunStatus.SUCCEEDED
    result = {"got": {"big": 150}, "event": "order.created"}
    assert read_json(run.output or b"") == result
    (outcome,) = store.outcomes
    assert (outcome.event_id, outcome.work, outcome.status) == (
        event.id,
        "workflow:w",
        OutcomeStatus.SUCCEEDED,
    )
    assert (outcome.works, outcome.ref, read_json(outcome.result or b"")) == (1, run.id, result)


async def test_each_node_of_the_run_has_a_step(world: World) -> None:
    event = world.event()
    store = world.dispatched(event)
    await world.go_on(store, world.version(TWO_WAYS), event)

    ended = {step.node_id: (step.status.value, step.port) for step in store.steps.values()}
    assert ended == {
        "start": ("succeeded", "out"),
        "check": ("succeeded", "true"),
        "big": ("succeeded", "out"),
        "small": ("skipped", None),
        "after-small": ("skipped", None),
        "end": ("succeeded", "out"),
    }
    big = store.step("big")
    assert (big.input, big.output) == (b'{"total":150}', b'{"big":150}')
    assert big.started_at < big.finished_at
    assert store.step("check").output == b'{"total":150}'


async def test_a_node_behind_parallel_branches_gets_all_their_outputs(world: World) -> None:
    values = {
        "id": "w",
        "nodes": [
            node("start", "WebhookTrigger"),
            node("a", "Effect"),
            node("b", "Effect"),
            node("end", "Transform", value="=input.a.did + input.b.did"),
        ],
        "edges": [
            {"from": f, "to": t} for f, t in (("start", "a"), ("start", "b"), ("a", "end"), ("b", "end"))
        ],
    }
    event = world.event()
    store = world.dispatched(event)
    await world.finish(store, world.version(values), event)
    assert store.step("end").output == b'"ab"'


async def test_branches_with_effects_run_side_by_side(world: World, effects: Effects) -> None:
    values = {
        "id": "w",
        "nodes": [node("start", "WebhookTrigger"), node("a", "Effect"), node("b", "Effect")],
        "edges": [{"from": "start", "to": "a"}, {"from": "start", "to": "b"}],
    }
    effects.may_end.clear()
    event = world.event()
    store = world.dispatched(event)
    going = asyncio.create_task(world.go_on(store, world.version(values), event))
    await effects.begun.wait()
    await asyncio.sleep(0)
    assert {step.node_id for step in effects.calls} == {"a", "b"}
    effects.may_end.set()
    await going
    assert read_json((store.run and store.run.output) or b"") == {
        "a": {"did": "a", "got": {"total": 150}},
        "b": {"did": "b", "got": {"total": 150}},
    }


async def test_what_comes_before_an_effect_is_stored_before_it_starts(world: World, effects: Effects) -> None:
    effects.may_end.clear()
    event = world.event()
    store = world.dispatched(event)
    version = world.version(
        chain(node("t", "Transform", value={"x": 1}), node("a", "Effect"), node("b", "Effect"))
    )
    going = asyncio.create_task(world.go_on(store, version, event))
    await effects.begun.wait()

    (checkpoint,) = store.history
    assert isinstance(checkpoint.disposition, Keep)
    assert [step.node_id for step in checkpoint.records.steps] == ["start", "t"]
    assert [run.status for run in checkpoint.records.runs] == [RunStatus.RUNNING]
    becomes = checkpoint.becomes
    assert becomes is not None
    assert (becomes.kind, becomes.ref, becomes.target) == (
        TaskKind.RUN,
        derived_id(event.id, "workflow:w"),
        7,
    )

    effects.may_end.set()
    await going
    assert [[step.node_id for step in c.records.steps] for c in store.history] == [
        ["start", "t"],
        ["a"],
        ["b"],
    ]
    assert isinstance(store.history[-1].disposition, Done)


async def test_a_step_knows_where_it_is(world: World, effects: Effects) -> None:
    event = world.event()
    store = world.dispatched(event)
    await world.finish(
        store, world.version(chain(node("t", "Transform", value=5), node("a", "Effect"))), event
    )

    (step,) = effects.calls
    run_id = derived_id(event.id, "workflow:w")
    assert step.run_id == show_id(RUN, run_id)
    assert (step.node_id, step.attempt_number, step.input) == ("a", 1, 5)
    assert step.call_id == show_id(CALL, derived_id(run_id, "a", "0"))
    assert step.outputs == {"start": {"total": 150}, "t": 5}
    assert step.event["headers"] == {"x-a": "1, 2"}
    assert step.event["data"] == {"total": 150}
    assert step.run["workflow_id"] == "w"


async def test_a_failed_node_is_tried_again_with_the_same_call_id(world: World, effects: Effects) -> None:
    effects.failures = [
        ValueError("first"),
        AskForRetry(after=40, reason="come later"),
    ]
    event = world.event()
    store = world.dispatched(event)
    version = world.version(chain(node("a", "Effect"), node("b", "Effect")))

    first = await world.go_on(store, version, event)
    assert isinstance(first.disposition, Retry)
    assert first.disposition.attempt == 1
    assert timedelta(seconds=0.9) < first.disposition.delay <= timedelta(seconds=1)
    world.clock.at += first.disposition.delay

    second = await world.go_on(store, version, event)
    assert isinstance(second.disposition, Retry)
    assert second.disposition.attempt == 2
    assert timedelta(seconds=39) < second.disposition.delay <= timedelta(seconds=40)
    world.clock.at += second.disposition.delay

    third = await world.go_on(store, version, event)
    assert isinstance(third.disposition, Done)
    assert [(step.node_id, step.attempt_number) for step in effects.calls] == [
        ("a", 1),
        ("a", 2),
        ("a", 3),
        ("b", 1),
    ]
    assert len({step.call_id for step in effects.calls}) == 2
    assert [(a.attempt_number, a.code) for a in store.attempts] == [(1, "node_error"), (2, "retry_requested")]
    cause = read_json(store.attempts[0].error)
    assert (cause["code"], cause["message"], cause["node"], cause["type"]) == (
        "node_error",
        "first",
        "a",
        "ValueError",
    )
    assert store.step("a").attempt_number == 3
    assert store.outcomes[0].attempt_number == 3
    assert store.outcomes[0].works == 1


async def test_a_node_out_of_attempts_fails_the_run(world: World, effects: Effects) -> None:
    effects.failures = [ValueError("no"), ValueError("never")]
    event = world.event()
    store = world.dispatched(event)
    version = world.version(chain(node("a", "Effect", retry={"max_retries": 2}), node("b", "Effect")))
    completion = await world.finish(store, version, event)

    assert isinstance(completion.disposition, Dead)
    assert store.run is not None
    assert store.run.status is RunStatus.FAILED
    assert read_json(store.run.error or b"")["message"] == "never"
    assert store.step("a").status is StepStatus.DEAD
    assert read_json(store.step("a").error or b"")["message"] == "never"
    assert [attempt.attempt_number for attempt in store.attempts] == [1, 2]
    (letter,) = store.dead_letters
    assert (letter.kind, letter.ref, letter.target, letter.work) == (
        TaskKind.RUN,
        store.run.id,
        7,
        "workflow:w",
    )
    assert (letter.event_id, letter.endpoint, letter.event_type) == (event.id, 101, "order.created")
    assert (letter.attempts, letter.code, letter.body) == (2, "node_error", event.body)
    (outcome,) = store.outcomes
    assert (outcome.status, outcome.reason, outcome.works) == (OutcomeStatus.DEAD, "node_error", 1)
    assert outcome.ref == letter.id
    assert {step.node_id for step in effects.calls} == {"a"}


async def test_a_retried_dead_letter_goes_on_at_the_failed_node(world: World, effects: Effects) -> None:
    effects.failures = [StepFailed("refused", "no", is_final=True)]
    event = world.event()
    store = world.dispatched(event)
    version = world.version(chain(node("a", "Effect"), node("b", "Effect")))
    effects.failures.insert(0, ValueError("once"))
    await world.finish(store, version, event)
    (letter,) = store.dead_letters
    assert (letter.code, letter.attempts) == ("refused", 2)

    store.task = store.task.__class__(
        99, letter.kind, letter.ref, letter.target, letter.detail, None, 0, 0, 1
    )
    store.outcomes.clear()
    completion = await world.finish(store, version, event)
    assert isinstance(completion.disposition, Done)
    assert [(step.node_id, step.attempt_number) for step in effects.calls] == [
        ("a", 1),
        ("a", 2),
        ("a", 1),
        ("b", 1),
    ]
    assert store.run is not None
    assert (store.run.status, store.run.error) == (RunStatus.SUCCEEDED, None)
    assert store.step("a").status is StepStatus.SUCCEEDED
    assert store.outcomes[0].works == 1


@pytest.mark.parametrize(
    ("failing", "code"),
    [
        (node("x", "Branch", condition="event.data.nope == 1"), "expression_failed"),
        (node("x", "Branch", condition="event.data.total"), "expression_failed"),
        (node("x", "Transform", value="=1 / (input.total - 150)"), "expression_failed"),
    ],
)
async def test_an_expression_that_fails_is_not_tried_again(
    world: World, failing: dict[str, Any], code: str
) -> None:
    event = world.event()
    store = world.dispatched(event)
    completion = await world.go_on(store, world.version(chain(failing)), event)
    assert isinstance(completion.disposition, Dead)
    assert store.dead_letters[0].code == code
    assert store.step("x").status is StepStatus.DEAD
    assert len(store.attempts) == 1


async def test_other_branches_go_on_while_a_node_waits_for_its_next_attempt(
    world: World, effects: Effects
) -> None:
    registry = world.registry
    effects_of_a: list[int] = []

    @registry.node("Fails")
    async def fails(step: StepContext, config: dict[str, Any]) -> str:
        effects_of_a.append(step.attempt_number)
        if step.attempt_number < 3:
            raise ValueError("not yet")
        return "at last"

    values = {
        "id": "w",
        "nodes": [
            node("start", "WebhookTrigger"),
            node("a", "Fails"),
            node("b", "Effect"),
            node("c", "Effect"),
        ],
        "edges": [{"from": "start", "to": "a"}, {"from": "start", "to": "b"}, {"from": "b", "to": "c"}],
    }
    event = world.event()
    store = world.dispatched(event)
    first = await world.go_on(store, world.version(values), event)
    assert isinstance(first.disposition, Retry)
    assert {step.node_id for step in store.steps.values()} == {"start", "b", "c"}
    await world.finish(store, world.version(values), event)
    assert effects_of_a == [1, 2, 3]
    assert [step.node_id for step in effects.calls] == ["b", "c"]


async def test_each_failed_node_waits_for_its_own_time(world: World) -> None:
    tries: dict[str, list[int]] = {"soon": [], "late": []}

    @world.registry.node("Fails")
    async def fails(step: StepContext, config: dict[str, Any]) -> None:
        tries[step.node_id].append(step.attempt_number)
        if step.attempt_number == 1:
            raise StepFailed("busy", "later", retry_after=timedelta(seconds=config["after"]))

    values = {
        "id": "w",
        "nodes": [
            node("start", "WebhookTrigger"),
            node("soon", "Fails", after=1),
            node("late", "Fails", after=60),
        ],
        "edges": [{"from": "start", "to": "soon"}, {"from": "start", "to": "late"}],
    }
    event, version = world.event(), world.version(values)
    store = world.dispatched(event)
    delays = []
    while not store.is_over:
        completion = await world.go_on(store, version, event)
        if isinstance(completion.disposition, Retry):
            delays.append(round(completion.disposition.delay.total_seconds()))
            world.clock.at += completion.disposition.delay
    assert delays == [1, 59]
    assert tries == {"soon": [1, 2], "late": [1, 2]}


async def test_when_a_branch_fails_for_good_nothing_new_is_started(world: World, effects: Effects) -> None:
    @world.registry.node("Fatal")
    async def fatal(step: StepContext, config: dict[str, Any]) -> None:
        await effects.begun.wait()
        effects.may_end.set()
        raise StepFailed("fatal", "no", is_final=True)

    values = {
        "id": "w",
        "nodes": [
            node("start", "WebhookTrigger"),
            node("a", "Fatal"),
            node("b", "Effect"),
            node("c", "Effect"),
        ],
        "edges": [{"from": "start", "to": "a"}, {"from": "start", "to": "b"}, {"from": "b", "to": "c"}],
    }
    effects.may_end.clear()
    event = world.event()
    store = world.dispatched(event)
    completion = await world.go_on(store, world.version(values), event)
    assert isinstance(completion.disposition, Dead)
    # What was under way may end, and is stored.
    assert store.step("b").status is StepStatus.SUCCEEDED
    assert {step.node_id for step in effects.calls} == {"b"}


async def test_a_lost_lease_stops_everything_at_once(world: World, effects: Effects) -> None:
    async def lost(completion: Completion) -> bool:
        return False

    event = world.event()
    store = world.dispatched(event)
    completion = await world.go_on(store, world.version(chain(node("a", "Effect"))), event, lost)
    assert isinstance(completion.disposition, HandBack)
    assert completion.records.steps == ()
    assert effects.calls == []


async def test_when_the_database_is_away_the_run_is_handed_back(world: World, effects: Effects) -> None:
    async def away(completion: Completion) -> bool:
        raise CommitTimeout

    event = world.event()
    store = world.dispatched(event)
    completion = await world.go_on(store, world.version(chain(node("a", "Effect"))), event, away)
    assert (completion.disposition, completion.becomes) == (HandBack(), None)
    assert effects.calls == []


async def test_a_run_that_is_stopped_is_handed_back_with_what_it_has(world: World, effects: Effects) -> None:
    @world.registry.node("Waits")
    async def waits(step: StepContext, config: dict[str, Any]) -> None:
        await effects.begun.wait()
        waiting.set()
        await asyncio.Event().wait()

    waiting = asyncio.Event()
    values = {
        "id": "w",
        "nodes": [node("start", "WebhookTrigger"), node("a", "Effect"), node("b", "Waits")],
        "edges": [{"from": "start", "to": "a"}, {"from": "start", "to": "b"}],
    }
    event = world.event()
    store = world.dispatched(event)
    going = asyncio.create_task(world.go_on(store, world.version(values), event))
    await waiting.wait()
    going.cancel()
    completion = await going
    assert isinstance(completion.disposition, HandBack)
    assert completion.becomes is not None
    assert completion.becomes.kind is TaskKind.RUN
    assert store.task.attempt == 0
    assert "a" in {step.node_id for step in store.steps.values()}


async def test_a_run_that_is_stopped_before_it_stored_anything_is_a_dispatch_again(
    world: World, effects: Effects
) -> None:
    @world.registry.node("Slow", has_effects=False)
    async def slow(step: StepContext, config: dict[str, Any]) -> None:
        effects.begun.set()
        await asyncio.Event().wait()

    event = world.event()
    store = world.dispatched(event)
    going = asyncio.create_task(world.go_on(store, world.version(chain(node("a", "Slow"))), event))
    await effects.begun.wait()
    going.cancel()
    assert (await going) == Completion(store.task, HandBack())


async def test_stopping_waits_for_the_checkpoint_that_is_being_written(
    world: World, effects: Effects
) -> None:
    event = world.event()
    store = world.dispatched(event)
    writing, may_write = asyncio.Event(), asyncio.Event()

    async def slowly(completion: Completion) -> bool:
        writing.set()
        await may_write.wait()
        return await store.record(completion)

    version = world.version(chain(node("a", "Effect")))
    going = asyncio.create_task(world.go_on(store, version, event, slowly))
    await writing.wait()
    going.cancel()
    await asyncio.sleep(0)
    may_write.set()
    completion = await going
    assert isinstance(completion.disposition, HandBack)
    assert completion.becomes is not None
    assert completion.records.steps == ()
    assert effects.calls == []


async def test_a_node_that_takes_too_long_is_tried_again(world: World, effects: Effects) -> None:
    effects.may_end.clear()
    event = world.event()
    store = world.dispatched(event)
    completion = await world.go_on(
        store, world.version(chain(node("a", "Effect"))), event, timeout=timedelta(milliseconds=10)
    )
    assert isinstance(completion.disposition, Retry)
    assert store.attempts[0].code == "node_timeout"


async def test_the_config_of_a_node_sets_its_time(world: World, effects: Effects) -> None:
    effects.may_end.clear()
    event = world.event()
    store = world.dispatched(event)
    await world.go_on(store, world.version(chain(node("a", "Effect", timeout=0.01))), event)
    assert store.attempts[0].code == "node_timeout"


async def test_a_run_started_by_hand_has_no_event(world: World, effects: Effects) -> None:
    version = world.version(chain(node("t", "Transform", value="=event.data.total + 1"), node("a", "Effect")))
    run, task = run_by_hand(world.ids.new(), version, None, b'{"total":1}', NOW)
    store = Store(world.dispatched(world.event()).task, run)
    store.task = store.task.__class__(1, task.kind, task.ref, task.target, task.detail, None, 0, 0, 1)
    completion = await world.finish(store, version, None)
    assert isinstance(completion.disposition, Done)
    assert store.outcomes == []
    assert store.step("t").output == b"2"
    assert store.run is not None
    assert (store.run.status, store.run.input) == (RunStatus.SUCCEEDED, b'{"total":1}')


async def test_a_failed_run_started_by_hand_is_a_dead_letter_of_its_tenant(
    world: World, effects: Effects
) -> None:
    version = world.version(chain(node("a", "Branch", condition="event.data")))
    run, task = run_by_hand(world.ids.new(), version, "start", b'{"total":1}', NOW)
    store = Store(world.dispatched(world.event()).task, run)
    store.task = store.task.__class__(1, task.kind, task.ref, task.target, task.detail, None, 0, 0, 1)
    await world.finish(store, version, None)
    (letter,) = store.dead_letters
    assert (letter.event_id, letter.endpoint, letter.tenant) == (None, None, "default")
    assert (letter.event_type, letter.body) == ("run.manual", b'{"total":1}')


async def test_a_run_whose_trigger_is_gone_is_a_dead_letter(world: World) -> None:
    event = world.event()
    store = world.dispatched(event)
    completion = await world.go_on(
        store, world.version(chain(node("a", "Log", message="x"))), event, node_id="gone"
    )
    assert isinstance(completion.disposition, Dead)
    assert store.dead_letters[0].code == "start_impossible"
    assert store.outcomes[0].status is OutcomeStatus.DEAD


async def test_only_what_the_trigger_leads_to_is_part_of_the_run(world: World) -> None:
    values = {
        "id": "w",
        "nodes": [
            node("one", "WebhookTrigger"),
            node("two", "WebhookTrigger"),
            node("only-two", "Log", message="x"),
            node("both", "Transform", value="=input"),
        ],
        "edges": [
            {"from": "one", "to": "both"},
            {"from": "two", "to": "only-two"},
            {"from": "only-two", "to": "both"},
        ],
    }
    event = world.event()
    store = world.dispatched(event)
    await world.go_on(store, world.version(values), event, node_id="one")
    assert {step.node_id for step in store.steps.values()} == {"one", "both"}
    assert store.step("both").output == b'{"total":150}'


async def test_a_finished_run_does_nothing(world: World, effects: Effects) -> None:
    event = world.event()
    store = world.dispatched(event)
    version = world.version(chain(node("a", "Effect")))
    await world.finish(store, version, event)
    assert await world.go_on(store, version, event) == Completion(store.task, Done())
    assert len(effects.calls) == 1


async def test_a_large_input_is_stored_by_its_size_only(world: World) -> None:
    event = world.event(b'{"text":"' + b"x" * 100_000 + b'"}')
    store = world.dispatched(event)
    await world.go_on(store, world.version(chain(node("a", "Transform", value="=size(input.text)"))), event)
    assert read_json(store.step("a").input or b"") == {"omitted": True, "size_bytes": 100_011}
    assert store.step("a").output == b"100000"


async def test_a_body_that_is_no_json_is_a_text(world: World) -> None:
    event = world.event(b"hello \xff")
    store = world.dispatched(event)
    await world.go_on(store, world.version(chain(node("a", "Transform", value="=input"))), event)
    assert read_json(store.step("a").output or b"") == "hello �"


async def test_a_node_that_cancels_itself_has_failed(world: World) -> None:
    @world.registry.node("Odd")
    async def odd(step: StepContext, config: dict[str, Any]) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    event = world.event()
    store = world.dispatched(event)
    completion = await world.go_on(store, world.version(chain(node("a", "Odd"))), event)
    assert isinstance(completion.disposition, Retry)
    assert store.attempts[0].code == "node_cancelled"


async def test_a_workflow_that_this_process_cannot_run_is_a_dead_letter(world: World) -> None:
    event = world.event()
    store = world.dispatched(event)
    problem = InvalidWorkflow("node 'a': there is no node type 'Gone'")
    version = WorkflowVersion("w", 7, "default", 3, problem)
    completion = await world.go_on(store, version, event)
    assert isinstance(completion.disposition, Dead)
    assert store.dead_letters[0].code == "invalid_workflow"
    assert read_json(store.dead_letters[0].error)["message"] == problem.detail


async def test_a_cancelled_run_is_skipped(world: World, effects: Effects) -> None:
    version = world.version(chain(node("a", "Effect")))
    event = world.event()
    run, task = run_of_event(event, version, None, NOW)
    store = Store(world.dispatched(event).task, replace(run, status=RunStatus.CANCELLED))
    store.task = replace(store.task, kind=task.kind, ref=task.ref, target=task.target, detail=task.detail)
    completion = await world.go_on(store, version, event)
    assert isinstance(completion.disposition, Done)
    (outcome,) = store.outcomes
    assert (outcome.status, outcome.reason) == (OutcomeStatus.SKIPPED, "run_cancelled")
    assert effects.calls == []


def test_the_same_event_always_gives_the_same_run(world: World) -> None:
    version = world.version(chain(node("a", "Log", message="x")))
    event = world.event()
    assert run_of_event(event, version, None, NOW) == run_of_event(event, version, None, NOW)


def test_a_run_by_hand_names_its_trigger_when_there_are_several(world: World) -> None:
    version = world.version(
        {"id": "w", "nodes": [node("a", "WebhookTrigger"), node("b", "WebhookTrigger")], "edges": []}
    )
    with pytest.raises(InvalidInput, match="several triggers, so the node must be named: a, b"):
        run_by_hand(world.ids.new(), version, None, b"1", NOW)
    with pytest.raises(InvalidInput, match="cannot start at the node 'c'"):
        run_by_hand(world.ids.new(), version, "c", b"1", NOW)


async def test_a_long_computation_lets_others_have_their_turn(world: World) -> None:
    others: list[str] = []

    @world.registry.node("Long", has_effects=False)
    async def long(step: StepContext, config: dict[str, Any]) -> None:
        world.clock.at += timedelta(milliseconds=50)
        asyncio.get_running_loop().call_soon(others.append, step.node_id)

    @world.registry.node("After", has_effects=False)
    async def after(step: StepContext, config: dict[str, Any]) -> list[str]:
        return list(others)

    event = world.event()
    store = world.dispatched(event)
    await world.go_on(store, world.version(chain(node("a", "Long"), node("b", "After"))), event)
    assert store.step("b").output == b'["a"]'
