"""Where a run is: what has ended, what may start, what is skipped. Pure: the same steps give the same answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from kanca.domain.status import StepStatus
from kanca.domain.task import Step
from kanca.workflows.graph import Part
from kanca.workflows.node_type import ITEM
from kanca.workflows.values import read_json

if TYPE_CHECKING:
    # Node types are loaded with it, and one of them counts its items here.
    from kanca.workflows.validation import Workflow


class At(NamedTuple):
    """A node in a run: in the body of a loop there is one for each item."""

    node_id: str
    iteration: int = 0
    """0, or the number of the item, from 1."""


class Fate(Enum):
    """What becomes of a node that has not ended."""

    WAITS = 1
    """A node that leads to it has not ended."""
    RUNS = 2
    """All that lead to it have ended (or one has, where that is enough), and one at least was left towards it."""
    SKIPPED = 3
    """All that lead to it have ended or were skipped, and none was left towards it."""


@dataclass(frozen=True, slots=True)
class _Ended:
    port: str | None
    """None: it was skipped."""
    output: Any = None


class Progress:
    """The nodes of one run, or of the body of a loop for one item."""

    def __init__(self, workflow: Workflow, part: Part, iteration: int = 0) -> None:
        """``part``: the nodes. Say with ``start_at`` or ``enter`` where it begins."""
        self.order = part.order
        """The ids of its nodes, each after those that lead to it."""
        self.iteration = iteration
        self.outputs: dict[str, Any] = {}
        """The outputs of the nodes that ran."""
        self.error: Any = None
        """What the body of a loop failed of, for this item."""
        self._workflow = workflow
        self._incoming = part.incoming
        self._ended: dict[str, _Ended] = {}
        self._start: str | None = None
        self._data: Any = None
        self.loop: str | None = None
        """The loop that it is the body of."""
        self._outer: Progress | None = None
        self._open = len(part.order)

    def start_at(self, node: str, data: Any) -> Progress:
        """The run starts at that node, with these data as its input."""
        self._start, self._data = node, data
        return self

    def enter(self, loop: str, item: Any, outer: Progress) -> Progress:
        """The body is entered from a loop with one item. ``outer``: the run around it."""
        self._ended[loop] = _Ended(ITEM, item)
        self.outputs[loop] = {"item": item, "index": self.iteration - 1}
        self.loop, self._outer = loop, outer
        return self

    def restore(self, steps: Iterable[Step]) -> None:
        """Take over what is stored. Steps that are dead do not count: somebody asked for another try."""
        stored = {step.node_id: step for step in steps if step.status not in _VOID}
        for node in self.order:
            step = stored.get(node)
            if step is None:
                continue
            if step.port is None:
                self.skip(node)
                if step.status is StepStatus.FAILED and step.error is not None:
                    self.error = read_json(step.error)
            elif step.status is StepStatus.SUCCEEDED and self._workflow.nodes[node].passes_input:
                self.end(node, step.port, self.input_of(node))
            else:
                self.end(node, step.port, None if step.output is None else read_json(step.output))

    def fate(self, node: str) -> Fate:
        """What becomes of a node that has not ended."""
        edges = self._incoming[node]
        if not edges:
            return Fate.RUNS
        is_wanted = waits = False
        for edge in edges:
            before = self._ended.get(edge.source)
            if before is None:
                waits = True
            else:
                is_wanted |= before.port == edge.port
        if is_wanted and (not waits or self._workflow.nodes[node].joins_first):
            return Fate.RUNS
        return Fate.WAITS if waits else Fate.SKIPPED

    def input_of(self, node: str) -> Any:
        """The output of the node that led to it; of several, an object with each one's output under its id."""
        if node == self._start:
            return self._data
        led = {
            edge.source: self._ended[edge.source].output
            for edge in self._incoming[node]
            if edge.source in self._ended and self._ended[edge.source].port == edge.port
        }
        if len(led) == 1 or (led and self._workflow.nodes[node].joins_first):
            return next(iter(led.values()))
        return led

    def outputs_before(self, node: str) -> dict[str, Any]:
        """The outputs of the nodes that lead to ``node``, by id (of those beside it, chance says when they end)."""
        before = self._workflow.graph.leading_to(node)
        known = self.outputs if self._outer is None else self._outer.outputs | self.outputs
        return {name: output for name, output in known.items() if name in before}

    def has_ended(self, node: str) -> bool:
        """Whether it ran or was skipped."""
        return node in self._ended

    def end(self, node: str, port: str, output: Any) -> None:
        """The node was left by ``port`` with ``output``."""
        self._ended[node] = _Ended(port, output)
        self.outputs[node] = output
        self._open -= 1

    def skip(self, node: str) -> None:
        """The node does not run."""
        self._ended[node] = _Ended(None)
        self._open -= 1

    def unfinished(self, among: Iterable[str] | None = None) -> list[str]:
        """The nodes that have not ended, of all or ``among`` these, in their order."""
        wanted = None if among is None else set(among)
        return [node for node in self.order if node not in self._ended and (wanted is None or node in wanted)]

    def is_complete(self) -> bool:
        """Whether every node has ended."""
        return not self._open

    def result(self) -> Any:
        """The output of the node at which the run ended; of several, an object with each one's output under its id.

        Of the body of a loop that has no nodes, the item.
        """
        if self.loop is not None and not self.order:
            return self._ended[self.loop].output
        last: Mapping[str, Any] = {
            node: self.outputs[node] for node in self.order if node in self.outputs and not self._led_on(node)
        }
        return next(iter(last.values())) if len(last) == 1 else dict(last)

    def _led_on(self, node: str) -> bool:
        port = self._ended[node].port
        return any(edge.port == port for edge in self._workflow.graph.outgoing[node])


_VOID = (StepStatus.DEAD, StepStatus.REPLACED)
