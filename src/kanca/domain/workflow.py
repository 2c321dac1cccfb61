"""Workflows: definitions as they are saved, versions as they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kanca.domain.ids import CHOSEN_ID

OUT = "out"
"""The port of nodes that have only one, and of edges that name none."""

MAX_NODES = 500
MAX_EDGES = 2_000
MAX_NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Node:
    """One box of the graph: what it is called, what it is, and how it is set."""

    id: str
    type: str
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Edge:
    """From a port of one node to another node."""

    source: str
    target: str
    port: str = OUT


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many runs may be unfinished at once."""

    limit: int
    key: str | None = None
    """An expression over the event: so many for each key. None: so many in all."""
    when_full: str = "queue"


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What holds for every run of a workflow."""

    timeout: float | None = None
    concurrency: Concurrency | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """A workflow as a user writes it. Only its shape is known to be right: see ``kanca.workflows.validation``."""

    id: str
    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    settings: RunSettings = RunSettings()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a definition."""

    node: str | None
    """The id of the node it is about; None when it is about the whole."""
    code: str
    message: str


class InvalidDefinition(ValueError):
    """A definition without the right shape; ``problems`` are all there are."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(problem.message for problem in problems))


def read_definition(values: object) -> Definition:
    """The definition in ``values``, as JSON gives it.

    ``{"id", "name"?, "nodes": [{"id", "type", "config"?}], "edges"?: [{"from", "to", "port"?}]}``; the name defaults to
    the id, an edge's port to ``out``.

    Raises InvalidDefinition with every missing or unknown key, wrong type and impossible value.
    """
    reader = _Reader()
    definition = reader.definition(values)
    if definition is None or reader.problems:
        raise InvalidDefinition(reader.problems)
    return definition


def show_definition(definition: Definition) -> dict[str, Any]:
    """The definition as JSON gives it back; reading it gives an equal one."""
    return {
        "id": definition.id,
        "name": definition.name,
        "nodes": [
            {"id": node.id, "type": node.type, "config": dict(node.config)} for node in definition.nodes
        ],
        "edges": [{"from": edge.source, "to": edge.target, "port": edge.port} for edge in definition.edges],
    }


class _Reader:
    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def definition(self, values: object) -> Definition | None:
        if not isinstance(values, Mapping):
            self._problem("the definition must be an object")
            return None
        self._unknown_keys(values, {"id", "name", "nodes", "edges"}, "the definition")
        workflow_id = self._chosen_id(values, "id", "the definition")
        name = values.get("name", workflow_id)
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_LENGTH:
            self._problem(f'"name" of the definition must be a text of 1 to {MAX_NAME_LENGTH} characters')
            name = ""
        nodes = [self._node(entry, f"nodes[{at}]") for at, entry in self._list(values, "nodes", MAX_NODES)]
        edges = [self._edge(entry, f"edges[{at}]") for at, entry in self._list(values, "edges", MAX_EDGES)]
        return Definition(workflow_id, name, tuple(filter(None, nodes)), tuple(filter(None, edges)))

    def _node(self, values: object, where: str) -> Node | None:
        if not isinstance(values, Mapping):
            self._problem(f"{where} must be an object")
            return None
        node_id = self._chosen_id(values, "id", where)
        node = node_id or None
        self._unknown_keys(values, {"id", "type", "config"}, where, node)
        type_name, config = values.get("type"), values.get("config", {})
        if not isinstance(type_name, str) or not type_name:
            self._problem(f'"type" of {where} must be the name of a node type', node)
            return None
        if not isinstance(config, Mapping):
            self._problem(f'"config" of {where} must be an object', node)
            return None
        return Node(node_id, type_name, config)

    def _edge(self, values: object, where: str) -> Edge | None:
        if not isinstance(values, Mapping):
            self._problem(f"{where} must be an object")
            return None
        self._unknown_keys(values, {"from", "to", "port"}, where)
        ends = values.get("from"), values.get("to"), values.get("port", OUT)
        for key, value in zip(("from", "to", "port"), ends, strict=True):
            if not isinstance(value, str) or not value:
                self._problem(f'"{key}" of {where} must be a text')
                return None
        return Edge(*ends)  # type: ignore[arg-type]  # each was just seen to be a str

    def _list(self, values: Mapping[str, Any], key: str, limit: int) -> list[tuple[int, object]]:
        entries = values.get(key, [] if key == "edges" else None)
        if not isinstance(entries, list | tuple):
            self._problem(f'"{key}" of the definition must be a list')
            return []
        if len(entries) > limit:
            self._problem(f"the definition has more than {limit} {key}", code="too_large")
            return []
        return list(enumerate(entries))

    def _chosen_id(self, values: Mapping[str, Any], key: str, where: str) -> str:
        value = values.get(key)
        if isinstance(value, str) and CHOSEN_ID.fullmatch(value):
            return value
        self._problem(f'"{key}" of {where} must be 1 to 64 letters, digits, "-" or "_"', code="bad_id")
        return ""

    def _unknown_keys(
        self, values: Mapping[str, Any], known: set[str], where: str, node: str | None = None
    ) -> None:
        for key in values:
            if key not in known:
                self._problem(f"{where} has the unknown key {str(key)[:64]!r}", node, code="unknown_key")

    def _problem(self, message: str, node: str | None = None, code: str = "bad_definition") -> None:
        self.problems.append(Problem(node, code, message))
