"""From what a user wrote to a workflow that can run: everything that can be wrong is found when it is saved.

Pure. The codes are stable:

    bad_definition, bad_id, unknown_key, too_large       the shape of the JSON (``kanca.domain.workflow``)
    duplicate_node, unknown_node_type                    the nodes
    bad_config, unknown_key, missing_key, bad_expression the config of a node
    unknown_node, unknown_port, duplicate_edge           the edges
    no_trigger, incoming_edge, keys_without_wait         the triggers
    cycle, unreachable_node, not_before                  the graph; ``steps.x`` where x does not come before
    nested_loop, loop_entered                            the bodies of loops
    unknown_credential, unusable_credential              names of credentials, when it is published
    endpoint_contradicts                                 ``node_behavior`` of its endpoints, when it is published
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field, replace

from pydantic_core import PydanticCustomError

from kanca.domain.workflow import Definition, Edge, InvalidDefinition, Node, Problem, read_definition
from kanca.errors import InvalidWorkflow
from kanca.workflows.config import Cel, expressions_in
from kanca.workflows.graph import Graph, Part
from kanca.workflows.node_type import ERROR, ITEM, ConfigRefused, NodeSettings, NodeType
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
    ports: tuple[str, ...]
    """Those that it has by its config; the first is that of success."""
    passes_input: bool = False
    """Its output is its input: it is not stored for its successors."""
    joins_first: bool = False
    """It runs as soon as one way led to it."""
    has_error_port: bool = False
    """An edge leads on from its port ``error``."""


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
    waits: frozenset[str] = frozenset()
    """The triggers in the middle: a run waits there for an event."""
    loops: Mapping[str, Part] = field(default_factory=dict)
    """The bodies of loops, by the loop's node."""
    turn_key: Cel | None = None
    """What runs take turns by, where only so many may be at it at once."""

    def part(self, start: str) -> Part:
        """What a run that starts there consists of, but for the bodies of loops."""
        return self.graph.part(start, self._in_loops())

    def losers(self, node: str) -> AbstractSet[str]:
        """The nodes that nobody needs once ``node`` has run: every way from them leads to it."""
        return self.graph.only_towards(node, {(loop, ITEM) for loop in self.loops})

    def _in_loops(self) -> frozenset[str]:
        return frozenset(node for body in self.loops.values() for node in body.order)


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
        starts, waits = self._triggers(graph)
        cycle = graph.cycle()
        if cycle:
            self._problem(cycle[0], "cycle", f"the edges lead in a circle: {' → '.join([*cycle, cycle[0]])}")
        if starts:
            reachable = graph.reachable(starts)
            for node_id in self._types:
                if node_id not in reachable and node_id not in cycle:
                    self._problem(node_id, "unreachable_node", "no trigger leads to this node")
        loops = self._loops(graph) if not cycle else {}
        self._references(graph)
        turn_key = self._turn_key()
        if self.problems:
            return None
        return Workflow(
            self._definition,
            {node_id: self._with_edges(node, graph, waits) for node_id, node in self._nodes.items()},
            graph,
            tuple(graph.order()),
            tuple(starts),
            frozenset(waits),
            loops,
            turn_key,
        )

    def _turn_key(self) -> Cel | None:
        limits = self._definition.settings.concurrency
        if limits is None or limits.key is None:
            return None
        try:
            return Cel(limits.key, frozenset({"event"}))
        except PydanticCustomError as error:
            self._problem(None, "bad_expression", f"settings.concurrency.key: {error.message()}")
            return None

    def _with_edges(self, node: PreparedNode, graph: Graph, waits: Sequence[str]) -> PreparedNode:
        """What a node is by its place in the graph."""
        has_error_edge = any(edge.port == ERROR for edge in graph.outgoing[node.id])
        return replace(
            node,
            passes_input=node.type.passes_input and node.id not in waits,
            has_error_port=has_error_edge and ERROR not in node.ports,
        )

    def _node(self, node: Node) -> None:
        if node.id in self._types:
            self._problem(node.id, "duplicate_node", "there are several nodes with this id")
            return
        node_type = self._types[node.id] = self._registry.get(node.type)
        if node_type is None:
            self._problem(node.id, UNKNOWN_NODE_TYPE, f"there is no node type {node.type[:64]!r}")
            return
        try:
            settings = node_type.read_config(node.config)
            self._nodes[node.id] = PreparedNode(
                node.id,
                node_type,
                settings,
                node_type.ports_with(settings.config),
                joins_first=node_type.joins_first is not None and node_type.joins_first(settings.config),
            )
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
        node, node_type = self._nodes.get(edge.source), self._types[edge.source]
        if node is None and (node_type is None or node_type.ports_of is not None):
            return  # its ports are not known
        ports_there = node.ports if node is not None else node_type.ports if node_type is not None else ()
        if edge.port not in ports_there and edge.port != ERROR:
            ports = ", ".join(dict.fromkeys([*ports_there, ERROR]))
            self._problem(
                edge.source, "unknown_port", f"there is no port {edge.port[:64]!r}; there is: {ports}"
            )

    def _triggers(self, graph: Graph) -> tuple[list[str], list[str]]:
        """The triggers at which runs start, and those at which they wait."""
        triggers = [
            node_id for node_id, node_type in self._types.items() if node_type and node_type.is_trigger
        ]
        waits = [node_id for node_id in triggers if self._is_wait(node_id, graph)]
        starts = [node_id for node_id in triggers if node_id not in waits]
        if not starts:
            self._problem(
                None, "no_trigger", "a workflow needs a trigger that starts it, such as a WebhookTrigger node"
            )
        for node_id in starts:
            self._start(node_id, has_incoming=bool(graph.incoming[node_id]))
        # Further problems are looked for as if every trigger were right, so that one mistake is told once.
        return starts or triggers, waits

    def _is_wait(self, node_id: str, graph: Graph) -> bool:
        node = self._nodes.get(node_id)
        behavior = getattr(node.settings.config, "node_behavior", None) if node else None
        return behavior == "trigger_only" or (behavior == "auto" and bool(graph.incoming[node_id]))

    def _start(self, node_id: str, *, has_incoming: bool) -> None:
        node = self._nodes.get(node_id)
        if node is None:
            return
        if has_incoming:
            self._problem(node_id, "incoming_edge", "edges cannot lead to a trigger that only starts runs")
        elif getattr(node.settings.config, "event_key", None) is not None:
            self._problem(
                node_id, "keys_without_wait", "only a trigger that edges lead to waits for an event by keys"
            )

    def _loops(self, graph: Graph) -> dict[str, Part]:
        """The bodies of loops: entered only from their loop, and without loops in them."""
        bodies = {
            node_id: graph.body(node_id, ITEM)
            for node_id, node_type in self._types.items()
            if node_type is not None and node_type.is_loop
        }
        for loop, body in bodies.items():
            inside = set(body.order)
            for node_id in body.order:
                if node_id in bodies:
                    message = f"it is in the body of {loop!r}: put the inner loop into a workflow of its own"
                    self._problem(node_id, "nested_loop", message)
                    continue
                for edge in graph.incoming[node_id]:
                    if edge.source not in inside and (edge.source, edge.port) != (loop, ITEM):
                        message = f"the body of the loop {loop!r} is also led to from {edge.source!r}"
                        self._problem(node_id, "loop_entered", message)
        return bodies

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
