from __future__ import annotations

from typing import Any

from structlog.testing import capture_logs

from kanca.workflows.nodes import built_in_registry
from tests.workflows.memory import World


async def test_a_line_is_written_and_the_input_goes_on() -> None:
    world = World(built_in_registry())
    config = {
        "message": "='order of ' + string(event.data.total)",
        "level": "warning",
        "fields": {"total": "=event.data.total", "shop": "acme"},
    }
    values: dict[str, Any] = {
        "id": "w",
        "nodes": [{"id": "start", "type": "WebhookTrigger"}, {"id": "log", "type": "Log", "config": config}],
        "edges": [{"from": "start", "to": "log"}],
    }
    event = world.event()
    store = world.dispatched(event)
    with capture_logs() as lines:
        await world.go_on(store, world.version(values), event)
    (line,) = lines
    assert line["event"] == "workflow_log"
    assert (line["log_level"], line["message"], line["node"], line["workflow"]) == (
        "warning",
        "order of 150",
        "log",
        "w",
    )
    assert line["fields"] == {"total": 150, "shop": "acme"}
    assert store.run is not None
    assert store.run.output == b'{"total":150}'
