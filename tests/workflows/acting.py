"""Graphs in short, and nodes that do as they are told."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from kanca.domain.event import StoredEvent
from kanca.domain.task import Completion
from kanca.testing import FakeHttp
from kanca.workflows.node_type import ConfigRefused
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.runs import WorkflowVersion
from kanca.workflows.step import StepContext
from kanca.workflows.surroundings import ResumeUrl
from kanca.workflows.values import read_json
from tests.workflows.memory import Store, World


def node(node_id: str, type_name: str, **config: Any) -> dict[str, Any]:
    return {"id": node_id, "type": type_name, "config": config}


def waiting(node_id: str, **config: Any) -> dict[str, Any]:
    return node(node_id, "WebhookTrigger", node_behavior="trigger_only", **config)


def graph(*nodes: dict[str, Any], edges: str, **settings: Any) -> dict[str, Any]:
    """``edges``: words such as ``start>check check.true>end``. The trigger ``start`` is always there."""
    drawn = []
    for word in edges.split():
        source, target = word.split(">")
        source, _, port = source.partition(".")
        drawn.append({"from": source, "to": target, "port": port or "out"})
    values = {"id": "w", "nodes": [node("start", "WebhookTrigger"), *nodes], "edges": drawn}
    return values | ({"settings": settings} if settings else {})


def problems(type_name: str, **config: Any) -> set[str]:
    """The codes of what is wrong with a config when it is saved."""
    node_type = built_in_registry().get(type_name)
    assert node_type is not None
    try:
        node_type.read_config(config)
    except ConfigRefused as refused:
        return {code for code, _ in refused.problems}
    return set()


class Actors:
    """The node type ``Effect``: it waits for its gate, if it has one, and fails as often as it is told."""

    def __init__(self) -> None:
        self.calls: list[StepContext] = []
        self.gates: dict[tuple[str, int], asyncio.Event] = defaultdict(asyncio.Event)
        """Set one, and the node ``(id, iteration)`` goes on that has ``gated`` in its config."""
        self.begun: dict[tuple[str, int], asyncio.Event] = defaultdict(asyncio.Event)
        self.cancelled: list[tuple[str, int]] = []
        self.failures: dict[str, list[BaseException]] = defaultdict(list)
        """What the next calls of a node raise."""
        self.at_work = 0
        self.most_at_work = 0

    async def act(self, step: StepContext, config: dict[str, Any]) -> Any:
        place = (step.node_id, step.iteration)
        self.calls.append(step)
        self.begun[place].set()
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            await (self.gates[place].wait() if config.get("gated") else asyncio.sleep(0))
        except asyncio.CancelledError:
            self.cancelled.append(place)
            raise
        finally:
            self.at_work -= 1
        if self.failures[step.node_id]:
            raise self.failures[step.node_id].pop(0)
        if config.get("refuses") == step.input:
            raise ValueError(f"not {step.input}")
        return config.get("gives", step.input)

    def called(self) -> list[tuple[str, int]]:
        return [(step.node_id, step.iteration) for step in self.calls]


class Play:
    """One run of one graph."""

    def __init__(
        self,
        values: dict[str, Any],
        body: bytes = b'{"total":150}',
        http: FakeHttp | None = None,
        resume_url: ResumeUrl | None = None,
    ) -> None:
        self.actors = Actors()
        registry = built_in_registry()
        registry.node("Effect")(self.actors.act)
        self.world = World(registry, http, resume_url=resume_url)
        self.version: WorkflowVersion = self.world.version(values)
        self.event: StoredEvent = self.world.event(body)
        self.store: Store = self.world.dispatched(self.event)

    async def go_on(self) -> Completion:
        return await self.world.go_on(self.store, self.version, self.event)

    async def finish(self, most_claims: int = 50) -> Completion:
        return await self.world.finish(self.store, self.version, self.event, most_claims)

    def begin(self) -> asyncio.Task[Completion]:
        """One claim, beside the test."""
        return asyncio.create_task(self.go_on())

    async def begun(self, node_id: str, iteration: int = 0) -> None:
        """Wait until that node is at work."""
        async with asyncio.timeout(5):
            await self.actors.begun[node_id, iteration].wait()

    def open(self, node_id: str, iteration: int = 0) -> None:
        """Let a gated node go on."""
        self.actors.gates[node_id, iteration].set()

    def come(self, node_id: str, data: str = "{}", iteration: int = 0) -> None:
        """Let an event come for a wait, and say so."""
        self.world.desk.claim(node_id, self.world.event(data.encode()), iteration)
        self.world.notice()

    async def until(self, is_so: Any) -> None:
        """Let the run go on beside the test until something is so."""
        for _ in range(1_000):
            if is_so():
                return
            await asyncio.sleep(0)
        raise AssertionError("it has not come to be so")

    def statuses(self) -> dict[str, str]:
        """How the nodes ended; ``node#2`` in the body of a loop."""
        return {
            step.node_id + (f"#{step.iteration}" if step.iteration else ""): step.status.value
            for step in self.store.steps.values()
        }

    def waits(self) -> dict[str, str]:
        return {
            wait.node_id + (f"#{wait.iteration}" if wait.iteration else ""): wait.status.value
            for wait in self.world.desk.waits.values()
        }

    @property
    def status(self) -> str:
        assert self.store.run is not None
        return self.store.run.status.value

    @property
    def output(self) -> Any:
        assert self.store.run is not None
        return None if self.store.run.output is None else read_json(self.store.run.output)

    @property
    def error(self) -> Any:
        assert self.store.run is not None
        return None if self.store.run.error is None else read_json(self.store.run.error)
