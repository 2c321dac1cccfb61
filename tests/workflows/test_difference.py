from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.workflow import read_definition, show_definition
from kanca.workflows.difference import difference, show_difference

NAMES = st.sampled_from(["a", "b", "c", "end"])
KEYS = st.sampled_from(["x", "y", "a/b", "~", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from([1.0, "t", "=event"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
NODES = st.lists(
    st.fixed_dictionaries(
        {
            "id": NAMES,
            "type": st.sampled_from(["Log", "Branch"]),
            "config": st.dictionaries(KEYS, VALUES, max_size=3),
        },
        optional={"position": st.just({"x": 1, "y": 2})},
    ),
    unique_by=lambda node: str(node["id"]),
    max_size=4,
)
EDGES = st.lists(
    st.fixed_dictionaries({"from": NAMES, "to": NAMES, "port": st.sampled_from(["out", "true"])}),
    unique_by=lambda edge: tuple(sorted(edge.items())),
    max_size=4,
)
DEFINITIONS = st.fixed_dictionaries(
    {"id": st.just("w"), "name": st.sampled_from(["W", "V"]), "nodes": NODES, "edges": EDGES},
    optional={
        "description": st.just("d"),
        "settings": st.fixed_dictionaries({}, optional={"timeout": st.sampled_from([1, 2.5])}),
    },
).map(read_definition)


def a_flow(*nodes: dict[str, Any], **changes: Any) -> Any:
    return read_definition({"id": "w", "nodes": list(nodes)} | changes)


def test_what_was_added_removed_and_changed_is_told_with_its_path() -> None:
    before = a_flow(
        {"id": "in", "type": "WebhookTrigger"},
        {
            "id": "call",
            "type": "HttpRequest",
            "config": {"url": "a", "retry": {"max_retries": 3}, "flag": True},
        },
        {"id": "old", "type": "Log"},
        edges=[{"from": "in", "to": "call"}, {"from": "call", "to": "old"}],
        settings={"timeout": 60},
    )
    after = a_flow(
        {
            "id": "call",
            "type": "HttpRequest",
            "config": {"url": "a", "retry": {"max_retries": 8}, "flag": 1, "n": None},
        },
        {"id": "in", "type": "WebhookTrigger"},
        {"id": "new", "type": "Log"},
        edges=[{"from": "call", "to": "new"}, {"from": "in", "to": "call"}],
        name="Calls",
    )
    assert show_difference(difference(before, after)) == {
        "changes": [
            {"path": "/name", "old": "w", "new": "Calls"},
            {"path": "/settings", "old": {"timeout": 60}},
        ],
        "nodes": {
            "added": [{"id": "new", "type": "Log", "config": {}}],
            "removed": [{"id": "old", "type": "Log", "config": {}}],
            "changed": [
                {
                    "id": "call",
                    "changes": [
                        {"path": "/config/retry/max_retries", "old": 3, "new": 8},
                        {"path": "/config/flag", "old": True, "new": 1},
                        {"path": "/config/n", "new": None},
                    ],
                }
            ],
        },
        "edges": {
            "added": [{"from": "call", "to": "new", "port": "out"}],
            "removed": [{"from": "call", "to": "old", "port": "out"}],
        },
    }


@given(DEFINITIONS)
def test_nothing_is_different_from_itself(definition: Any) -> None:
    assert difference(definition, definition).is_empty


@given(DEFINITIONS, DEFINITIONS)
def test_the_difference_is_all_that_makes_one_the_other(before: Any, after: Any) -> None:
    found = difference(before, after)
    made = applied(show_definition(before), show_difference(found))
    assert sorted_parts(made) == sorted_parts(show_definition(after))
    assert found.is_empty == (sorted_parts(show_definition(before)) == sorted_parts(show_definition(after)))


def applied(definition: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
    """The definition with everything done that a difference says."""
    made = deepcopy(definition)
    apply_changes(made, shown["changes"])
    removed = {node["id"] for node in shown["nodes"]["removed"]}
    made["nodes"] = [node for node in made["nodes"] if node["id"] not in removed] + shown["nodes"]["added"]
    for change in shown["nodes"]["changed"]:
        [node] = [node for node in made["nodes"] if node["id"] == change["id"]]
        apply_changes(node, change["changes"])
    made["edges"] = [edge for edge in made["edges"] if edge not in shown["edges"]["removed"]]
    made["edges"] += shown["edges"]["added"]
    return made


def apply_changes(value: dict[str, Any], changes: list[dict[str, Any]]) -> None:
    for change in changes:
        *parents, last = [
            part.replace("~1", "/").replace("~0", "~") for part in change["path"].removeprefix("/").split("/")
        ]
        place = value
        for part in parents:
            place = place[part]
        if "new" in change:
            place[last] = change["new"]
        else:
            del place[last]


def sorted_parts(definition: dict[str, Any]) -> str:
    """The definition without the order of its nodes and edges, as JSON, where true is not 1."""
    parts = {
        name: sorted(definition[name], key=lambda part: json.dumps(part, sort_keys=True))
        for name in ("nodes", "edges")
    }
    return json.dumps(definition | parts, sort_keys=True)
