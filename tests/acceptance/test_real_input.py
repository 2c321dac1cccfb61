"""Deliveries signed by the providers' own packages go through the running server into a handler and a workflow."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import standardwebhooks
import stripe

from tests.acceptance.processes import Client, KancaProcess, eventually
from tests.servers.node import run_node

STRIPE_SECRET = "whsec_4f1c2b7a9d8e6f5a4b3c2d1e0f9a8b7c"
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
GITHUB_SECRET = "a secret of the repository"

WORKFLOW = {
    "id": "traced",
    "name": "Leave a trace",
    "nodes": [
        {"id": "start", "type": "WebhookTrigger", "config": {}},
        {"id": "mark", "type": "Trace", "config": {}},
    ],
    "edges": [{"from": "start", "to": "mark"}],
}

GITHUB_EXAMPLES = """
import examples from "@octokit/webhooks-examples/api.github.com/index.json" with { type: "json" };
import { sign } from "@octokit/webhooks-methods";
const [secret, ...names] = process.argv.slice(1);
const signed = [];
for (const { name, examples: payloads } of examples.filter((one) => names.includes(one.name))) {
  const body = JSON.stringify(payloads[0]);
  signed.push({ name, body, signature: await sign(secret, body) });
}
console.log(JSON.stringify(signed));
"""


async def _traced_workflow(client: Client) -> None:
    await client.ask("POST", "/api/workflows", WORKFLOW)
    await client.ask("POST", "/api/workflows/traced/publish")


async def _post(
    client: Client, url: str, body: bytes, headers: Mapping[str, str]
) -> tuple[int, dict[str, Any]]:
    sent = {"Content-Type": "application/json", **headers}
    async with client.session.post(url, data=body, headers=sent) as answer:
        return answer.status, await answer.json(content_type=None)


async def _work_ended(client: Client, event_id: str) -> dict[str, Any]:
    async def ended() -> Any:
        event = await client.ask("GET", f"/api/events/{event_id}")
        return event if event["status"] != "pending" else None

    event: dict[str, Any] = await eventually(ended, f"the work of {event_id} ends")
    return event


async def _a_changed_byte_leaves_a_rejection_only(
    client: Client, url: str, body: bytes, headers: Mapping[str, str]
) -> None:
    """Send the delivery with one byte changed: 401, no event, and a rejection that says why."""
    changed = body.replace(b'"', b"'", 1) if body.count(b'"') % 2 else body[:-2] + b" " + body[-1:]
    webhook_id = url.rpartition("/")[2]
    before = len(await client.events(webhook_id=webhook_id))
    status, problem = await _post(client, url, changed, headers)
    assert (status, problem["status"]) == (401, 401)
    assert len(await client.events(webhook_id=webhook_id)) == before

    async def listed() -> Any:
        return (await client.ask("GET", f"/api/webhooks/{webhook_id}/rejections"))["items"]

    rejections = await eventually(listed, "the rejection is listed")
    assert rejections[0]["status"] == 401


async def test_a_stripe_delivery_reaches_a_handler_and_a_workflow(
    client: Client, server: KancaProcess
) -> None:
    await _traced_workflow(client)
    url, _ = await client.endpoint(provider="stripe", secret=STRIPE_SECRET, workflow_id="traced")
    body = json.dumps(
        {
            "id": "evt_1Real",
            "object": "event",
            "type": "charge.succeeded",
            "data": {"object": {"id": "ch_1"}},
        },
        indent=2,
    ).encode()
    header = stripe.WebhookSignature.generate_signature_header(body.decode(), STRIPE_SECRET, int(time.time()))
    assert stripe.Webhook.construct_event(body, header, STRIPE_SECRET).id == "evt_1Real"
    headers = {"Stripe-Signature": header}
    status, answer = await _post(client, url, body, headers)
    assert (status, answer["status"]) == (200, "accepted")
    event = await _work_ended(client, answer["event_id"])
    assert (event["status"], event["event_type"], event["source_event_id"]) == (
        "succeeded",
        "charge.succeeded",
        "evt_1Real",
    )
    calls = [(kind, source) for _, kind, source in server.calls()]
    assert calls.count(("charge.succeeded", "evt_1Real")) == 1
    assert calls.count(("node", "mark")) == 1
    status, answer = await _post(client, url, body, headers)
    assert (status, answer["status"], answer["event_id"]) == (200, "duplicate", event["id"])
    await _a_changed_byte_leaves_a_rejection_only(client, url, body, headers)


async def test_a_standardwebhooks_delivery_reaches_a_handler(client: Client, server: KancaProcess) -> None:
    url, _ = await client.endpoint(provider="standardwebhooks", secret=STANDARD_SECRET)
    body = json.dumps(
        {"type": "contact.created", "timestamp": "2026-01-01T00:00:00Z", "data": {"id": 1}}
    ).encode()
    now = datetime.now(UTC)
    message_id = f"msg_{uuid.uuid4().hex}"
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(STANDARD_SECRET).sign(message_id, now, body.decode()),
    }
    status, answer = await _post(client, url, body, headers)
    assert (status, answer["status"]) == (200, "accepted")
    event = await _work_ended(client, answer["event_id"])
    assert (event["status"], event["source_event_id"]) == ("succeeded", message_id)
    assert [kind for _, kind, source in server.calls() if source == message_id] == ["contact.created"]
    await _a_changed_byte_leaves_a_rejection_only(client, url, body, headers)


async def test_real_github_payloads_signed_by_octokit_reach_handlers(
    client: Client, server: KancaProcess
) -> None:
    url, _ = await client.endpoint(provider="github", secret=GITHUB_SECRET)
    names = ["push", "issues", "pull_request", "ping", "release"]
    signed = json.loads(await asyncio.to_thread(run_node, GITHUB_EXAMPLES, GITHUB_SECRET, *names))
    assert {one["name"] for one in signed} == set(names)
    for one in signed:
        delivery_id = str(uuid.uuid4())
        headers = {
            "X-GitHub-Event": one["name"],
            "X-GitHub-Delivery": delivery_id,
            "X-Hub-Signature-256": one["signature"],
        }
        body = one["body"].encode()
        status, answer = await _post(client, url, body, headers)
        assert (status, answer["status"]) == (200, "accepted")
        event = await _work_ended(client, answer["event_id"])
        assert (event["status"], event["source_event_id"]) == ("succeeded", delivery_id)
        assert event["event_type"].split(".")[0] == one["name"]
        assert event["payload"] == json.loads(body)
        await _a_changed_byte_leaves_a_rejection_only(client, url, body, headers)
    assert len([kind for _, kind, _ in server.calls() if kind.split(".")[0] in names]) == len(names)
