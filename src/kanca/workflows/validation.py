"""From what a user wrote to a workflow that can run: everything that can be wrong is found when it is saved.

Pure. The codes are stable:

    bad_definition, bad_id, unknown_key, too_large       the shape of the JSON (``kanca.domain.workflow``)
    duplicate_node, unknown_node_type                    the nodes
    bad_config, unknown_key, missing_key, bad_expression the config of a node
    unknown_node, unknown_port, duplicate_edge           the edges
    no_trigger, incoming_edge, waiting_trigger           the triggers
    cycle, unreachable_node, not_before                  the graph; ``steps.x`` where x does not come before
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace

from kanca.domain.workflow import Definition, Edge, InvalidDefinition, Node, Problem, read_definition
from kanca.errors import InvalidWorkflow
from kanca.workflows.config import expressions_in
from kanca.workflows.graph import Graph
from kanca.workflows.node_type import ConfigRefused, NodeSettings, NodeType
from kanca.workflows.nodes.webhook_trigger import NAME as TRIGGER
from kanca.workflows.nodes.webhook_trigger import START_NODE
from kanca.workflows.registry import NodeRegistry

UNKNOWN_NODE_TYPE = "unknown_node_type"
MAX_MESSAGE_PROBLEMS = 3
"""Problems that the error's sentence tells; its facts have them all."""


@dataclass(frozen=True, slots=True)
class PreparedNode:
    """A node, ready to run."""

    id: str
    type: NodeType
    settings: NodeSettings


@dataclass(frozen=True, slots=True)
class Workflow:
    """A valid definition, ready to run. Immutable."""

    definition: Definition
    nodes: Mapping[str, PreparedNode]
    graph: Graph
    order: tuple[str, ...]
    """The ids of all nodes, each after those that lead to it."""
    starts: tuple[str, ...]
    """The nodes at which a run may start."""


def read_workflow(values: object, registry: NodeRegistry) -> Workflow:
    """The workflow that the JSON value describes.

    Raises InvalidWorkflow with the fact ``problems``: every ``{"node", "code", "message"}``, ``node`` being the id of
    the node it is about, or None.
    """
    try:
        return prepare(read_definition(values), registry)
    except InvalidDefinition as error:
        raise refusal(error.problems) from None


def prepare(definition: Definition, registry: NodeRegistry) -> Workflow:
    """The workflow of a definition. Raises InvalidWorkflow as ``read_workflow`` does."""
    definition = replace(definition, nodes=tuple(map(_current, definition.nodes)))
    check = _Check(definition, registry)
    workflow = check.run()
    if workflow is None:
        raise refusal(check.problems)
    return workflow


def refusal(problems: Iterable[Problem]) -> InvalidWorkflow:
    """The error for these problems."""
    listed = list(problems)
    told = [
        f"node {problem.node!r}: {problem.message}" if problem.node else problem.message
        for problem in listed[:MAX_MESSAGE_PROBLEMS]
    ]
    if len(listed) > len(told):
        told.append(f"and {len(listed) - len(told)} more")
    return InvalidWorkflow("; ".join(told), problems=[asdict(problem) for problem in listed])


def _current(node: Node) -> Node:
    """The node with the present name of its type."""
    if node.type != START_NODE:
        return node
    return replace(node, type=TRIGGER, config={"node_behavior": "start_only"} | dict(node.config))


class _Check:
    def __init__(self, definition: Definition, registry: NodeRegistry) -> None:
        self.problems: list[Problem] = []
        self._definition = definition
        self._registry = registry
        self._types: dict[str, NodeType | None] = {}
        self._nodes: dict[str, PreparedNode] = {}

    def run(self) -> Workflow | None:
        for node in self._definition.nodes:
            self._node(node)
        graph = Graph(self._types, self._edges())
        starts = self._starts(graph)
        cycle = graph.cycle()
        if cycle:
            self._problem(cycle[0], "cycle", f"the edges lead in a circle: {' → '.join([*cycle, cycle[0]])}")
        if starts:
            reachable = graph.reachable(starts)
            for node_id in self._types:
                if node_id not in reachable and node_id not in cycle:
                    self._problem(node_id, "unreachable_node", "no trigger leads to this node")
        self._references(graph)
        if self.problems:
            return None
        return Workflow(self._definition, self._nodes, graph, tuple(graph.order()), tuple(starts))

    def _node(self, node: Node) -> None:
        if node.id in self._types:
            self._problem(node.id, "duplicate_node", "there are several nodes with this id")
            return
        node_type = self._types[node.id] = self._registry.get(node.type)
        if node_type is None:
            self._problem(node.id, UNKNOWN_NODE_TYPE, f"there is no node type {node.type[:64]!r}")
            return
        try:
            self._nodes[node.id] = PreparedNode(node.id, node_type, node_type.read_config(node.config))
        except ConfigRefused as refused:
            for code, message in refused.problems:
                self._problem(node.id, code, message)

    def _edges(self) -> list[Edge]:
        """The edges whose ends are there."""
        usable: dict[Edge, None] = {}
        for edge in self._definition.edges:
            source_is_known, target_is_known = edge.source in self._types, edge.target in self._types
            if not source_is_known:
                self._problem(
                    edge.target if target_is_known else None,
                    "unknown_node",
                    f"an edge comes from {edge.source[:64]!r}, which is no node",
                )
            if not target_is_known:
                self._problem(
                    edge.source if source_is_known else None,
                    "unknown_node",
                    f"an edge leads to {edge.target[:64]!r}, which is no node",
                )
            if not (source_is_known and target_is_known):
                continue
            self._port(edge)
            if edge in usable:
                self._problem(
                    edge.source, "duplicate_edge", f"there are several equal edges to {edge.target!r}"
                )
            usable[edge] = None
        return list(usable)

    def _port(self, edge: Edge) -> None:
        node_type = self._types[edge.source]
        if node_type is not None and edge.port not in node_type.ports:
            ports = ", ".join(node_type.ports)
            self._problem(
                edge.source, "unknown_port", f"there is no port {edge.port[:64]!r}; there is: {ports}"
            )

    def _starts(self, graph: Graph) -> list[str]:
        triggers = [
            node_id for node_id, node_type in self._types.items() if node_type and node_type.is_trigger
        ]
        if not triggers:
            self._problem(None, "no_trigger", "a workflow needs a trigger, such as a WebhookTrigger node")
        for node_id in triggers:
            self._trigger(node_id, has_incoming=bool(graph.incoming[node_id]))
        # Further problems are looked for as if every trigger were right, so that one mistake is told once.
        return triggers

    def _trigger(self, node_id: str, *, has_incoming: bool) -> None:
        node = self._nodes.get(node_id)
        behavior = getattr(node.settings.config, "node_behavior", None) if node else None
        if behavior == "trigger_only" or (behavior == "auto" and has_incoming):
            self._problem(node_id, "waiting_trigger", "waiting triggers are not supported yet")
        elif has_incoming and node is not None:
            self._problem(node_id, "incoming_edge", "edges cannot lead to a trigger that only starts runs")

    def _references(self, graph: Graph) -> None:
        for node in self._nodes.values():
            named = {
                name for found in expressions_in(node.settings.config) for name in found.keys_of("steps")
            }
            if not named:
                continue
            before = graph.leading_to(node.id)
            for name in sorted(named - before):
                why = "does not come before this node" if name in self._types else "is no node"
                self._problem(
                    node.id,
                    "not_before",
                    f"an expression speaks of steps.{name[:64]}, but {name[:64]!r} {why}",
                )

    def _problem(self, node: str | None, code: str, message: str) -> None:
        self.problems.append(Problem(node, code, message))
