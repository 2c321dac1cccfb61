from __future__ import annotations

from typing import Any

import httpx
import pytest
from aiohttp import web

from kanca.api.services import Services
from tests.api.subscribing import sending

ENDPOINT = {"kind": "endpoint", "verb": "create", "id": "orders", "body": {"slug": "orders"}}
SUBSCRIPTION = {
    "kind": "subscription",
    "verb": "create",
    "id": "partner",
    "body": {"url": "https://partner.example/hooks", "events": ["*"], "sources": ["orders"]},
}
WORKFLOW = {
    "kind": "workflow",
    "verb": "create",
    "id": "flow",
    "tenant": "acme",
    "body": {"nodes": [{"id": "in", "type": "WebhookTrigger"}]},
}


async def applied(client: httpx.AsyncClient, *changes: dict[str, Any], **more: Any) -> httpx.Response:
    return await client.post("/api/apply", json={"changes": list(changes), **more})


async def slugs(client: httpx.AsyncClient) -> list[str]:
    return [item["slug"] for item in (await client.get("/api/webhooks/endpoints")).json()["items"]]


async def test_changes_may_build_on_those_before_them(client: httpx.AsyncClient) -> None:
    publish = {"kind": "workflow", "verb": "publish", "id": "flow"}
    endpoint = ENDPOINT | {"body": {"slug": "orders", "workflow_id": "flow"}}
    answer = await applied(client, WORKFLOW, publish, endpoint, SUBSCRIPTION)
    assert answer.status_code == 200, answer.text
    webhook_id = answer.json()["changes"][2]["id"]
    shown = (await client.get("/webhooks/subscriptions/partner")).json()
    workflow = (await client.get("/api/workflows/flow")).json()
    assert (shown["sources"], workflow["tenant"], workflow["is_published"]) == ([webhook_id], "acme", True)


async def test_one_that_cannot_be_undoes_all(client: httpx.AsyncClient) -> None:
    wrong = SUBSCRIPTION | {"body": SUBSCRIPTION["body"] | {"sources": ["nobody"]}}  # type: ignore[operator]
    answer = await applied(client, ENDPOINT, WORKFLOW, wrong)
    assert (answer.status_code, answer.json()["code"], answer.json()["change"]) == (
        422,
        "invalid_subscription",
        2,
    )
    assert await slugs(client) == []
    assert (await client.get("/api/workflows/flow")).status_code == 404


async def test_a_dry_run_says_what_would_be_and_leaves_everything(client: httpx.AsyncClient) -> None:
    answer = await applied(client, ENDPOINT, SUBSCRIPTION, dry_run=True)
    assert (answer.json()["is_dry_run"], len(answer.json()["changes"])) == (True, 2)
    assert await slugs(client) == []
    refused = await applied(client, ENDPOINT, ENDPOINT, dry_run=True)
    assert (refused.status_code, refused.json()["code"]) == (409, "slug_taken")


async def test_what_somebody_changed_meanwhile_is_not_overwritten(client: httpx.AsyncClient) -> None:
    await applied(client, ENDPOINT, SUBSCRIPTION, WORKFLOW)
    [endpoint] = (await client.get("/api/webhooks/endpoints")).json()["items"]
    subscription = (await client.get("/webhooks/subscriptions/partner")).json()
    workflow = (await client.get("/api/workflows/flow")).json()
    before = "2020-01-01T00:00:00Z"
    for kind, name, body, seen in (
        ("endpoint", "orders", {"name": "Orders"}, endpoint["updated_at"]),
        ("subscription", "partner", {"name": "P"}, subscription["updated_at"]),
        ("workflow", "flow", WORKFLOW["body"], workflow["updated_at"]),
    ):
        change = {"kind": kind, "verb": "change", "id": name, "body": body}
        refused = await applied(client, change | {"updated_at": before})
        assert (refused.status_code, refused.json()["code"]) == (409, "changed_meanwhile")
        assert (await applied(client, change | {"updated_at": seen})).status_code == 200


async def test_secrets_are_rotated_and_things_are_deleted_by_slug_or_id(client: httpx.AsyncClient) -> None:
    credential = {
        "kind": "credential",
        "verb": "create",
        "id": "crm",
        "body": {"kind": "bearer", "token": "t"},
    }
    event_type = {"kind": "event_type", "verb": "create", "id": "order.created", "body": {"enforced": False}}
    await applied(client, ENDPOINT, SUBSCRIPTION, WORKFLOW, credential, event_type)
    secret = "wht_" + "0" * 64
    rotated = await applied(
        client,
        {"kind": "endpoint", "verb": "rotate", "id": "orders", "body": {"secret": secret}},
        {"kind": "subscription", "verb": "rotate", "id": "partner"},
    )
    assert rotated.status_code == 200, rotated.text
    webhook_id = rotated.json()["changes"][0]["id"]
    revealed = await client.post(f"/api/webhooks/endpoints/{webhook_id}/reveal-secret")
    assert revealed.json()["secret_token"] == secret
    gone = [
        {"kind": kind, "verb": "delete", "id": name}
        for kind, name in (
            ("subscription", "partner"),
            ("endpoint", webhook_id),
            ("workflow", "flow"),
            ("credential", "crm"),
            ("event_type", "order.created"),
        )
    ]
    assert (await applied(client, *gone)).status_code == 200
    assert await slugs(client) == []


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"kind": "credential", "verb": "publish", "id": "c"}, 422, "invalid_input"),
        ({"kind": "credential", "verb": "create", "id": "a b", "body": {}}, 422, "invalid_input"),
        ({"kind": "credential", "verb": "create", "id": "c", "body": {"kind": "x"}}, 422, "invalid_request"),
        ({"kind": "event_type", "verb": "delete", "id": "a b"}, 404, "event_type_not_found"),
        ({"kind": "endpoint", "verb": "change", "id": "none"}, 404, "endpoint_not_found"),
        ({"kind": "workflow", "verb": "change", "id": "none"}, 404, "workflow_not_found"),
        ({"kind": "subscription", "verb": "change", "id": "none"}, 404, "subscription_not_found"),
        (
            {"kind": "endpoint", "verb": "delete", "id": "wh_000000000000000000000001"},
            409,
            "built_in_endpoint",
        ),
    ],
)
async def test_what_cannot_be_done_is_refused_as_its_own_route_would(
    client: httpx.AsyncClient, change: dict[str, Any], status: int, code: str
) -> None:
    answer = await applied(client, change)
    assert (answer.status_code, answer.json()["code"], answer.json()["change"]) == (status, code, 0)


async def test_a_body_that_is_refused_is_not_repeated(client: httpx.AsyncClient) -> None:
    secret = "not to be seen"
    answer = await applied(
        client,
        {"kind": "credential", "verb": "create", "id": "c", "body": {"kind": "bearer", "token": [secret]}},
    )
    assert answer.status_code == 422
    assert secret not in answer.text


async def test_an_endpoint_may_keep_the_id_that_it_has_elsewhere(client: httpx.AsyncClient) -> None:
    webhook_id = "wh_0123456789abcdef01234567"
    made = await client.post("/api/webhooks/endpoints", json={"webhook_id": webhook_id})
    assert made.json()["endpoint_path"] == f"/api/webhooks/{webhook_id}"
    again = await client.post("/api/webhooks/endpoints", json={"webhook_id": webhook_id})
    await client.delete(f"/api/webhooks/endpoints/{webhook_id}")
    deleted = await client.post("/api/webhooks/endpoints", json={"webhook_id": webhook_id})
    assert [(each.status_code, each.json()["code"]) for each in (again, deleted)] == [
        (409, "endpoint_exists")
    ] * 2


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    return web.json_response({"challenge": (await request.json())["challenge"]})


async def test_receivers_are_challenged_once_everything_is_made(services: Services) -> None:
    async with sending(services) as site:
        site.answers.append(echo)
        body = {"url": site.url, "events": ["*"], "challenge": True}
        asked = await applied(site.client, SUBSCRIPTION | {"body": body}, dry_run=True)
        assert (asked.status_code, site.receiver.bodies) == (200, [])
        await applied(site.client, SUBSCRIPTION | {"body": body})
        shown = (await site.client.get("/webhooks/subscriptions/partner")).json()
        assert (shown["status"], len(site.receiver.bodies)) == ("active", 1)
