"""Random graphs with everything that waits, joins and loops, cut at every moment at which something was stored."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from kanca.domain.status import RunStatus, StepStatus, WaitStatus
from kanca.domain.task import Retry, Step, Wait
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.step import StepContext
from tests.workflows.memory import Store, World

MOST_CLAIMS = 200
LONG_S = 1_000_000
"""Nothing else in a run lasts so long: what is answered is answered before."""

ANYWHERE: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "transform": ("Transform", {"value": {"seen": "=steps.size()", "input": "=input"}}, ("out",)),
    "yes": ("Branch", {"condition": "true"}, ("true", "false")),
    "no": ("Branch", {"condition": "false"}, ("true", "false")),
    "switch": ("Switch", {"cases": {"a": "false", "b": "true"}}, ("a", "b", "default")),
    "all": ("Merge", {"mode": "all"}, ("out",)),
    "any": ("Merge", {"mode": "any"}, ("out",)),
    "effect": ("Effect", {}, ("out",)),
    "slow": ("Effect", {"turns": 5}, ("out",)),
    "flaky": ("Effect", {"fails": 2}, ("out",)),
    "wrong": ("Effect", {"fails": 9, "continue_on_error": True, "retry": {"max_retries": 2}}, ("out",)),
    "caught": ("Effect", {"fails": 9, "retry": {"max_retries": 1}}, ("error",)),
    "moment": ("Delay", {"seconds": 7}, ("out",)),
    "nothing": ("Delay", {"seconds": 0}, ("out",)),
    "answered": ("WebhookTrigger", {"node_behavior": "trigger_only", "timeout": LONG_S}, ("out", "timeout")),
    "missed": ("WebhookTrigger", {"node_behavior": "trigger_only", "timeout": 30}, ("out", "timeout")),
}
ENDS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "stop": ("Stop", {}, ("out",)),
    "fail": ("Effect", {"fails": 9, "retry": {"max_retries": 2}}, ("out",)),
}
RACES = {"any", *ENDS}
"""With these the moment decides what becomes of a run."""


@st.composite
def definitions(draw: st.DrawFn, *, with_races: bool) -> dict[str, Any]:
    """Definitions without a mistake. The id of a node says what it is."""
    kinds = [kind for kind in {**ANYWHERE, **ENDS} if with_races or kind not in RACES]
    nodes: list[dict[str, Any]] = [{"id": "start", "type": "WebhookTrigger"}]
    edges: list[dict[str, str]] = []
    outer: list[tuple[str, tuple[str, ...]]] = [("start", ("out",))]
    for number in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from([*kinds, "loop"]))
        if kind == "loop":
            node_id = _draw_loop(draw, number, kinds, nodes, edges)
            ports: tuple[str, ...] = ("out",)
        else:
            node_id = f"{kind}-{number}"
            ports = _add(nodes, node_id, kind)
        _lead_to(draw, outer, node_id, edges)
        outer.append((node_id, ports))
    return {"id": "w", "nodes": nodes, "edges": edges}


def _draw_loop(
    draw: st.DrawFn, number: int, kinds: list[str], nodes: list[dict[str, Any]], edges: list[dict[str, str]]
) -> str:
    loop = f"loop-{number}"
    config = {
        "items": json.dumps(list(range(draw(st.integers(0, 4))))),
        "concurrency": draw(st.integers(1, 3)),
        "continue_on_error": draw(st.booleans()),
    }
    nodes.append({"id": loop, "type": "ForEach", "config": config})
    body: list[tuple[str, tuple[str, ...]]] = [(loop, ("item",))]
    for place in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(kinds))
        node_id = f"{kind}-{number}-{place}"
        ports = _add(nodes, node_id, kind)
        _lead_to(draw, body, node_id, edges)
        body.append((node_id, ports))
    return loop


def _add(nodes: list[dict[str, Any]], node_id: str, kind: str) -> tuple[str, ...]:
    type_name, config, ports = (ANYWHERE | ENDS)[kind]
    nodes.append({"id": node_id, "type": type_name, "config": config})
    return ports


def _lead_to(
    draw: st.DrawFn, earlier: list[tuple[str, tuple[str, ...]]], node_id: str, edges: list[dict[str, str]]
) -> None:
    for source, ports in draw(st.lists(st.sampled_from(earlier), min_size=1, max_size=3, unique=True)):
        edges.append({"from": source, "to": node_id, "port": draw(st.sampled_from(ports))})


Place = tuple[str, int]


@dataclass
class Moment:
    """Everything there is when a process dies."""

    store: Store
    waits: dict[UUID, Any]
    events: dict[UUID, Any]
    at: datetime


class Life:
    """A run, and what comes for it in an order that a seed says."""

    def __init__(self, values: dict[str, Any], seed: int) -> None:
        self.calls: list[tuple[Place, str]] = []
        self.moments: list[Moment] = []
        self.order = random.Random(seed)
        registry = built_in_registry()
        registry.node("Effect")(self._effect)
        self.world = World(registry)
        self.version = self.world.version(values)
        self.event = self.world.event(id=UUID(int=7))
        self.store = self.world.dispatched(self.event)
        self._remember_after_everything()

    async def finish(self) -> None:
        """Go on until the run is over."""
        for _ in range(MOST_CLAIMS):
            completion = await self.world.go_on(self.store, self.version, self.event)
            if self.store.is_over:
                return
            if not self.answer() and isinstance(completion.disposition, Retry | Wait):
                self.world.clock.at += completion.disposition.delay
        raise AssertionError(f"the run did not end within {MOST_CLAIMS} claims")

    def answer(self) -> bool:
        """Let one of the events come that the run waits for."""
        desk = self.world.desk
        open_waits = [
            wait
            for wait in desk.waits.values()
            if wait.status is WaitStatus.OPEN and wait.node_id.startswith("answered")
        ]
        if not open_waits:
            return False
        wait = self.order.choice(open_waits)
        body = json.dumps({"for": wait.node_id, "number": wait.iteration}).encode()
        desk.claim(wait.node_id, self.world.event(body), wait.iteration)
        self.world.notice()
        self.remember()
        return True

    def remember(self) -> None:
        """Here the process could die."""
        desk = self.world.desk
        self.moments.append(
            Moment(self.store.copy(), dict(desk.waits), dict(desk.events), self.world.clock.at)
        )

    @classmethod
    def after(cls, moment: Moment, values: dict[str, Any], seed: int) -> Life:
        """What follows when the process has died."""
        life = cls(values, seed)
        life.store = moment.store.copy()
        life.world.desk.waits |= moment.waits
        life.world.desk.events |= moment.events
        life.world.clock.at = moment.at + timedelta(seconds=1)
        life._remember_after_everything()
        return life

    async def _effect(self, step: StepContext, config: dict[str, Any]) -> Any:
        self.calls.append(((step.node_id, step.iteration), step.call_id))
        for _ in range(config.get("turns", 1)):
            await asyncio.sleep(0)
            if self.order.random() < 0.3:
                self.answer()
        if step.attempt_number <= config.get("fails", 0):
            raise ValueError("not yet")
        return {"at": step.node_id, "number": step.iteration, "got": step.input}

    def _remember_after_everything(self) -> None:
        desk = self.world.desk
        self._after(self.store, "apply")
        for name in ("open", "cancel", "expire", "give_up"):
            self._after(desk, name)

    def _after(self, whose: Any, name: str) -> None:
        do: Callable[..., Any] = getattr(type(whose), name)

        def did(*given: Any) -> Any:
            done = do(whose, *given)
            self.remember()
            return done

        async def did_later(*given: Any) -> Any:
            done = await do(whose, *given)
            self.remember()
            return done

        setattr(whose, name, did_later if asyncio.iscoroutinefunction(do) else did)


def steps_of(store: Store) -> dict[Place, Step]:
    return {(step.node_id, step.iteration): step for step in store.steps.values()}


def said(step: Step) -> Any:
    return (step.id, step.status, step.port, step.input, step.output, step.attempt_number)


def assert_is_whole(life: Life) -> None:
    """Whatever happened: what must hold of a run that has ended."""
    store = life.store
    steps = steps_of(store)
    assert len(steps) == len(store.steps)
    stored = Counter(step.id for done in store.history for step in done.records.steps)
    assert not stored or max(stored.values()) == 1
    assert not [wait for wait in life.world.desk.waits.values() if wait.status is WaitStatus.OPEN]
    by_place: dict[Place, set[str]] = {}
    for place, call_id in life.calls:
        by_place.setdefault(place, set()).add(call_id)
    assert all(len(call_ids) == 1 for call_ids in by_place.values())
    assert not [place for place in by_place if place in steps and steps[place].status is StepStatus.SKIPPED]
    assert store.run is not None
    if store.run.status is not RunStatus.SUCCEEDED or any("stop" in node for node, _ in steps):
        return
    workflow = life.version.ready()
    assert {node for node, number in steps if not number} == set(workflow.part("start").order)
    for loop, body in workflow.loops.items():
        if (loop, 0) in steps and steps[loop, 0].status is StepStatus.SUCCEEDED:
            count = len(json.loads(steps[loop, 0].output or b""))
            wanted = {(node, number) for node in body.order for number in range(1, count + 1)}
            assert {(node, number) for node, number in steps if node in body.order} == wanted


async def cut_everywhere(values: dict[str, Any], seed: int, *, is_fixed: bool) -> None:
    life = Life(values, seed)
    await life.finish()
    assert_is_whole(life)
    for number, moment in enumerate(life.moments):
        if moment.store.is_over:
            continue
        done = {
            place: step
            for place, step in steps_of(moment.store).items()
            if step.status is not StepStatus.DEAD
        }
        reborn = Life.after(moment, values, seed + number)
        await reborn.finish()
        assert_is_whole(reborn)
        assert not {place for place, _ in reborn.calls} & done.keys()
        steps = steps_of(reborn.store)
        assert {place: said(steps[place]) for place in done} == {
            place: said(step) for place, step in done.items()
        }
        assert reborn.store.run is not None
        assert life.store.run is not None
        if is_fixed:
            assert reborn.store.run.status is life.store.run.status
        if is_fixed and life.store.run.status is RunStatus.SUCCEEDED:  # where two fail, one is first
            before = steps_of(life.store)
            assert {p: said(s) for p, s in steps.items()} == {p: said(s) for p, s in before.items()}
            assert replace(reborn.store.run, finished_at=None) == replace(life.store.run, finished_at=None)


@given(definitions(with_races=False), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_a_run_comes_to_the_same_wherever_it_is_cut(values: dict[str, Any], seed: int) -> None:
    asyncio.run(cut_everywhere(values, seed, is_fixed=True))


@given(definitions(with_races=True), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_a_run_with_races_ends_wherever_it_is_cut_and_keeps_what_it_decided(
    values: dict[str, Any], seed: int
) -> None:
    asyncio.run(cut_everywhere(values, seed, is_fixed=False))
