from __future__ import annotations

import json
from typing import Any

import pytest

from tests.workflows.acting import Play, graph, node, problems


def answering(**config: Any) -> Play:
    return Play(graph(node("say", "Respond", **config), edges="start>say"))


def answers(play: Play) -> list[Any]:
    return [answer for done in play.store.history for answer in done.records.answers]


@pytest.mark.parametrize(
    ("config", "codes"),
    [
        ({}, set()),
        ({"status": 100}, {"bad_config"}),
        ({"status": 600}, {"bad_config"}),
        ({"json": 1, "body": "x"}, {"bad_config"}),
        ({"json": {"a": "=1 +"}}, {"bad_expression"}),
        ({"headers": {"X-A": 5}}, {"bad_config"}),
        ({"text": "x"}, {"unknown_key"}),
    ],
)
def test_what_can_be_wrong_is_said_when_it_is_saved(config: dict[str, Any], codes: set[str]) -> None:
    assert problems("Respond", **config) == codes


@pytest.mark.parametrize(
    ("config", "status", "headers", "body"),
    [
        ({}, 200, {}, b""),
        (
            {"status": 201, "json": {"total": "=input.total"}},
            201,
            {"Content-Type": "application/json"},
            b'{"total":150}',
        ),
        ({"json": None, "body": "='a' + 'b'"}, 200, {"Content-Type": "text/plain; charset=utf-8"}, b"ab"),
        (
            {"body": "<r/>", "headers": {"content-type": "text/xml", "X-Total": "=input.total"}},
            200,
            {"content-type": "text/xml", "X-Total": "150"},
            b"<r/>",
        ),
    ],
)
async def test_the_answer_is_stored_with_the_step(
    config: dict[str, Any], status: int, headers: dict[str, str], body: bytes
) -> None:
    play = answering(**config)
    await play.finish()
    (answer,) = answers(play)
    assert answer.event_id == play.event.id
    assert (answer.status, json.loads(answer.headers), answer.body) == (status, headers, body)
    assert play.output == {"status": status}


async def test_nobody_waits_for_what_comes_after_the_answer() -> None:
    play = Play(
        graph(
            node("say", "Respond"),
            node("pause", "Delay", seconds=60),
            edges="start>say say>pause",
        )
    )
    await play.go_on()
    assert len(play.store.history[0].records.answers) == 1
    assert not play.store.is_over


async def test_it_is_answered_although_another_branch_is_at_work() -> None:
    play = Play(
        graph(
            node("slow", "Effect", gated=True),
            node("quick", "Effect"),
            node("say", "Respond"),
            edges="start>slow start>quick quick>say",
        )
    )
    going = play.begin()
    await play.until(lambda: answers(play))
    assert not going.done()
    play.open("slow")
    await going


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"body": "x" * (1024 * 1024 + 1)}, "answer_too_large"),
        ({"body": "=input"}, "expression_failed"),
        ({"headers": {"X": "=input.none"}}, "expression_failed"),
    ],
)
async def test_what_can_be_no_answer_fails_the_node(config: dict[str, Any], code: str) -> None:
    play = answering(**config)
    await play.finish()
    assert (play.error["code"], answers(play)) == (code, [])
