from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import Connection, insert

from kanca.domain.ids import EVENT, RUN, derived_id, show_id
from kanca.domain.status import RunOrigin, RunStatus, StepStatus, WaitStatus
from kanca.domain.task import Attempt, RunChange, Step
from kanca.domain.wait import Wait, WaitAddress
from kanca.storage.ports import Database
from kanca.storage.tables import waits
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


def an_open_wait(run: RunChange, node_id: str, **values: Any) -> Wait:
    fields: dict[str, Any] = {
        "id": WaitAddress(run.id, node_id).wait_id,
        "run_id": run.id,
        "workflow": 1,
        "node_id": node_id,
        "iteration": 0,
        "rule": "by-order",
        "key": "A-1",
        "status": WaitStatus.OPEN,
        "task_id": 1,
        "opened_at": NOW,
        "due_at": NOW + timedelta(days=1),
    }
    return Wait(**fields | values)


async def add_waits(database: Database, *added: Wait) -> None:
    def add(connection: Connection) -> None:
        connection.execute(insert(waits), [asdict(wait) for wait in added])

    await database.write(add)


async def test_a_run_shows_what_it_waited_for_and_the_failed_attempts_of_its_steps(
    client: httpx.AsyncClient, database: Database
) -> None:
    parent, child, event_id = a_run(), later_ids.new(), later_ids.new()
    run = a_run(
        origin=RunOrigin.WORKFLOW, parent_run_id=parent.id, cancel_requested_at=NOW, status=RunStatus.WAITING
    )
    step = a_step(run, "call", attempt_number=2)
    failed = Attempt(later_ids.new(), None, "workflow:w", step.id, 1, NOW, NOW, "http_status", b'{"n": 1}')
    other = Attempt(later_ids.new(), None, "workflow:w", run.id, 1, NOW, NOW, "http_status", b"{}")
    await store(database, parent, run, step, failed, other)
    claimed = {"status": WaitStatus.CLAIMED, "ended_at": NOW, "event_id": event_id}
    await add_waits(
        database,
        an_open_wait(run, "paid", **claimed),
        an_open_wait(run, "sub", rule="@run", child_run_id=child, opened_at=NOW + timedelta(seconds=1)),
    )

    found = (await client.get(f"/api/runs/{show_id(RUN, run.id)}")).json()

    assert (found["origin"], found["parent_run_id"], found["is_test"]) == (
        "workflow",
        show_id(RUN, parent.id),
        False,
    )
    assert found["cancel_requested_at"] is not None
    [shown] = found["steps"]
    assert [(each["attempt_number"], each["code"], each["error"]) for each in shown["attempts"]] == [
        (1, "http_status", {"n": 1})
    ]
    assert [(wait["node_id"], wait["status"], wait["key"]) for wait in found["waits"]] == [
        ("paid", "claimed", "A-1"),
        ("sub", "open", None),
    ]
    assert found["waits"][0]["event_id"] == show_id(EVENT, event_id)
    assert found["waits"][1]["child_run_id"] == show_id(RUN, child)


async def test_runs_are_found_by_event_by_key_and_as_tests(
    client: httpx.AsyncClient, database: Database
) -> None:
    event_id = later_ids.new()
    of_event = a_run(id=derived_id(event_id, "workflow:w"), event_id=event_id)
    of_another = a_run(event_id=later_ids.new())
    test = a_run(is_test=True)
    waiting = a_run(status=RunStatus.WAITING)
    await store(database, of_event, of_another, test, waiting)
    timed_out = an_open_wait(of_event, "paid", status=WaitStatus.TIMED_OUT)
    await add_waits(database, an_open_wait(waiting, "paid"), timed_out)

    def shown(*found: RunChange) -> list[str]:
        return [show_id(RUN, run.id) for run in found]

    assert await listed(client) == shown(waiting, of_another, of_event)
    assert await listed(client, event_id=show_id(EVENT, event_id)) == shown(of_event)
    assert await listed(client, is_test=True) == shown(test)
    assert await listed(client, waiting_for="A-1") == shown(waiting)
    assert await listed(client, waiting_for="A-2") == []
    assert (await client.get("/api/runs?event_id=x")).status_code == 422


async def test_a_drawing_shows_where_a_run_waits(client: httpx.AsyncClient, database: Database) -> None:
    nodes = [{"id": name, "type": "WebhookTrigger"} for name in ("in", "paid")]
    definition = {"id": "w", "nodes": nodes, "edges": [{"from": "in", "to": "paid"}]}
    assert (await client.post("/api/workflows", json=definition)).status_code == 200
    run = a_run(status=RunStatus.WAITING)
    await store(database, run, a_step(run, "in"))
    await add_waits(database, an_open_wait(run, "paid"))

    drawn = (await client.get(f"/api/runs/{show_id(RUN, run.id)}/mermaid")).text

    assert "waiting since" in drawn
