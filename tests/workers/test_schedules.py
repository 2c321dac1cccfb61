"""Runs that the clock started, done by a worker."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from kanca.domain.ids import time_of
from kanca.domain.status import RunStatus
from kanca.storage import runs, schedules, workflows
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.starting import schedules_in
from kanca.workflows.validation import read_workflow
from tests.workers.site import Site


def with_cron(cron: str) -> dict[str, Any]:
    return {
        "id": "report",
        "nodes": [
            {"id": "clock", "type": "Schedule", "config": {"cron": cron, "data": [1, 2]}},
            {"id": "sum", "type": "Transform", "config": {"value": "=input.data[0] + event.data.data[1]"}},
            {"id": "hook", "type": "WebhookTrigger"},
            {"id": "never", "type": "Transform", "config": {"value": 0}},
        ],
        "edges": [{"from": "clock", "to": "sum"}, {"from": "hook", "to": "never"}],
    }


@pytest.mark.parametrize("days", [1, 50])
async def test_a_scheduled_run_starts_at_its_node_with_its_data(site: Site, days: int) -> None:
    # A moment of long ago has a run whose id is as old, of a day that nobody made room for.
    now = await site.database.now()
    at = (now - timedelta(days=days)).replace(microsecond=0)
    definition = with_cron(f"{at.minute} {at.hour} {at.day} {at.month} *")

    def publish(connection: Connection) -> None:
        workflows.create(connection, "report", "default", "Report", json.dumps(definition), now)
        published = workflows.publish(connection, "report", now)
        new = schedules_in(read_workflow(definition, built_in_registry()), at - timedelta(hours=1))
        schedules.replace(connection, published.number, "report", 1, new)

    await site.database.write(publish)
    await site.start(retention=timedelta(days=365))

    async def is_over() -> bool:
        found = (await site.database.read(runs.page)).items
        return bool(found) and found[0].status is RunStatus.SUCCEEDED

    await site.until(is_over)
    [run] = (await site.database.read(runs.page)).items
    assert time_of(run.id) == at.replace(second=0)
    assert (run.status, run.output) == (RunStatus.SUCCEEDED, b"3")
    assert [step.node_id for step in await site.database.read(runs.steps_of, run.id)] == ["clock", "sum"]
