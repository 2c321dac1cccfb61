"""Random graphs: what is accepted ends, and goes on after a crash at any checkpoint as if there had been none."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kanca.domain.status import RunStatus, StepStatus
from kanca.domain.task import Done
from kanca.errors import InvalidWorkflow
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.step import Left, StepContext
from kanca.workflows.validation import read_workflow
from tests.workflows.memory import Store, World

TYPES = {
    "Transform": {"value": {"seen": "=steps.size()", "input": "=input"}},
    "Log": {"message": "=string(run.version)"},
    "Effect": {"fails": 0},
    "Flaky": {"fails": 2},
    "Yes": {},
    "No": {},
}


class Calls:
    """The calls of nodes with effects: ``(node, call id, attempt)``."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str, int]] = []

    def world(self) -> World:
        registry = built_in_registry()

        async def effect(step: StepContext, config: dict[str, Any]) -> Left:
            self.made.append((step.node_id, step.call_id, step.attempt_number))
            await asyncio.sleep(0)
            if step.attempt_number <= config["fails"]:
                raise ValueError("not yet")
            return step.leave("true", {"at": step.node_id, "after": sorted(step.outputs)})

        registry.node("Effect", ports=("true", "false"))(effect)
        registry.node("Flaky", ports=("true", "false"))(effect)
        return World(registry)


def node_of(node_id: str, kind: str) -> dict[str, Any]:
    if kind in ("Yes", "No"):
        return {
            "id": node_id,
            "type": "Branch",
            "config": {"condition": "true" if kind == "Yes" else "false"},
        }
    return {"id": node_id, "type": kind, "config": TYPES[kind]}


@st.composite
def any_definitions(draw: st.DrawFn) -> dict[str, Any]:
    """Definitions that may have anything wrong with them, but often have not."""
    kinds = st.sampled_from([*TYPES, "WebhookTrigger", "WebhookStartNode", "Unknown"])
    ids = st.sampled_from([f"n{number}" for number in range(8)])
    chosen = draw(st.lists(st.tuples(ids, kinds), min_size=1, max_size=8))
    nodes = [
        {"id": node_id, "type": kind} if kind not in TYPES else node_of(node_id, kind)
        for node_id, kind in chosen
    ]
    edge = st.fixed_dictionaries(
        {"from": ids, "to": ids, "port": st.sampled_from(["out", "true", "false", "no"])}
    )
    return {"id": "w", "nodes": nodes, "edges": draw(st.lists(edge, max_size=12))}


@st.composite
def good_definitions(draw: st.DrawFn) -> dict[str, Any]:
    """Definitions without a mistake: every node but the first has an edge from an earlier one."""
    kinds = draw(st.lists(st.sampled_from(list(TYPES)), min_size=1, max_size=9))
    nodes = [{"id": "n0", "type": "WebhookTrigger", "config": {}}]
    nodes += [node_of(f"n{at}", kind) for at, kind in enumerate(kinds, 1)]
    ports = [("out",)] + [("out",) if kind in ("Transform", "Log") else ("true", "false") for kind in kinds]
    edges: set[tuple[int, int, str]] = set()
    for target in range(1, len(nodes)):
        for source in draw(st.sets(st.integers(0, target - 1), min_size=1, max_size=3)):
            edges.add((source, target, draw(st.sampled_from(ports[source]))))
    drawn = [{"from": f"n{a}", "to": f"n{b}", "port": port} for a, b, port in sorted(edges)]
    return {"id": "w", "nodes": nodes, "edges": drawn}


def ended(store: Store) -> dict[str, Any]:
    """What the steps say, times apart."""
    return {
        step.node_id: (step.id, step.status, step.port, step.input, step.output, step.attempt_number)
        for step in store.steps.values()
    }


@given(any_definitions())
@settings(max_examples=200, deadline=None)
def test_a_definition_is_refused_with_problems_or_runs_to_its_end(values: dict[str, Any]) -> None:
    world = Calls().world()
    try:
        workflow = read_workflow(values, world.registry)
    except InvalidWorkflow as refused:
        problems = refused.facts["problems"]
        named = {problem["node"] for problem in problems} - {None}
        assert problems
        assert named <= {node["id"] for node in values["nodes"]}
        return
    for start in workflow.starts:
        event = world.event()
        store = world.dispatched(event)
        version = world.version(values)
        asyncio.run(run_from(world, store, version, event, start))
        stored = Counter(step.node_id for done in store.history for step in done.records.steps)
        assert stored == dict.fromkeys(workflow.graph.reachable([start]), 1)


async def run_from(world: World, store: Store, version: Any, event: Any, start: str) -> None:
    completion = await world.go_on(store, version, event, node_id=start)
    if not store.is_over:
        completion = await world.finish(store, version, event)
    assert isinstance(completion.disposition, Done)


@given(good_definitions())
@settings(max_examples=150, deadline=None)
def test_a_run_goes_on_after_a_crash_at_any_checkpoint(values: dict[str, Any]) -> None:
    asyncio.run(crash_everywhere(values))


async def crash_everywhere(values: dict[str, Any]) -> None:
    calls = Calls()
    world = calls.world()
    version = world.version(values)
    event = world.event()
    store = world.dispatched(event)
    snapshots = [store.copy()]
    apply = store.apply

    def apply_and_keep(completion: Any) -> None:
        apply(completion)
        snapshots.append(store.copy())

    store.apply = apply_and_keep  # type: ignore[method-assign]  # every completion is a moment to die after
    await world.finish(store, version, event)
    assert store.run is not None
    assert store.run.status is RunStatus.SUCCEEDED
    call_ids = {node: call_id for node, call_id, _ in calls.made}

    for snapshot in snapshots[:-1]:
        already = {step.node_id for step in snapshot.steps.values() if step.status is StepStatus.SUCCEEDED}
        after = Calls()
        reborn = after.world()
        reborn.clock.at = world.clock.at
        await reborn.finish(snapshot, reborn.version(values), event)
        assert ended(snapshot) == ended(store)
        assert snapshot.run is not None
        assert snapshot.run.output == store.run.output
        assert not {node for node, _, _ in after.made} & already
        assert all(call_ids[node] == call_id for node, call_id, _ in after.made)
