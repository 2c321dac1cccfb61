from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from kanca.domain.ids import EVENT, RUN, derived_id, show_id
from kanca.domain.status import RunStatus, StepStatus
from kanca.domain.task import RunChange, Step
from kanca.storage.ports import Database
from tests.api.rows import later_ids, store

NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)


def a_run(**values: Any) -> RunChange:
    fields: dict[str, Any] = {
        "id": later_ids.new(),
        "workflow_id": "w",
        "version": 1,
        "event_id": None,
        "status": RunStatus.RUNNING,
        "started_at": NOW,
    }
    return RunChange(**fields | values)


def a_step(run: RunChange, node_id: str, **values: Any) -> Step:
    fields: dict[str, Any] = {
        "id": derived_id(run.id, node_id, "0"),
        "run_id": run.id,
        "node_id": node_id,
        "iteration": 0,
        "status": StepStatus.SUCCEEDED,
        "port": "out",
        "input": b'{"in": 1}',
        "output": b'{"big": 12345678901234567890, "text": "\\ud800"}',
        "error": None,
        "attempt_number": 1,
        "started_at": NOW,
        "finished_at": NOW,
    }
    return Step(**fields | values)


async def listed(client: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await client.get("/api/runs", params=query)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_a_run_shows_its_steps_in_the_order_of_their_ends(
    client: httpx.AsyncClient, database: Database
) -> None:
    event_id = later_ids.new()
    run = a_run(event_id=event_id, status=RunStatus.FAILED, error=b'{"code":"node_failed","message":"no"}')
    failed = a_step(
        run,
        "second",
        status=StepStatus.DEAD,
        output=None,
        port=None,
        error=b'{"message":"no"}',
        finished_at=NOW + timedelta(seconds=1),
    )
    await store(database, run, failed, a_step(run, "first"))

    found = (await client.get(f"/api/runs/{show_id(RUN, run.id)}")).json()

    assert (found["status"], found["event_id"]) == ("failed", show_id(EVENT, event_id))
    assert found["error"]["message"] == "no"
    assert [(step["node_id"], step["status"]) for step in found["steps"]] == [
        ("first", "succeeded"),
        ("second", "dead"),
    ]
    assert found["steps"][0]["output"] == {"big": 12345678901234567890, "text": "\ud800"}
    assert found["steps"][1]["error"] == {"message": "no"}


async def test_runs_are_searched_newest_first(client: httpx.AsyncClient, database: Database) -> None:
    first = a_run()
    second = a_run(status=RunStatus.SUCCEEDED, output=b"1e999", finished_at=NOW)
    third = a_run(workflow_id="v")
    await store(database, first, second, third)
    ids = [show_id(RUN, run.id) for run in (first, second, third)]

    assert await listed(client) == ids[::-1]
    assert await listed(client, workflow_id="w") == [ids[1], ids[0]]
    assert await listed(client, status="succeeded") == [ids[1]]
    assert await listed(client, until="2001-01-01") == []
    page = (await client.get("/api/runs?limit=1")).json()
    assert await listed(client, cursor=page["next_cursor"]) == [ids[1], ids[0]]


async def test_a_search_that_cannot_be_is_refused(client: httpx.AsyncClient) -> None:
    for query in ("limit=0", "status=lost", "workflow_id=%00", "cursor=!", "since=x", "colour=red"):
        assert (await client.get(f"/api/runs?{query}")).status_code == 422, query


async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    for name in ("x", "run_x", show_id(RUN, later_ids.new()), show_id(EVENT, later_ids.new()), "%00"):
        answer = await client.get(f"/api/runs/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "run_not_found"), name
