"""Providers and instances: lists that only say what there is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import httpx

from kanca.api.app import create_api
from kanca.api.services import Services
from kanca.providers import Catalogue, get_provider, parse_spec, provider_names
from kanca.storage import claimed_work, instances, node_types
from kanca.storage.instances import Description, InstanceState
from kanca.storage.ports import Database
from tests.api.conftest import speaking_to
from tests.databases import ClockOffset


async def test_every_provider_is_listed_and_told_of(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/api/providers")).json()["items"]

    assert [item["name"] for item in listed] == list(provider_names())
    for item in listed:
        details = (await client.get(f"/api/providers/{item['name']}")).json()
        assert item.items() <= details.items()
        assert item["origin"] == "kanca"
        assert details["signatures"][0]["in_words"]
        assert parse_spec(details["spec"]) == get_provider(item["name"]), (
            "a spec of one's own may begin with it"
        )


async def test_how_a_provider_signs_is_told_in_words_and_in_parts(client: httpx.AsyncClient) -> None:
    stripe = (await client.get("/api/providers/stripe")).json()

    assert (stripe["signs"], stripe["secret_is_issued"]) == (True, True)
    assert stripe["signatures"] == [
        {
            "scheme": "hmac",
            "algorithm": "sha256",
            "in_words": "HMAC-SHA256 of `{timestamp}.{body}`, in hex, in the header `Stripe-Signature`, "
            "written `t={timestamp},v1={signature}`.",
            "place": {"where": "header", "name": "Stripe-Signature"},
            "form": "t={timestamp},v1={signature}",
            "encoding": "hex",
            "signed_content": ["{timestamp}.{body}"],
            "body_is_signed": True,
            "timestamp": {
                "where": "signature",
                "name": None,
                "unit": "s",
                "max_age_seconds": 300,
                "max_ahead_seconds": 300,
            },
            "id_header": None,
            "parameters": {"separator": ","},
        }
    ]
    assert (stripe["delivery_id"], stripe["delivery_id_is_signed"]) == (["{body:id}"], True)
    assert [option["name"] for option in stripe["options"]] == ["tolerance_seconds"]


async def test_handshakes_and_variants_are_told(client: httpx.AsyncClient) -> None:
    zoom = (await client.get("/api/providers/zoom")).json()
    sns = (await client.get("/api/providers/aws-sns")).json()

    [handshake] = zoom["handshakes"]
    assert handshake["when"] == {"{body:event}": "endpoint.url_validation"}
    assert handshake["reply"]["json_fields"]["plainToken"] == "{body:payload.plainToken}"
    assert sns["variants"] == ["v2_only"]
    assert sns["variants_in_detail"][0]["changes"] == ["signatures"]
    assert next(each for each in sns["options"] if each["name"] == "variant")["choices"] == ["v2_only"]


async def test_providers_of_ones_own_stand_among_the_others(services: Services) -> None:
    own = {"acme": {"title": "Acme", "signatures": [{"scheme": "none"}]}}
    async with speaking_to(create_api(replace(services, catalogue=Catalogue(own)))) as client:
        listed = {item["name"]: item for item in (await client.get("/api/providers")).json()["items"]}
        acme = (await client.get("/api/providers/acme")).json()

    assert (listed["acme"]["origin"], listed["stripe"]["origin"]) == ("own", "kanca")
    assert acme["signatures"][0]["in_words"].startswith("Nothing is proven")


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


async def test_gateways_are_listed_with_what_they_say_of_themselves(
    client: httpx.AsyncClient, database: Database
) -> None:
    said = Description("1.2.3", "0008", InstanceState.STOPPING, 15, -40)
    await database.write(instances.enter_gateway, "here", 7, "http://here:8000", timedelta(seconds=10), said)

    (found,) = (await client.get("/api/instances")).json()["items"]

    wanted = {"kind": "gateway", "hostname": "here", "pid": 7, "address": "http://here:8000", "app": None}
    wanted |= {"version": "1.2.3", "revision": "0008", "state": "stopping", "connections": 15}
    assert found.items() >= (wanted | {"clock_ahead_ms": -40, "is_alive": True, "active": 0}).items()
