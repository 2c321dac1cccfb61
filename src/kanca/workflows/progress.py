"""Where a run is: what has ended, what may start, what is skipped. Pure: the same steps give the same answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kanca.domain.status import StepStatus
from kanca.domain.task import Step
from kanca.workflows.validation import Workflow
from kanca.workflows.values import read_json


class Fate(Enum):
    """What becomes of a node that has not ended."""

    WAITS = 1
    """A node that leads to it has not ended."""
    RUNS = 2
    """All that lead to it have ended, and one at least was left towards it."""
    SKIPPED = 3
    """All that lead to it have ended or were skipped, and none was left towards it."""


@dataclass(frozen=True, slots=True)
class _Ended:
    port: str | None
    """None: it was skipped."""
    output: Any = None


class Progress:
    """The nodes of one run. Only what can be reached from its start is part of it."""

    def __init__(self, workflow: Workflow, start: str, data: Any) -> None:
        """A run that starts at the node ``start`` with ``data``."""
        part = workflow.graph.part(start)
        self.order = part.order
        """The ids of its nodes, each after those that lead to it."""
        self.outputs: dict[str, Any] = {}
        """The outputs of the nodes that ran."""
        self._workflow = workflow
        self._incoming = part.incoming
        self._start = start
        self._data = data
        self._ended: dict[str, _Ended] = {}

    def restore(self, steps: Iterable[Step]) -> None:
        """Take over what is stored. Steps that are dead do not count: somebody asked for another try."""
        stored = {step.node_id: step for step in steps if step.status is not StepStatus.DEAD}
        for node in self.order:
            step = stored.get(node)
            if step is None:
                continue
            if step.status is StepStatus.SKIPPED or step.port is None:
                self.skip(node)
            elif self._workflow.nodes[node].type.passes_input:
                self.end(node, step.port, self.input_of(node))
            else:
                self.end(node, step.port, None if step.output is None else read_json(step.output))

    def fate(self, node: str) -> Fate:
        """What becomes of a node that has not ended."""
        edges = self._incoming[node]
        if not edges:
            return Fate.RUNS
        is_wanted = False
        for edge in edges:
            before = self._ended.get(edge.source)
            if before is None:
                return Fate.WAITS
            is_wanted |= before.port == edge.port
        return Fate.RUNS if is_wanted else Fate.SKIPPED

    def input_of(self, node: str) -> Any:
        """The output of the node that led to it; of several, an object with each one's output under its id."""
        if node == self._start:
            return self._data
        led = {
            edge.source: self._ended[edge.source].output
            for edge in self._incoming[node]
            if edge.source in self._ended and self._ended[edge.source].port == edge.port
        }
        return next(iter(led.values())) if len(led) == 1 else led

    def outputs_before(self, node: str) -> dict[str, Any]:
        """The outputs of the nodes that lead to ``node``, by id (of those beside it, chance says when they end)."""
        before = self._workflow.graph.leading_to(node)
        return {name: output for name, output in self.outputs.items() if name in before}

    def has_ended(self, node: str) -> bool:
        """Whether it ran or was skipped."""
        return node in self._ended

    def end(self, node: str, port: str, output: Any) -> None:
        """The node was left by ``port`` with ``output``."""
        self._ended[node] = _Ended(port, output)
        self.outputs[node] = output

    def skip(self, node: str) -> None:
        """The node does not run."""
        self._ended[node] = _Ended(None)

    def is_complete(self) -> bool:
        """Whether every node has ended."""
        return len(self._ended) == len(self.order)

    def result(self) -> Any:
        """The output of the node at which the run ended; of several, an object with each one's output under its id."""
        last: Mapping[str, Any] = {
            node: self.outputs[node] for node in self.order if node in self.outputs and not self._led_on(node)
        }
        return next(iter(last.values())) if len(last) == 1 else dict(last)

    def _led_on(self, node: str) -> bool:
        port = self._ended[node].port
        return any(edge.port == port for edge in self._workflow.graph.outgoing[node])
