from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.workflow import (
    MAX_NODES,
    Definition,
    Edge,
    InvalidDefinition,
    Node,
    read_definition,
    show_definition,
)

SMALL = {"id": "w", "name": "W", "nodes": [{"id": "a", "type": "Log", "config": {}}], "edges": []}


def test_a_definition_is_read_as_it_is_written() -> None:
    definition = read_definition(
        {
            "id": "order-flow",
            "name": "Orders",
            "nodes": [
                {"id": "start", "type": "WebhookTrigger", "config": {}},
                {"id": "check", "type": "Branch", "config": {"condition": "true"}},
                {"id": "log", "type": "Log"},
            ],
            "edges": [{"from": "start", "to": "check"}, {"from": "check", "to": "log", "port": "true"}],
        }
    )
    assert definition == Definition(
        "order-flow",
        "Orders",
        (Node("start", "WebhookTrigger"), Node("check", "Branch", {"condition": "true"}), Node("log", "Log")),
        (Edge("start", "check", "out"), Edge("check", "log", "true")),
    )
    assert read_definition(show_definition(definition)) == definition


def test_a_name_may_be_left_out() -> None:
    assert read_definition({"id": "w", "nodes": []}).name == "w"


@pytest.mark.parametrize(
    ("values", "node", "code", "words"),
    [
        ([], None, "bad_definition", "must be an object"),
        (SMALL | {"id": "not ok"}, None, "bad_id", '"id" of the definition'),
        (SMALL | {"id": "ok\n"}, None, "bad_id", '"id" of the definition'),
        (SMALL | {"id": 5}, None, "bad_id", '"id" of the definition'),
        (SMALL | {"name": ""}, None, "bad_definition", '"name"'),
        (SMALL | {"extra": 1}, None, "unknown_key", "'extra'"),
        (SMALL | {"nodes": {}}, None, "bad_definition", '"nodes" of the definition must be a list'),
        ({"id": "w"}, None, "bad_definition", '"nodes" of the definition must be a list'),
        (SMALL | {"edges": None}, None, "bad_definition", '"edges" of the definition must be a list'),
        (SMALL | {"nodes": ["a"]}, None, "bad_definition", "nodes[0] must be an object"),
        (SMALL | {"nodes": [{"id": "a/b", "type": "Log"}]}, None, "bad_id", '"id" of nodes[0]'),
        (SMALL | {"nodes": [{"id": "a"}]}, "a", "bad_definition", '"type" of nodes[0]'),
        (SMALL | {"nodes": [{"id": "a", "type": "Log", "config": []}]}, "a", "bad_definition", '"config"'),
        (SMALL | {"nodes": [{"id": "a", "type": "Log", "retry": 1}]}, "a", "unknown_key", "'retry'"),
        (SMALL | {"edges": [7]}, None, "bad_definition", "edges[0] must be an object"),
        (SMALL | {"edges": [{"from": "a"}]}, None, "bad_definition", '"to" of edges[0]'),
        (
            SMALL | {"edges": [{"from": "a", "to": "b", "port": 1}]},
            None,
            "bad_definition",
            '"port" of edges[0]',
        ),
        (SMALL | {"edges": [{"from": "a", "to": "b", "via": "c"}]}, None, "unknown_key", "'via'"),
        (SMALL | {"nodes": [{"id": "a", "type": "Log"}] * (MAX_NODES + 1)}, None, "too_large", "nodes"),
    ],
)
def test_a_wrong_shape_is_refused(values: Any, node: str | None, code: str, words: str) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        read_definition(values)
    (problem,) = refused.value.problems
    assert (problem.node, problem.code) == (node, code)
    assert words in problem.message


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InvalidDefinition) as refused:
        read_definition({"id": "", "nodes": [{"id": "a"}, {"type": "Log"}], "edges": [{}]})
    assert len(refused.value.problems) == 5


KEYS = st.sampled_from(["id", "name", "nodes", "edges", "type", "config", "from", "to", "port"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)


@given(JSON)
def test_no_json_value_breaks_the_reader(values: Any) -> None:
    with contextlib.suppress(InvalidDefinition):
        read_definition(values)
