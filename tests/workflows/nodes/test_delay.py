from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kanca.domain.task import Wait
from tests.workflows.acting import Play, graph, node, problems
from tests.workflows.memory import NOW


def pausing(**config: Any) -> Play:
    return Play(
        graph(node("pause", "Delay", **config), node("then", "Effect"), edges="start>pause pause>then")
    )


@pytest.mark.parametrize(
    ("config", "codes"),
    [
        ({"seconds": 5}, set()),
        ({"until": "=event.data.at"}, set()),
        ({}, {"bad_config"}),
        ({"seconds": 5, "until": "2026-05-01T12:00:00Z"}, {"bad_config"}),
        ({"seconds": "=1 +"}, {"bad_expression"}),
        ({"minutes": 5, "seconds": 5}, {"unknown_key"}),
    ],
)
def test_what_can_be_wrong_is_said_when_it_is_saved(config: dict[str, Any], codes: set[str]) -> None:
    assert problems("Delay", **config) == codes


@pytest.mark.parametrize(
    "config",
    [{"seconds": 90}, {"seconds": "=input.total - 60"}, {"until": (NOW + timedelta(seconds=90)).isoformat()}],
)
async def test_it_waits_and_lets_its_input_through(config: dict[str, Any]) -> None:
    play = pausing(**config)
    completion = await play.go_on()
    assert isinstance(completion.disposition, Wait)
    assert timedelta(seconds=89) < completion.disposition.delay <= timedelta(seconds=90)
    assert (play.status, play.actors.calls) == ("waiting", [])
    await play.finish()
    assert play.output == {"total": 150}
    step = play.store.step("pause")
    assert (step.port, step.output) == ("out", b'{"total":150}')


async def test_it_is_not_left_before_its_time() -> None:
    play = pausing(seconds=90)
    await play.go_on()
    play.world.clock.at += timedelta(seconds=80)
    completion = await play.go_on()  # something else woke the run
    assert isinstance(completion.disposition, Wait)
    assert completion.disposition.delay < timedelta(seconds=10)
    assert play.actors.calls == []


@pytest.mark.parametrize(
    "config", [{"seconds": 0}, {"until": "2020-01-01T00:00:00Z"}, {"until": "0001-01-01T00:00:00+00:00"}]
)
async def test_what_lies_in_the_past_is_not_waited_for(config: dict[str, Any]) -> None:
    play = pausing(**config)
    await play.go_on()
    assert (play.store.is_over, play.status) == (True, "succeeded")


@pytest.mark.parametrize(
    "config",
    [
        {"seconds": -1},
        {"seconds": 366 * 86_400},
        {"seconds": True},
        {"seconds": "5"},
        {"seconds": None},
        {"seconds": "=0.0 / 0.0"},
        {"seconds": "=input.none"},
        {"until": "tomorrow"},
        {"until": "2026-05-01T12:00:00"},
        {"until": "2030-05-01T12:00:00Z"},
        {"until": 5},
        {"until": "9999-12-31T23:59:59-14:00"},
        {"until": "0001-01-01T00:00:00+14:00"},
    ],
)
async def test_what_is_no_time_fails_the_node(config: dict[str, Any]) -> None:
    if config == {"seconds": None}:
        assert problems("Delay", **config) == {"bad_config"}
        return
    play = pausing(**config)
    await play.go_on()
    assert (play.status, play.error["node"], play.error["code"]) == ("failed", "pause", "expression_failed")
