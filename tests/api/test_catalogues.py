"""Providers and instances: lists that only say what there is."""

from __future__ import annotations

from datetime import timedelta

import httpx

from kanca.api.services import Services
from kanca.providers import provider_names
from kanca.storage import claimed_work, node_types
from kanca.storage.ports import Database
from tests.databases import ClockOffset


async def test_every_provider_is_listed_and_told_of(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/api/providers")).json()["items"]

    assert [item["name"] for item in listed] == list(provider_names())
    for item in listed:
        details = (await client.get(f"/api/providers/{item['name']}")).json()
        assert item.items() <= details.items()
        assert details["spec"]["signatures"]
    stripe = next(item for item in listed if item["name"] == "stripe")
    assert (stripe["signs"], stripe["secret_is_issued"]) == (True, True)


async def test_a_provider_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/providers/strip")

    assert (answer.status_code, answer.json()["code"]) == (404, "provider_not_found")
    assert "`stripe`" in answer.json()["detail"]


async def test_workers_are_listed_with_the_handlers_that_none_of_them_has(
    client: httpx.AsyncClient, database: Database, clock_offset: ClockOffset
) -> None:
    await database.write(claimed_work.announce_handlers, "shop:hooks", {"shop.paid": "{}"})
    await database.queue.register("old", 1, "shop:hooks", 10, timedelta(seconds=10))
    await clock_offset(60)
    await database.queue.register("new", 2, None, 4, timedelta(seconds=10))

    found = (await client.get("/api/instances")).json()

    assert [(item["hostname"], item["is_alive"]) for item in found["items"]] == [
        ("old", False),
        ("new", True),
    ]
    assert found["items"][1]["concurrency"] == 4
    assert found["unserved_handlers"] == [{"name": "shop.paid", "app": "shop:hooks"}]


async def test_workflows_are_listed_that_no_worker_has_all_node_types_for(
    client: httpx.AsyncClient, services: Services, database: Database
) -> None:
    services.nodes.node("SendInvoice")(lambda step, config: None)
    nodes = [{"id": "start", "type": "WebhookTrigger"}, {"id": "bill", "type": "SendInvoice"}]
    definition = {"id": "bills", "nodes": nodes, "edges": [{"from": "start", "to": "bill"}]}
    assert (await client.post("/api/workflows", json=definition)).status_code == 200
    assert (await client.post("/api/workflows/bills/publish")).status_code == 200
    await database.queue.register("here", 1, None, 4, timedelta(seconds=10))

    found = (await client.get("/api/instances")).json()
    assert found["unserved_workflows"] == [{"id": "bills", "node_types": ["SendInvoice"]}]
    health = (await client.get("/health")).json()
    assert any("Workflows that no running worker can run: 1." in each for each in health["warnings"])

    await database.write(node_types.announce, "shop:hooks", {"SendInvoice": "{}"})
    await database.queue.register("here", 2, "shop:hooks", 4, timedelta(seconds=10))
    assert (await client.get("/api/instances")).json()["unserved_workflows"] == []
