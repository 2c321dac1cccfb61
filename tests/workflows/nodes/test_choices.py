"""``Branch``, ``Filter`` and ``Switch``: which way a run goes."""

from __future__ import annotations

from typing import Any

import pytest

from kanca.errors import InvalidWorkflow
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.validation import read_workflow
from tests.workflows.acting import Play, graph, node, problems

CASES = {"cases": {"small": "input.total < 100", "middle": "input.total < 200", "large": "true"}}


@pytest.mark.parametrize(
    ("kind", "config", "codes"),
    [
        ("Branch", {}, {"missing_key"}),
        ("Branch", {"condition": "input."}, {"bad_expression"}),
        ("Branch", {"condition": "unknown > 1"}, {"bad_expression"}),
        ("Filter", {"condition": 5}, {"bad_config"}),
        ("Filter", {"condition": "true", "else": "x"}, {"unknown_key"}),
        ("Switch", CASES, set()),
        ("Switch", {"cases": {}}, {"bad_config"}),
        ("Switch", {"cases": {"default": "true"}}, {"bad_config"}),
        ("Switch", {"cases": {"error": "true"}}, {"bad_config"}),
        ("Switch", {"cases": {"a b": "true"}}, {"bad_config"}),
        ("Switch", {"cases": {"a": "1 +"}}, {"bad_expression"}),
        ("Switch", {"cases": {f"c{number}": "true" for number in range(101)}}, {"bad_config"}),
    ],
)
def test_what_can_be_wrong_is_said_when_it_is_saved(
    kind: str, config: dict[str, Any], codes: set[str]
) -> None:
    assert problems(kind, **config) == codes


@pytest.mark.parametrize(
    ("kind", "config", "total", "port"),
    [
        ("Branch", {"condition": "input.total > 100"}, 150, "true"),
        ("Branch", {"condition": "input.total > 100"}, 50, "false"),
        ("Filter", {"condition": "input.total > 100"}, 150, "out"),
        ("Filter", {"condition": "input.total > 100"}, 50, "rejected"),
        ("Switch", CASES, 50, "small"),
        ("Switch", CASES, 150, "middle"),
        ("Switch", CASES, 999, "large"),
        ("Switch", {"cases": {"a": "false"}}, 1, "default"),
    ],
)
async def test_it_is_left_by_the_port_that_is_right_with_its_input(
    kind: str, config: dict[str, Any], total: int, port: str
) -> None:
    values = graph(
        node("choice", kind, **config),
        node("here", "Transform", value="=input"),
        edges=f"start>choice choice.{port}>here",
    )
    play = Play(values, b'{"total":%d}' % total)
    await play.finish()
    step = play.store.step("choice")
    assert (step.port, step.output) == (port, b'{"total":%d}' % total)
    assert (play.output, play.statuses()["here"]) == ({"total": total}, "succeeded")


async def test_a_way_that_is_not_led_on_from_just_ends() -> None:
    play = Play(
        graph(
            node("wanted", "Filter", condition="false"),
            node("then", "Effect"),
            edges="start>wanted wanted>then",
        )
    )
    await play.finish()
    assert (play.status, play.output, play.statuses()["then"]) == ("succeeded", {"total": 150}, "skipped")


@pytest.mark.parametrize("condition", ["1", "'true'", "null", "input.none", "input"])
@pytest.mark.parametrize("kind", ["Branch", "Filter", "Switch"])
async def test_what_is_neither_true_nor_false_fails_the_node(kind: str, condition: str) -> None:
    config: dict[str, Any] = {"cases": {"a": condition}} if kind == "Switch" else {"condition": condition}
    play = Play(graph(node("choice", kind, **config), edges="start>choice"))
    await play.finish()
    assert (play.status, play.error["node"], play.error["code"]) == ("failed", "choice", "expression_failed")


async def test_later_cases_are_not_looked_at() -> None:
    play = Play(graph(node("choice", "Switch", cases={"a": "true", "b": "input.none"}), edges="start>choice"))
    await play.finish()
    assert play.store.step("choice").port == "a"


def test_an_edge_from_a_case_that_there_is_not_is_refused() -> None:
    values = graph(node("choice", "Switch", **CASES), node("x", "Stop"), edges="start>choice choice.huge>x")
    with pytest.raises(
        InvalidWorkflow, match="no port 'huge'; there is: small, middle, large, default, error"
    ):
        read_workflow(values, built_in_registry())
