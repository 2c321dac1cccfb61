from __future__ import annotations

from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from kanca.domain.task import TaskKind
from kanca.storage.ports import Database
from tests.api.conftest import Clock, Wakes
from tests.api.rows import waiting
from tests.api.workflow_samples import definition

WORKFLOWS = "/api/workflows"
ONE = f"{WORKFLOWS}/test-123"


def renamed(name: str) -> dict[str, Any]:
    return definition() | {"name": name}


async def saved(client: httpx.AsyncClient, *names: str) -> None:
    """Save a version for each of the names."""
    for at, name in enumerate(names):
        address = WORKFLOWS if at == 0 else ONE
        answer = await client.request("POST" if at == 0 else "PUT", address, json=renamed(name))
        assert answer.status_code == 200, answer.text


async def published(client: httpx.AsyncClient, clock: Clock, version: int) -> None:
    clock.advance(seconds=1)
    assert (await client.post(f"{ONE}/publish", params={"version": version})).status_code == 200


async def test_versions_are_listed_with_what_they_are(client: httpx.AsyncClient, clock: Clock) -> None:
    await saved(client, "one", "two", "three")
    await published(client, clock, 1)

    first = (await client.get(f"{ONE}/versions", params={"limit": 2})).json()
    second = (await client.get(f"{ONE}/versions", params={"cursor": first["next_cursor"]})).json()
    items = first["items"] + second["items"]

    assert [item["version"] for item in items] == [3, 2, 1]
    assert [item["is_draft"] for item in items] == [True, False, False]
    assert [item["is_published"] for item in items] == [False, False, True]
    assert [item["published_at"] is not None for item in items] == [False, False, True]
    assert {item["node_count"] for item in items} == {2}
    assert second["next_cursor"] is None
    assert (await client.get(ONE)).json()["has_draft"] is True
    await published(client, clock, 3)
    assert (await client.get(ONE)).json()["has_draft"] is False


async def test_what_publishing_would_change_is_told(client: httpx.AsyncClient, clock: Clock) -> None:
    await saved(client, "one", "two")
    unpublished = await client.get(f"{ONE}/diff")
    assert (unpublished.status_code, unpublished.json()["code"]) == (409, "workflow_not_published")

    await published(client, clock, 1)
    changed = definition() | {
        "nodes": [
            definition()["nodes"][0],
            {"id": "say", "type": "Log", "config": {"message": "=event.id"}},
        ]
    }
    await client.put(ONE, json=changed)
    newest = (await client.get(f"{ONE}/diff")).json()
    older = (await client.get(f"{ONE}/diff", params={"from": 2, "to": 1})).json()
    same = (await client.get(f"{ONE}/diff", params={"from": 1, "to": 1})).json()

    assert (newest["from_version"], newest["to_version"], newest["is_empty"]) == (1, 3, False)
    assert newest["nodes"]["changed"] == [
        {
            "id": "say",
            "changes": [{"path": "/config/message", "old": "=event.type", "new": "=event.id"}],
        }
    ]
    assert older["changes"] == [{"path": "/name", "old": "two", "new": "one"}]
    assert same["is_empty"] is True
    assert (await client.get(f"{ONE}/diff", params={"from": 9})).json()["code"] == "workflow_not_found"


async def test_one_goes_back_to_what_was_published_before(client: httpx.AsyncClient, clock: Clock) -> None:
    await saved(client, "one", "two", "three")
    refused = await client.post(f"{ONE}/rollback")
    assert (refused.status_code, refused.json()["code"]) == (409, "workflow_not_published")
    await published(client, clock, 1)
    await published(client, clock, 3)
    clock.advance(seconds=1)

    with capture_logs() as logs:
        back = (await client.post(f"{ONE}/rollback")).json()
    clock.advance(seconds=1)
    chosen = (await client.post(f"{ONE}/rollback", json={"version": 2})).json()

    assert (back["published_version"], back["version"], chosen["published_version"]) == (1, 3, 2)
    [line] = [log for log in logs if log["event"] == "audit"]
    assert (line["action"], line["version"]) == ("workflow.rolled_back", 1)
    [_, entry] = (await client.get("/api/audit", params={"action": "workflow.rolled_back"})).json()["items"]
    assert (entry["before"], entry["after"]) == ({"published_version": 3}, {"published_version": 1})
    assert (await client.post(f"{ONE}/rollback", json={"version": 9})).json()["code"] == "workflow_not_found"
    for body in ({"version": 0}, {"version": "1"}, {"to": 1}):
        assert (await client.post(f"{ONE}/rollback", json=body)).status_code == 422, body


async def test_a_paused_workflow_is_shown_so_and_resuming_wakes_the_workers(
    client: httpx.AsyncClient, wakes: Wakes, database: Database
) -> None:
    await saved(client, "one")
    await client.post(f"{ONE}/publish")
    await client.post(f"{ONE}/runs")
    [task] = await waiting(database)
    assert task.kind == TaskKind.RUN
    woken = wakes.count

    paused = (await client.post(f"{ONE}/pause")).json()
    resumed = (await client.post(f"{ONE}/resume")).json()

    assert (paused["is_paused"], resumed["is_paused"]) == (True, False)
    assert wakes.count == woken + 1


@pytest.mark.parametrize("path", ["versions", "diff", "export", "mermaid", "rollback", "pause", "resume"])
async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    method = "POST" if path in {"rollback", "pause", "resume"} else "GET"
    for name in ("nothing", "a%20b", "%00"):
        answer = await client.request(method, f"{WORKFLOWS}/{name}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "workflow_not_found"), name
