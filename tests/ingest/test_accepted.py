"""What senders of events that are taken see, and what is stored of them."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from kanca.domain.event import NewEvent
from kanca.domain.status import EventStatus
from kanca.ingest.answers import Original
from kanca.ingest.settings import IngestSettings
from kanca.providers import Catalogue, Draft, make_delivery, sign
from tests.ingest.site import (
    BEARER,
    ENVELOPE,
    JSON,
    NOON,
    PATH,
    SECRET,
    WEBHOOK_ID,
    endpoint,
    signed,
    site,
)


async def test_an_event_is_accepted_and_stored_with_the_exact_bytes() -> None:
    here = site()
    body = b'  {"event_type":"order.created","data":{"b":1,"a":2.50}}\n'
    reply = await here.post(body, BEARER | JSON | {"user-agent": "shop/1"})
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["content-length"] == str(len(reply.body))
    event = here.event
    assert reply.json() == {
        "success": True,
        "message": "Webhook accepted",
        "webhook_id": WEBHOOK_ID,
        "event_id": f"evt_{event.id.hex}",
        "status": "accepted",
        "received_at": "2026-11-21T12:00:00Z",
        "correlation_id": f"evt_{event.id.hex}",
    }
    assert (event.body, event.type, event.endpoint, event.received_at) == (body, "order.created", 100, NOON)
    assert json.loads(event.request) == {
        "method": "POST",
        "path": PATH,
        "ip": "192.0.2.7",
        "user_agent": "shop/1",
        "headers": [
            ["authorization", "[redacted]"],
            ["content-type", "application/json"],
            ["user-agent", "shop/1"],
        ],
        "authenticated": True,
        "test": False,
    }
    assert here.waker.wakes == 1


@pytest.mark.parametrize(("body_claim", "is_hidden"), [(None, True), ("sha256", False)])
async def test_a_signed_token_is_not_stored_where_it_would_do_for_any_body(
    body_claim: str | None, *, is_hidden: bool
) -> None:
    token = {"scheme": "jwt", "header": "X-Token", "algorithm": "HS256", "body_claim": body_claim}
    spec = {"name": "acme", "signatures": [token]}
    here = site(endpoint("acme", provider_spec=spec))
    described = Catalogue().read_own(spec, "acme")
    draft = make_delivery(described, None, now=NOON.timestamp()).draft
    headers = sign(described, None, SECRET, draft).headers

    assert (await here.post(draft.body, headers)).status == 200

    stored = dict(json.loads(here.event.request)["headers"])["x-token"]
    assert stored == ("[redacted]" if is_hidden else headers["X-Token"])


async def test_an_endpoint_is_found_by_its_slug() -> None:
    reply = await site().post(ENVELOPE, BEARER, path="/webhooks/orders")
    assert reply.status == 200
    assert reply.json()["status"] == "accepted"
    assert reply.json()["webhook_id"] == WEBHOOK_ID


async def test_an_application_is_served_below_its_mount_point() -> None:
    reply = await site().post(ENVELOPE, BEARER, path="/hooks" + PATH, root_path="/hooks")
    assert reply.status == 200


async def test_a_body_may_come_in_pieces() -> None:
    here = site()
    body = json.dumps(ENVELOPE).encode()
    assert (await here.post([body[:10], b"", body[10:]], BEARER | JSON)).status == 200
    assert here.event.body == body


async def test_concurrent_requests_share_a_commit() -> None:
    here = site()
    replies = await asyncio.gather(*[here.post(ENVELOPE | {"event_id": f"o-{n}"}, BEARER) for n in range(50)])
    assert {reply.status for reply in replies} == {200}
    assert len(here.accepting.events) == 50
    assert here.waker.wakes < 10


async def test_an_event_of_an_endpoint_without_authentication_says_so() -> None:
    here = site(endpoint(authentication_required=False))
    assert (await here.post(ENVELOPE, BEARER)).status == 200
    assert json.loads(here.event.request)["authenticated"] is False


async def test_a_signed_event_is_accepted() -> None:
    here = site(endpoint("hmac"))
    body = json.dumps(ENVELOPE).encode()
    assert (await here.post(body, JSON | signed(body))).status == 200
    assert json.loads(here.event.request)["authenticated"] is True


async def test_a_sender_may_sign_the_public_address() -> None:
    options = {"signed_content": "{method} {url} {body}"}
    here = site(
        endpoint("hmac", provider_options=options), IngestSettings(public_url="https://hooks.example.com")
    )
    body = json.dumps(ENVELOPE).encode()
    proof = signed(b"POST https://hooks.example.com" + PATH.encode() + b"?a=%20b " + body)
    assert (await here.post(body, JSON | proof, query_string=b"a=%20b")).status == 200


async def test_without_a_public_address_the_one_that_was_asked_counts() -> None:
    here = site(endpoint("hmac", provider_options={"signed_content": "{url} {body}"}))
    body = json.dumps(ENVELOPE).encode()
    proof = signed(b"http://shop.test:8000/hooks" + PATH.encode() + b" " + body)
    headers = JSON | proof | {"host": "shop.test:8000"}
    assert (await here.post(body, headers, path="/hooks" + PATH, root_path="/hooks")).status == 200


async def test_a_duplicate_is_answered_with_what_became_of_its_original() -> None:
    here = site()
    first = await here.post(ENVELOPE, BEARER)
    here.store.became[here.event.id] = Original(
        here.event.id, "c-1", NOON, EventStatus.SUCCEEDED, NOON + timedelta(seconds=1), b'{"ok":true}'
    )
    again = await here.post(ENVELOPE | {"data": {"other": 1}}, BEARER)
    assert again.status == 200
    assert again.json() == {
        "success": True,
        "message": "Accepted before",
        "webhook_id": WEBHOOK_ID,
        "event_id": first.json()["event_id"],
        "status": "duplicate",
        "received_at": "2026-11-21T12:00:00Z",
        "correlation_id": "c-1",
        "event_status": "succeeded",
        "processed_at": "2026-11-21T12:00:01Z",
        "result": {"ok": True},
        "retried": False,
    }
    assert len(here.accepting.events) == 1
    assert here.waker.wakes == 1


async def test_a_duplicate_of_dead_work_says_that_it_is_tried_again_and_wakes_workers() -> None:
    here = site()
    await here.post(ENVELOPE, BEARER)
    original = Original(here.event.id, "c-1", NOON, EventStatus.DEAD, NOON, b"null")
    here.store.became[here.event.id] = original.begun_again()
    again = (await here.post(ENVELOPE, BEARER)).json()
    assert (again["status"], again["retried"], again["event_status"]) == ("duplicate", True, "pending")
    assert here.waker.wakes == 2


async def test_without_a_key_the_same_bytes_are_two_events() -> None:
    here = site()
    for _ in range(2):
        assert (await here.post({"event_type": "a.b"}, BEARER)).json()["status"] == "accepted"
    assert len(here.accepting.events) == 2


@pytest.mark.parametrize(("retention_days", "kept_days"), [(30, 3), (2, 2)])
async def test_the_key_holds_for_the_window_of_the_endpoint_and_no_longer_than_events_are_kept(
    retention_days: int, kept_days: int
) -> None:
    settings = IngestSettings(retention=timedelta(days=retention_days))
    here = site(endpoint(dedupe_window_days=3), settings)
    await here.post(ENVELOPE, BEARER)
    assert here.event.dedupe_until == NOON + timedelta(days=kept_days)


async def test_a_captured_request_does_not_become_a_new_event_under_a_new_delivery_id() -> None:
    here = site(endpoint("github"))
    body = b'{"action":"opened","number":7}'
    headers = JSON | signed(body, "x-hub-signature-256", "sha256=") | {"x-github-event": "issues"}
    first = await here.post(body, headers | {"x-github-delivery": "guid-1"})
    replays: list[dict[str, str]] = [{"x-github-delivery": "guid-2"}, {}, {"idempotency-key": "k"}]
    for replay in replays:
        again = await here.post(body, headers | replay)
        assert again.json()["status"] == "duplicate"
        assert again.json()["event_id"] == first.json()["event_id"]
    assert here.event.type == "issues.opened"
    assert here.event.source_event_id == "guid-1"


async def test_an_endpoints_own_test_goes_the_real_way_without_its_limits() -> None:
    config = endpoint("hmac", rate_limit_per_minute=1, allowed_ips=["203.0.113.1"], dedupe="content")
    here = site(config, IngestSettings(require_https=True))
    body = b'{"event_type":"webhook.test"}'
    draft = Draft("https://", JSON | signed(body), body, NOON.timestamp(), "dlv-1")
    for _ in range(2):
        answer = await here.ingest.test(WEBHOOK_ID, draft, None)
        assert answer.status == 200
        assert json.loads(answer.body)["status"] == "accepted"
    events: list[NewEvent] = list(here.accepting.events.values())
    assert [json.loads(event.request)["test"] for event in events] == [True, True]
    assert [event.dedupe_key for event in events] == [None, None]
    unsigned = Draft("https://", JSON, body, NOON.timestamp(), "dlv-1")
    assert (await here.ingest.test(WEBHOOK_ID, unsigned, None)).status == 401


async def test_no_header_makes_a_request_a_test() -> None:
    here = site()
    await here.post(ENVELOPE, BEARER | {"x-webhook-test": "true", "test": "true"})
    assert json.loads(here.event.request)["test"] is False
