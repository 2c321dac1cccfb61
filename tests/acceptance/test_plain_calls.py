"""The calls that a newcomer makes, as the documentation writes them."""

from __future__ import annotations

from typing import Any

from tests.acceptance.processes import Client, eventually


async def test_an_endpoint_for_a_workflow_is_created_called_and_read(client: Client) -> None:
    wanted = {"workflow_id": "test-123", "node_id": "node-456", "config": {}}
    async with client.session.post(
        f"{client.url}/api/webhooks/endpoints",
        json=wanted,
        headers={"Authorization": "Bearer acceptance-admin-key"},
    ) as refused:
        assert refused.status in {404, 422}
        assert "test-123" in (await refused.json(content_type=None))["detail"]
    workflow = {
        "id": "test-123",
        "name": "Test",
        "nodes": [
            {"id": "node-456", "type": "WebhookTrigger", "config": {}},
            {"id": "say", "type": "Log", "config": {"message": "hello"}},
        ],
        "edges": [{"from": "node-456", "to": "say"}],
    }
    await client.ask("POST", "/api/workflows", workflow)
    await client.ask("POST", "/api/workflows/test-123/publish")
    made = await client.ask("POST", "/api/webhooks/endpoints", wanted, expect=200)
    assert made["endpoint_path"] == f"/api/webhooks/{made['webhook_id']}"
    assert (made["trigger_count"], made["last_triggered"], made["is_active"]) == (0, None, True)
    async with client.session.post(
        client.url + made["endpoint_path"],
        json={"event_type": "test.event", "data": {"message": "hello"}},
        headers={"Authorization": f"Bearer {made['secret_token']}"},
    ) as answer:
        assert answer.status == 200
        accepted = await answer.json()
    assert (accepted["success"], accepted["status"], accepted["webhook_id"]) == (
        True,
        "accepted",
        made["webhook_id"],
    )

    async def run() -> Any:
        runs = (await client.ask("GET", "/api/runs"))["items"]
        return runs and runs[0]["status"] == "succeeded" and runs[0]

    finished = await eventually(run, "the run succeeds")
    steps = (await client.ask("GET", f"/api/runs/{finished['id']}"))["steps"]
    assert [step["node_id"] for step in steps] == ["node-456", "say"]

    async def counted() -> Any:
        stats = await client.ask("GET", f"/api/webhooks/{made['webhook_id']}/stats")
        return stats if stats["total_events"] else None

    stats = await eventually(counted, "the event is counted")
    assert (stats["total_events"], stats["error_count"], stats["error_rate"]) == (1, 0, 0)
    assert stats["last_triggered"] is not None
    shown = await client.ask("GET", f"/api/webhooks/endpoints/{made['webhook_id']}")
    assert made["secret_token"] not in str(shown)
