"""Workflows: definitions as they are saved, versions as they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from kanca.domain.ids import CHOSEN_ID

OUT = "out"
"""The port of nodes that have only one, and of edges that name none."""

MAX_NODES = 500
MAX_EDGES = 2_000
MAX_NAME_LENGTH = 200
MAX_DESCRIPTION_LENGTH = 2_000
MAX_TIMEOUT_SECONDS = 31_536_000
MAX_CONCURRENCY = 10_000
MAX_KEY_LENGTH = 10_000
MAX_COORDINATE = 1e9

WhenFull = Literal["queue", "skip"]
"""What becomes of a run that has no room: it waits for its turn, or there is none."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a drawing tool put a node. Nothing follows from it."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Node:
    """One box of the graph: what it is called, what it is, and how it is set."""

    id: str
    type: str
    config: Mapping[str, Any] = field(default_factory=dict)
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """From a port of one node to another node."""

    source: str
    target: str
    port: str = OUT


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many runs may go on at the same time."""

    limit: int
    key: str | None = None
    """An expression over the event: the limit is for each of its values. None: one limit for the workflow."""
    when_full: WhenFull = "queue"


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What holds for every run of the workflow."""

    timeout: float | None = None
    """Seconds from its start after which a run fails; None: it may take as long as it takes."""
    concurrency: Concurrency | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """A workflow as a user writes it. Only its shape is known to be right: see ``kanca.workflows.validation``."""

    id: str
    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    settings: RunSettings = RunSettings()
    description: str | None = None


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

    ``{"id", "name"?, "description"?, "nodes": [{"id", "type", "config"?, "position"?: {"x", "y"}}],
    "edges"?: [{"from", "to", "port"?}], "settings"?: {"timeout"?, "concurrency"?: {"limit", "key"?, "when_full"?}}}``;
    the name defaults to the id, an edge's port to ``out``.

    Raises InvalidDefinition with every missing or unknown key, wrong type and impossible value.
    """
    reader = _Reader()
    definition = reader.definition(values)
    if definition is None or reader.problems:
        raise InvalidDefinition(reader.problems)
    return definition


def show_definition(definition: Definition) -> dict[str, Any]:
    """The definition as JSON gives it back; reading it gives an equal one. What is optional is left out when unset."""
    shown: dict[str, Any] = {"id": definition.id, "name": definition.name}
    if definition.description is not None:
        shown["description"] = definition.description
    shown["nodes"] = [show_node(node) for node in definition.nodes]
    shown["edges"] = [show_edge(edge) for edge in definition.edges]
    if definition.settings != RunSettings():
        shown["settings"] = _show_settings(definition.settings)
    return shown


def show_node(node: Node) -> dict[str, Any]:
    """The node as JSON gives it back."""
    shown = {"id": node.id, "type": node.type, "config": dict(node.config)}
    if node.position is not None:
        shown["position"] = {"x": node.position.x, "y": node.position.y}
    return shown


def show_edge(edge: Edge) -> dict[str, Any]:
    """The edge as JSON gives it back."""
    return {"from": edge.source, "to": edge.target, "port": edge.port}


def _show_settings(settings: RunSettings) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if settings.timeout is not None:
        shown["timeout"] = settings.timeout
    if settings.concurrency is not None:
        given = asdict(settings.concurrency)
        shown["concurrency"] = {key: value for key, value in given.items() if value is not None}
    return shown


class _Reader:
    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def definition(self, values: object) -> Definition | None:
        if not isinstance(values, Mapping):
            self._problem("the definition must be an object")
            return None
        known = {"id", "name", "description", "nodes", "edges", "settings"}
        self._unknown_keys(values, known, "the definition")
        workflow_id = self._chosen_id(values, "id", "the definition")
        name = values.get("name", workflow_id)
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_LENGTH:
            self._problem(f'"name" of the definition must be a text of 1 to {MAX_NAME_LENGTH} characters')
            name = ""
        description = values.get("description")
        if description is not None and not _is_text(description, MAX_DESCRIPTION_LENGTH):
            self._problem(f'"description" must be a text of at most {MAX_DESCRIPTION_LENGTH} characters')
        settings = self._settings(values.get("settings", {}))
        nodes = [self._node(entry, f"nodes[{at}]") for at, entry in self._list(values, "nodes", MAX_NODES)]
        edges = [self._edge(entry, f"edges[{at}]") for at, entry in self._list(values, "edges", MAX_EDGES)]
        return Definition(
            workflow_id, name, tuple(filter(None, nodes)), tuple(filter(None, edges)), settings, description
        )

    def _settings(self, values: object) -> RunSettings:
        if not isinstance(values, Mapping):
            self._problem('"settings" must be an object')
            return RunSettings()
        self._unknown_keys(values, {"timeout", "concurrency"}, '"settings"')
        timeout = values.get("timeout")
        if timeout is not None and not (_is_number(timeout) and 0 < timeout <= MAX_TIMEOUT_SECONDS):
            self._problem(
                f'"timeout" of "settings" must be seconds, more than 0 and at most {MAX_TIMEOUT_SECONDS}'
            )
        return RunSettings(timeout, self._concurrency(values.get("concurrency")))

    def _concurrency(self, values: object) -> Concurrency | None:
        if values is None:
            return None
        if not isinstance(values, Mapping):
            self._problem('"concurrency" of "settings" must be an object')
            return None
        self._unknown_keys(values, {"limit", "key", "when_full"}, '"concurrency"')
        limit, key, when_full = values.get("limit"), values.get("key"), values.get("when_full", "queue")
        if type(limit) is not int or not 1 <= limit <= MAX_CONCURRENCY:
            self._problem(f'"limit" of "concurrency" must be a whole number from 1 to {MAX_CONCURRENCY}')
            limit = 1
        if key is not None and (not key or not _is_text(key, MAX_KEY_LENGTH)):
            self._problem('"key" of "concurrency" must be an expression, as a text')
        if when_full not in ("queue", "skip"):
            self._problem('"when_full" of "concurrency" must be "queue" or "skip"')
        return Concurrency(limit, key, when_full)

    def _node(self, values: object, where: str) -> Node | None:
        if not isinstance(values, Mapping):
            self._problem(f"{where} must be an object")
            return None
        node_id = self._chosen_id(values, "id", where)
        node = node_id or None
        self._unknown_keys(values, {"id", "type", "config", "position"}, where, node)
        type_name, config = values.get("type"), values.get("config", {})
        if not isinstance(type_name, str) or not type_name:
            self._problem(f'"type" of {where} must be the name of a node type', node)
            return None
        if not isinstance(config, Mapping):
            self._problem(f'"config" of {where} must be an object', node)
            return None
        return Node(node_id, type_name, config, self._position(values.get("position"), where, node))

    def _position(self, values: object, where: str, node: str | None) -> Position | None:
        if values is None:
            return None
        if isinstance(values, Mapping) and values.keys() == {"x", "y"}:
            x, y = values["x"], values["y"]
            if all(_is_number(each) and abs(each) <= MAX_COORDINATE for each in (x, y)):
                return Position(x, y)
        self._problem(f'"position" of {where} must be {{"x": number, "y": number}}', node)
        return None

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


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: object, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest
