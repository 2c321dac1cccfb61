from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from kanca.storage.ports import Database
from kanca.workflows.starting import start_due
from tests.api.conftest import Clock

ONE = "/api/workflows/report"


def definition(cron: str = "0 9 * * mon-fri") -> dict[str, Any]:
    config = {"cron": cron, "timezone": "Europe/Istanbul"}
    return {"id": "report", "nodes": [{"id": "morning", "type": "Schedule", "config": config}]}


async def listed(client: httpx.AsyncClient, **search: Any) -> list[dict[str, Any]]:
    return list((await client.get("/api/schedules", params=search)).json()["items"])


async def test_publishing_shows_when_runs_start_and_unpublishing_ends_it(
    client: httpx.AsyncClient, clock: Clock
) -> None:
    clock.now = clock.now.replace(year=2026, month=5, day=1, hour=12, minute=0)
    await client.post("/api/workflows", json=definition())
    assert await listed(client) == []
    await client.post(f"{ONE}/publish")
    assert await listed(client) == [
        {
            "workflow_id": "report",
            "node_id": "morning",
            "version": 1,
            "cron": "0 9 * * mon-fri",
            "timezone": "Europe/Istanbul",
            "missed": "once",
            "next_at": "2026-05-04T06:00:00Z",
            "last_at": None,
        }
    ]
    assert await listed(client, workflow_id="other") == []
    await client.post(f"{ONE}/unpublish")
    assert await listed(client, workflow_id="report") == []


async def test_saving_changes_nothing_and_publishing_another_version_does(client: httpx.AsyncClient) -> None:
    await client.post("/api/workflows", json=definition())
    await client.post(f"{ONE}/publish")
    await client.put(ONE, json=definition("15 9 * * *"))
    assert [each["cron"] for each in await listed(client)] == ["0 9 * * mon-fri"]
    await client.post(f"{ONE}/publish")
    assert [(each["cron"], each["version"]) for each in await listed(client)] == [("15 9 * * *", 2)]
    await client.post(f"{ONE}/publish", params={"version": 1})
    assert [(each["cron"], each["version"]) for each in await listed(client)] == [("0 9 * * mon-fri", 1)]
    await client.delete(ONE)
    assert await listed(client) == []


async def test_a_run_that_the_clock_started_is_listed_with_its_data(
    client: httpx.AsyncClient, database: Database, clock: Clock
) -> None:
    await client.post("/api/workflows", json=definition("* * * * *"))
    await client.post(f"{ONE}/publish")
    [schedule] = await listed(client)
    await database.write(start_due, clock.now + timedelta(minutes=1))
    [run] = (await client.get("/api/runs")).json()["items"]
    assert (run["workflow_id"], run["event_id"], run["status"]) == ("report", None, "pending")
    assert run["input"] == {
        "scheduled_at": schedule["next_at"].replace("Z", "+00:00"),
        "node_id": "morning",
        "data": None,
    }


async def test_a_schedule_that_cannot_be_is_refused_with_its_node(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/workflows", json=definition("0 9 * *"))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_workflow")
    [problem] = answer.json()["problems"]
    assert (problem["node"], problem["code"]) == ("morning", "bad_config")
    assert problem["message"].startswith("cron: it has 4 fields, and must have five")
