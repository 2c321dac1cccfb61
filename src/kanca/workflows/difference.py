"""What is different between two definitions: what a person sees before publishing, and what ``kanca apply`` plans by.

Pure. Nodes are compared by id and edges as a whole; in which order either are written makes no difference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kanca.domain.workflow import Definition, Edge, Node, show_definition, show_edge, show_node


class Absent(Enum):
    """The value of what is not there: null is a value."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Change:
    """One value that is another, is new or is gone."""

    path: str
    """A JSON Pointer (RFC 6901) from the node, or from the definition: ``/config/retry/max_retries``."""
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class NodeChange:
    """A node that both have, and what is different in it."""

    id: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """All that makes one definition another."""

    changes: tuple[Change, ...] = ()
    """Of the name, the description and the settings."""
    added_nodes: tuple[Node, ...] = ()
    removed_nodes: tuple[Node, ...] = ()
    changed_nodes: tuple[NodeChange, ...] = ()
    added_edges: tuple[Edge, ...] = ()
    removed_edges: tuple[Edge, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether both say the same."""
        return self == Difference()


def difference(before: Definition, after: Definition) -> Difference:
    """What must happen to ``before`` for it to be ``after``."""
    old = {node.id: node for node in before.nodes}
    new = {node.id: node for node in after.nodes}
    both = (
        (name, changes(show_node(old[name]), show_node(node))) for name, node in new.items() if name in old
    )
    return Difference(
        changes=changes(_head(before), _head(after)),
        added_nodes=tuple(node for name, node in new.items() if name not in old),
        removed_nodes=tuple(node for name, node in old.items() if name not in new),
        changed_nodes=tuple(NodeChange(name, found) for name, found in both if found),
        added_edges=_without(after.edges, before.edges),
        removed_edges=_without(before.edges, after.edges),
    )


def changes(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> tuple[Change, ...]:
    """The differences of two JSON objects. Objects are looked into; any other value, a list too, is one value."""
    found: list[Change] = []
    for key in dict.fromkeys((*old, *new)):
        here = f"{path}/{_escaped(key)}"
        before, after = old.get(key, ABSENT), new.get(key, ABSENT)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += changes(before, after, here)
        elif not _is_same(before, after):
            found.append(Change(here, before, after))
    return tuple(found)


def show_difference(found: Difference) -> dict[str, Any]:
    """The difference as JSON: ``{changes, nodes: {added, removed, changed}, edges: {added, removed}}``."""
    return {
        "changes": show_changes(found.changes),
        "nodes": {
            "added": [show_node(node) for node in found.added_nodes],
            "removed": [show_node(node) for node in found.removed_nodes],
            "changed": [
                {"id": node.id, "changes": show_changes(node.changes)} for node in found.changed_nodes
            ],
        },
        "edges": {
            "added": [show_edge(edge) for edge in found.added_edges],
            "removed": [show_edge(edge) for edge in found.removed_edges],
        },
    }


def show_changes(found: tuple[Change, ...]) -> list[dict[str, Any]]:
    """Changes as JSON: ``{path, old?, new?}``; what is not there is left out."""
    return [
        {"path": change.path}
        | {
            name: value
            for name, value in (("old", change.old), ("new", change.new))
            if not isinstance(value, Absent)
        }
        for change in found
    ]


def _head(definition: Definition) -> dict[str, Any]:
    left_out = ("id", "nodes", "edges")
    return {key: value for key, value in show_definition(definition).items() if key not in left_out}


def _without(edges: tuple[Edge, ...], others: tuple[Edge, ...]) -> tuple[Edge, ...]:
    there = set(others)
    return tuple(edge for edge in edges if edge not in there)


def _is_same(old: object, new: object) -> bool:
    """Whether they are the same in JSON, where ``true`` is not 1 (to Python it is)."""
    if isinstance(old, Absent) or isinstance(new, Absent):
        return old is new
    return json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
