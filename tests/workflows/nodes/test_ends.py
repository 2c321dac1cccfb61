"""Config of ``Stop``, ``Fail``, ``Merge``, ``ForEach`` and ``SubWorkflow``, as it is saved."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflows.acting import Play, graph, node, problems


@pytest.mark.parametrize(
    ("kind", "config", "codes"),
    [
        ("Stop", {}, set()),
        ("Stop", {"output": "=1 +"}, {"bad_expression"}),
        ("Stop", {"value": 1}, {"unknown_key"}),
        ("Fail", {}, {"missing_key"}),
        ("Fail", {"message": "no", "code": "Not So"}, {"bad_config"}),
        ("Fail", {"message": "no", "code": "not_so"}, set()),
        ("Merge", {}, set()),
        ("Merge", {"mode": "some"}, {"bad_config"}),
        ("ForEach", {}, {"missing_key"}),
        ("ForEach", {"items": "[1]", "concurrency": 0}, {"bad_config"}),
        ("ForEach", {"items": "[1]", "concurrency": 101}, {"bad_config"}),
        ("ForEach", {"items": "[1]", "max_items": 10_001}, {"bad_config"}),
        ("ForEach", {"items": [1]}, {"bad_config"}),
        ("ForEach", {"items": "[1]", "retry": {}}, {"unknown_key"}),
        ("SubWorkflow", {}, {"missing_key"}),
        ("SubWorkflow", {"workflow_id": "a b"}, {"bad_config"}),
        ("SubWorkflow", {"workflow_id": "x", "max_wait": 0}, {"bad_config"}),
        ("SubWorkflow", {"workflow_id": "x", "data": {"a": "=1 +"}}, {"bad_expression"}),
        ("SubWorkflow", {"workflow_id": "x", "continue_on_error": True}, set()),
    ],
)
def test_what_can_be_wrong_is_said_when_it_is_saved(
    kind: str, config: dict[str, Any], codes: set[str]
) -> None:
    assert problems(kind, **config) == codes


async def test_stop_gives_its_input_where_nothing_else_is_said() -> None:
    play = Play(graph(node("end", "Stop"), edges="start>end"))
    await play.finish()
    assert (play.status, play.output, play.store.step("end").port) == ("succeeded", {"total": 150}, "out")


@pytest.mark.parametrize(
    ("kind", "config"), [("Stop", {"output": "=input.none"}), ("Fail", {"message": "=input"})]
)
async def test_an_end_that_cannot_be_told_fails_the_run(kind: str, config: dict[str, Any]) -> None:
    play = Play(graph(node("end", kind, **config), edges="start>end"))
    await play.finish()
    assert (play.status, play.error["code"]) == ("failed", "expression_failed")
