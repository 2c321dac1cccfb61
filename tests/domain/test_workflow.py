from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.workflow import (
    MAX_NODES,
    Concurrency,
    Definition,
    Edge,
    InvalidDefinition,
    Node,
    Position,
    RunSettings,
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


def test_settings_description_and_positions_are_shown_as_they_were_given() -> None:
    given = {
        "id": "w",
        "name": "W",
        "description": "",
        "nodes": [{"id": "a", "type": "Log", "config": {}, "position": {"x": -10, "y": 2.5}}],
        "edges": [],
        "settings": {
            "timeout": 31_536_000,
            "concurrency": {"limit": 1, "key": "event.id", "when_full": "skip"},
        },
    }
    definition = read_definition(given)
    assert definition.settings == RunSettings(31_536_000, Concurrency(1, "event.id", "skip"))
    assert definition.nodes[0].position == Position(-10, 2.5)
    assert show_definition(definition) == given


def test_what_is_not_set_is_not_shown() -> None:
    nothing = {"description": None, "settings": {"timeout": None, "concurrency": None}}
    nodes: list[dict[str, Any]] = [{"id": "a", "type": "Log", "config": {}, "position": None}]
    assert show_definition(read_definition(SMALL | nothing | {"nodes": nodes})) == SMALL
    limited = read_definition(SMALL | {"settings": {"concurrency": {"limit": 2}}})
    assert limited.settings.concurrency == Concurrency(2, None, "queue")
    assert show_definition(limited)["settings"] == {"concurrency": {"limit": 2, "when_full": "queue"}}
    assert read_definition(show_definition(limited)) == limited


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
        (SMALL | {"description": "x" * 2001}, None, "bad_definition", "2000"),
        (SMALL | {"settings": None}, None, "bad_definition", '"settings" must be an object'),
        (SMALL | {"settings": {"retries": 1}}, None, "unknown_key", "'retries'"),
        *(
            (SMALL | {"settings": {"timeout": timeout}}, None, "bad_definition", '"timeout"')
            for timeout in (0, -1, True, "60", 31_536_001, float("nan"), float("inf"), 10**400)
        ),
        *(
            (SMALL | {"settings": {"concurrency": {"limit": limit}}}, None, "bad_definition", '"limit"')
            for limit in (0, 10_001, 1.0, True, None)
        ),
        (SMALL | {"settings": {"concurrency": [1]}}, None, "bad_definition", '"concurrency"'),
        (SMALL | {"settings": {"concurrency": {"limit": 1, "key": ""}}}, None, "bad_definition", '"key"'),
        (SMALL | {"settings": {"concurrency": {"limit": 1, "key": 1}}}, None, "bad_definition", '"key"'),
        (
            SMALL | {"settings": {"concurrency": {"limit": 1, "when_full": []}}},
            None,
            "bad_definition",
            '"when_full"',
        ),
        (SMALL | {"settings": {"concurrency": {"limit": 1, "by": "x"}}}, None, "unknown_key", "'by'"),
        *(
            (
                SMALL | {"nodes": [{"id": "a", "type": "Log", "position": at}]},
                "a",
                "bad_definition",
                '"position"',
            )
            for at in (
                [1, 2],
                {"x": 1},
                {"x": 1, "y": "2"},
                {"x": 1, "y": 1, "z": 1},
                {"x": True, "y": 1},
                {"x": 1e10, "y": 1},
            )
        ),
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


_OF_DEFINITIONS = "id name description nodes edges settings timeout concurrency limit key when_full"
KEYS = st.sampled_from(
    [*_OF_DEFINITIONS.split(), "type", "config", "position", "x", "y", "from", "to", "port"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)


@given(JSON)
def test_no_json_value_breaks_the_reader(values: Any) -> None:
    with contextlib.suppress(InvalidDefinition):
        read_definition(values)
