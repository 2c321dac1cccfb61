from __future__ import annotations

import json
from typing import Any

import pytest

from kanca.domain.status import RunStatus
from kanca.domain.task import RunChange, Task, TaskKind
from kanca.errors import InvalidWorkflow
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.validation import read_workflow
from tests.workflows.memory import NOW, Store, World


def definition(**config: Any) -> dict[str, Any]:
    return {"id": "w", "nodes": [{"id": "clock", "type": "Schedule", "config": config}]}


def problems_of(values: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidWorkflow) as refused:
        read_workflow(values, built_in_registry())
    return [(problem["code"], problem["message"]) for problem in refused.value.facts["problems"]]


async def test_a_run_starts_at_it_and_its_output_is_what_the_run_was_given() -> None:
    world = World(built_in_registry())
    version = world.version(definition(cron="0 9 * * *", data={"report": "daily"}))
    data = b'{"scheduled_at":"2026-05-01T09:00:00+00:00","node_id":"clock","data":{"report":"daily"}}'
    run = RunChange(world.ids.new(), "w", 3, None, RunStatus.PENDING, NOW, input=data)
    store = Store(Task(1, TaskKind.RUN, run.id, 7, b'{"start":"clock"}', None, 0, 0, 1), run)
    await world.finish(store, version, None)
    assert store.run is not None
    assert store.run.status == RunStatus.SUCCEEDED
    assert json.loads(store.run.output or b"") == json.loads(data)


def test_a_schedule_is_a_start_like_other_triggers() -> None:
    values = definition(cron="*/5 * * * *") | {"edges": []}
    values["nodes"].append({"id": "hook", "type": "WebhookTrigger"})
    assert read_workflow(values, built_in_registry()).starts == ("clock", "hook")
    values["edges"].append({"from": "hook", "to": "clock"})
    assert [code for code, _ in problems_of(values)] == ["incoming_edge"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"cron": "0 9 * *"}, "cron: it has 4 fields, and must have five"),
        ({"cron": "0 0 9 * * *"}, "cron: it has 6 fields"),
        ({"cron": "0 25 * * *"}, "cron: '25' cannot be the hour"),
        ({"cron": "0 9 * * *", "timezone": "Europe/Atlantis"}, "timezone: there is no time zone"),
        ({"cron": "0 9 * * *", "missed": "all"}, "missed: "),
        ({"cron": 5}, "cron: "),
        ({}, "cron: "),
        ({"cron": "0 9 * * *", "every": 5}, "every: there is no such key"),
    ],
)
def test_a_config_that_cannot_be_is_refused_when_it_is_saved(config: dict[str, Any], message: str) -> None:
    [(_, told)] = problems_of(definition(**config))
    assert told.startswith(message)


@pytest.mark.parametrize("data", [None, 0, "=event.id", [1, {"a": [None, 1.5, True]}]])
def test_the_data_may_be_any_json_and_is_no_expression(data: Any) -> None:
    node = read_workflow(definition(cron="0 9 * * *", data=data), built_in_registry()).nodes["clock"]
    assert node.settings.config.data == data
