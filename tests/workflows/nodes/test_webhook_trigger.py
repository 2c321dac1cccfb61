from __future__ import annotations

from typing import Any

import pytest

from kanca.domain.task import Wait
from kanca.storage.seeking import KEYLESS
from tests.workflows.acting import Play, graph, node, problems, waiting

KEYS = {"event_key": "event.data.order", "wait_key": "steps.order.id"}


@pytest.mark.parametrize(
    ("config", "codes"),
    [
        (KEYS, set()),
        ({"event_key": "event.data.order"}, {"bad_config"}),
        ({"wait_key": "input.id"}, {"bad_config"}),
        ({"event_key": "run.id", "wait_key": "run.id"}, {"bad_expression"}),
        ({"timeout": 0}, {"bad_config"}),
        ({"timeout": 366 * 86_400}, {"bad_config"}),
        ({"early_for": -1}, {"bad_config"}),
        ({"node_behavior": "sometimes"}, {"bad_config"}),
        ({"key": "x"}, {"unknown_key"}),
    ],
)
def test_what_can_be_wrong_is_said_when_it_is_saved(config: dict[str, Any], codes: set[str]) -> None:
    assert problems("WebhookTrigger", **config) == codes


async def test_a_trigger_that_edges_lead_to_waits_and_gives_the_data_of_the_event() -> None:
    play = Play(graph(node("paid", "WebhookTrigger"), edges="start>paid"))
    completion = await play.go_on()
    assert isinstance(completion.disposition, Wait)
    assert play.status == "waiting"
    play.come("paid", '{"event_type":"order.paid","data":{"by":"card"}}')
    await play.finish()
    assert play.output == {"by": "card"}
    step = play.store.step("paid")
    assert (step.port, step.input, step.output) == ("out", b'{"total":150}', b'{"by":"card"}')
    assert step.started_at < step.finished_at


async def test_nobody_comes_and_it_is_left_by_its_port_timeout() -> None:
    play = Play(
        graph(
            waiting("paid", timeout=60),
            node("late", "Transform", value="=[input, steps.start.total]"),
            edges="start>paid paid.timeout>late",
        )
    )
    completion = await play.finish()
    assert completion.records.runs
    assert (play.output, play.waits()) == ([None, 150], {"paid": "timed_out"})


async def test_it_waits_under_the_key_that_its_run_says() -> None:
    config = KEYS | {"wait_key": "input.total"}
    play = Play(graph(waiting("paid", **config), edges="start>paid"))
    await play.go_on()
    (opening,) = play.world.desk.openings.values()
    assert (opening.key, opening.rule != KEYLESS, opening.node_id) == ("150", True, "paid")


async def test_without_keys_events_from_before_the_run_are_not_meant() -> None:
    play = Play(graph(waiting("paid"), edges="start>paid"))
    await play.go_on()
    (opening,) = play.world.desk.openings.values()
    assert (opening.rule, opening.key, opening.not_before) == (KEYLESS, KEYLESS, play.event.received_at)


@pytest.mark.parametrize("value", ["null", "''", "[1]", "{}", "input.none", "{'a': 1}"])
async def test_a_key_that_is_no_text_and_no_number_fails_the_node(value: str) -> None:
    config = KEYS | {"wait_key": value}
    play = Play(graph(waiting("paid", **config), edges="start>paid"))
    await play.finish()
    assert (play.status, play.error["node"], play.waits()) == ("failed", "paid", {})


@pytest.mark.parametrize("value", ["'a' + string(b'\\x00')", "event.data.long"])
async def test_keys_that_no_index_takes_are_compared_by_their_hashes(value: str) -> None:
    body = b'{"total":1,"long":"' + b"k" * 5_000 + b'"}'
    play = Play(graph(waiting("paid", **KEYS | {"wait_key": value}), edges="start>paid"), body)
    await play.go_on()
    (opening,) = play.world.desk.openings.values()
    assert opening.key.startswith("sha256:")


async def test_an_event_that_retention_has_taken_is_nothing() -> None:
    play = Play(graph(waiting("paid"), edges="start>paid"))
    await play.go_on()
    play.world.desk.claim("paid")
    await play.finish()
    assert (play.status, play.output) == ("succeeded", None)


async def test_a_body_that_is_no_json_is_given_as_it_is_read() -> None:
    play = Play(graph(waiting("paid"), edges="start>paid"))
    await play.go_on()
    play.world.desk.claim("paid", play.world.event(b"\xff{not json"))
    await play.finish()
    assert play.status == "succeeded"
