from __future__ import annotations

import json
from typing import Any

import pytest

from kanca.bodies import hops_in
from kanca.domain.task import NewTask, TaskKind
from tests.workflows.acting import Play, graph, node, problems


def sending(**config: Any) -> Play:
    return Play(graph(node("send", "SendWebhook", **config), edges="start>send"))


def published(play: Play) -> list[Any]:
    return [event for done in play.store.history for event in done.records.events]


@pytest.mark.parametrize(
    ("config", "codes"),
    [
        ({"event_type": "order.shipped"}, set()),
        ({}, {"missing_key"}),
        ({"event_type": 5}, {"bad_config"}),
        ({"event_type": "=1 +"}, {"bad_expression"}),
        ({"event_type": "x", "data": {"a": "=nobody"}}, {"bad_expression"}),
        ({"event_type": "x", "payload": 1}, {"unknown_key"}),
        ({"event_type": "x", "timeout": 5}, {"unknown_key"}),
    ],
)
def test_what_can_be_wrong_is_said_when_it_is_saved(config: dict[str, Any], codes: set[str]) -> None:
    assert problems("SendWebhook", **config) == codes


async def test_the_event_is_published_with_the_step() -> None:
    play = sending(
        event_type="='order.' + 'shipped'", data={"total": "=input.total"}, event_id="=event.source_event_id"
    )
    completion = await play.finish()
    (event,) = published(play)
    assert (event.type, event.source_event_id, event.endpoint) == ("order.shipped", "ev-1", 0)
    assert json.loads(event.body) == {"event_type": "order.shipped", "data": {"total": 150}}
    assert (event.correlation_id, event.tenant) == ("c-1", "default")
    assert NewTask(TaskKind.DISPATCH, event.id, 0) in completion.records.tasks
    assert play.store.step("send") in completion.records.steps
    assert play.output["event_type"] == "order.shipped"
    assert play.output["event_id"].startswith("evt_")


@pytest.mark.parametrize(
    ("request_json", "hops"),
    [
        (b'{"headers": [["X-Webhook-Hops", "3"]]}', 3),
        (b'{"hops": 2}', 2),
        (b'{"method": "POST"}', 0),
    ],
)
async def test_the_event_went_as_often_through_kanca_as_what_started_the_run(
    request_json: bytes, hops: int
) -> None:
    play = sending(event_type="x")
    play.event.request = request_json
    await play.finish()
    (event,) = published(play)
    assert hops_in(event.request) == hops


async def test_unset_the_data_are_the_input() -> None:
    play = sending(event_type="x")
    await play.finish()
    (event,) = published(play)
    assert json.loads(event.body)["data"] == {"total": 150}


async def test_it_is_published_once_whatever_crashes() -> None:
    values = graph(
        node("send", "SendWebhook", event_type="x"),
        node("work", "Effect", gated=True),
        edges="start>send send>work",
    )
    play = Play(values)
    going = play.begin()
    await play.begun("work")
    after = Play(values)
    after.event, after.store = play.event, play.store.copy()
    going.cancel()
    after.open("work")
    await after.finish()
    assert len(published(after)) == 1


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"event_type": ""}, "bad_event_type"),
        ({"event_type": "x" * 257}, "bad_event_type"),
        ({"event_type": "a\0b"}, "bad_event_type"),
        ({"event_type": "a\nb"}, "bad_event_type"),
        ({"event_type": "x", "event_id": "a\0b"}, "bad_event_id"),
        ({"event_type": "x", "event_id": ""}, "bad_event_id"),
        ({"event_type": "x", "event_id": "i" * 513}, "bad_event_id"),
        ({"event_type": "=input"}, "expression_failed"),
    ],
)
async def test_what_the_database_could_not_keep_fails_the_node_alone(
    config: dict[str, Any], code: str
) -> None:
    play = sending(**config)
    await play.finish()
    assert (play.error["code"], published(play)) == (code, [])
