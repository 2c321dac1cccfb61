"""Workflows and runs as Mermaid flowcharts, for whatever draws them: documents, issues, terminals.

Pure. The ids in a drawing are its own (``n0``, ``n1``, …), so that no node's id can be a word of Mermaid's; whatever
somebody wrote stands in quoted labels, with every character that could mean something as an entity.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from kanca.domain.status import UNFINISHED_RUNS, StepStatus, WaitStatus
from kanca.domain.task import RunChange, Step
from kanca.domain.wait import Wait
from kanca.domain.workflow import OUT, Definition, Edge, Node

WAITING = "waiting"
RUNNING = "running"
NOT_REACHED = "not_reached"

CLASSES = {
    StepStatus.DEAD: "fill:#f8d0d0,stroke:#a01818,stroke-width:3px,color:#400",
    StepStatus.FAILED: "fill:#f8d0d0,stroke:#a01818,color:#400",
    WAITING: "fill:#fdeec2,stroke:#a67c00,color:#403000",
    RUNNING: "fill:#d3e5fb,stroke:#1d5fa8,color:#022",
    StepStatus.CANCELLED: "fill:#e6dff2,stroke:#6b4fa0,color:#213",
    StepStatus.SUCCEEDED: "fill:#d5efd8,stroke:#23803a,color:#031",
    StepStatus.SKIPPED: "fill:#f2f2f2,stroke:#999,stroke-dasharray:4 3,color:#666",
    NOT_REACHED: "fill:#fff,stroke:#bbb,color:#888",
}
"""How each status looks. Of several iterations of a node that ended differently, the first one here is shown."""

_BREAK = "<br/>"
# A sign of punctuation is harmless within a word; elsewhere Mermaid may read it as Markdown.
_SPECIAL = re.compile(r"[^A-Za-z0-9 _.:,-]|(?<![A-Za-z0-9])[_.:-]|[_.:-](?![A-Za-z0-9])")


def draw_workflow(definition: Definition) -> str:
    """The graph of a definition as a Mermaid flowchart."""
    names = _names(definition)
    entered = {edge.target for edge in definition.edges}
    lines = [
        _node(names[node.id], [*_title(node)], is_start=node.id not in entered) for node in definition.nodes
    ]
    lines += [_edge(names, edge) for edge in _drawn(definition)]
    return _chart(lines)


def draw_run(definition: Definition, run: RunChange, steps: Sequence[Step], waits: Sequence[Wait]) -> str:
    """The graph of the version that a run started with, and what became of every node in it.

    Attempts and times are in the labels; of a node that ran for several items, how many ended how.
    """
    names = _names(definition)
    entered = {edge.target for edge in definition.edges}
    passage = _Passage(definition, run, steps, waits)
    lines, classes = [], {}
    for node in definition.nodes:
        classes[names[node.id]] = passage.status(node.id)
        label = [*_title(node), *passage.label(node.id)]
        lines.append(_node(names[node.id], label, is_start=node.id not in entered))
    lines += [_edge(names, edge, is_taken=passage.took(edge)) for edge in _drawn(definition)]
    return _chart([*lines, *_styles(classes)])


class _Passage:
    """How a run went through the graph."""

    def __init__(
        self, definition: Definition, run: RunChange, steps: Iterable[Step], waits: Iterable[Wait]
    ) -> None:
        self._run = run
        self._incoming: dict[str, list[Edge]] = {node.id: [] for node in definition.nodes}
        self._outgoing: dict[str, list[Edge]] = {node.id: [] for node in definition.nodes}
        for edge in _drawn(definition):
            self._incoming[edge.target].append(edge)
            self._outgoing[edge.source].append(edge)
        self._steps: dict[str, list[Step]] = {node.id: [] for node in definition.nodes}
        for step in steps:
            # What a person had the run go back behind counts no longer.
            if step.status is not StepStatus.REPLACED and step.node_id in self._steps:
                self._steps[step.node_id].append(step)
        self._waits: dict[str, list[Wait]] = {node.id: [] for node in definition.nodes}
        for wait in waits:
            if wait.status is WaitStatus.OPEN and wait.node_id in self._waits:
                self._waits[wait.node_id].append(wait)
        self._part = self._reachable([node for node, found in self._steps.items() if found])

    def status(self, node: str) -> str:
        """The class of a node: the gravest of all that may be said of it."""
        found: set[str] = {step.status for step in self._steps[node]}
        if self._waits[node]:
            found.add(WAITING)
        if not found:
            found.add(RUNNING if self._is_running(node) else NOT_REACHED)
        return next(name for name in CLASSES if name in found)

    def label(self, node: str) -> list[str]:
        """What is known of a node, as lines."""
        steps, waits = self._steps[node], self._waits[node]
        if len(steps) + len(waits) > 1:
            counted = Counter[str](step.status for step in steps)
            counted[WAITING] += len(waits)
            return [", ".join(f"{counted[name]} {name}" for name in CLASSES if counted[name])]
        if steps:
            return _step_lines(steps[0])
        if waits:
            return [f"waiting since {_moment(waits[0].opened_at)}", f"until {_moment(waits[0].due_at)}"]
        return [RUNNING] if self._is_running(node) else ["not reached"]

    def took(self, edge: Edge) -> bool:
        """Whether the run went along the edge."""
        return any(
            step.port == edge.port and step.status in (StepStatus.SUCCEEDED, StepStatus.FAILED)
            for step in self._steps.get(edge.source, ())
        )

    def _is_running(self, node: str) -> bool:
        """Whether the run is at the node: some way led there, and every node before it has ended."""
        if self._run.status not in UNFINISHED_RUNS:
            return False
        before = self._incoming[node]
        if not before:
            starts = [name for name, edges in self._incoming.items() if not edges]
            return not self._part and starts == [node]
        return any(map(self.took, before)) and all(
            # What another trigger leads to is no part of the run.
            self._steps[edge.source] or edge.source not in self._part
            for edge in before
        )

    def _reachable(self, starts: list[str]) -> set[str]:
        reached, waiting = set(starts), starts
        while waiting:
            further = {edge.target for edge in self._outgoing[waiting.pop()]} - reached
            reached |= further
            waiting.extend(further)
        return reached


def _step_lines(step: Step) -> list[str]:
    attempts = f", attempt {step.attempt_number}" if step.attempt_number > 1 else ""
    if step.status is StepStatus.SKIPPED:
        return [f"{step.status}"]
    took = (step.finished_at - step.started_at).total_seconds()
    return [f"{step.status}{attempts}", f"{_moment(step.started_at)}, {took:.3f} s"]


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


def _names(definition: Definition) -> dict[str, str]:
    return {node.id: f"n{at}" for at, node in enumerate(definition.nodes)}


def _title(node: Node) -> Iterable[str]:
    return (node.id, node.type)


def _drawn(definition: Definition) -> list[Edge]:
    """The edges that lead from a node to a node: a definition that cannot run can be drawn."""
    nodes = {node.id for node in definition.nodes}
    return [edge for edge in definition.edges if {edge.source, edge.target} <= nodes]


def _node(name: str, lines: Iterable[str], *, is_start: bool) -> str:
    label = f'"{_BREAK.join(map(_escaped, lines))}"'
    return f"{name}([{label}])" if is_start else f"{name}[{label}]"


def _edge(names: dict[str, str], edge: Edge, *, is_taken: bool = False) -> str:
    port = "" if edge.port == OUT else f'|"{_escaped(edge.port)}"|'
    return f"{names[edge.source]} {'==>' if is_taken else '-->'}{port} {names[edge.target]}"


def _styles(classes: dict[str, str]) -> list[str]:
    lines = []
    for status, look in CLASSES.items():
        members = [name for name, given in classes.items() if given == status]
        if members:
            lines += [f"classDef {status} {look}", f"class {','.join(members)} {status}"]
    return lines


def _chart(lines: Iterable[str]) -> str:
    return "\n".join(["flowchart TD", *(f"    {line}" for line in lines)]) + "\n"


def _escaped(text: str) -> str:
    """The text as a label shows it: with entities for whatever Mermaid, Markdown or HTML could read otherwise."""
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};" if found[0].isprintable() else "#65533;", text)
