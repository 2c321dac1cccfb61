"""The built-in endpoint: ``/webhooks/receive`` and ``/webhooks/receive-content-hash``."""

from __future__ import annotations

import hashlib
import json

import pytest

from kanca.bodies import content_type_of, read_body
from kanca.domain.endpoint import RECEIVE_WEBHOOK_ID
from kanca.domain.status import EventStatus
from kanca.ingest.answers import Original
from kanca.providers import Draft
from tests.ingest.site import ENVELOPE, NOON, Site, signed, site

RECEIVE = "/webhooks/receive"
BY_CONTENT = "/webhooks/receive-content-hash"


async def test_a_signed_envelope_is_accepted() -> None:
    here = site()
    body = json.dumps(ENVELOPE | {"timestamp": "2026-11-21T12:00:00Z"}).encode()
    reply = await here.post(body, signed(body), path=RECEIVE)
    assert reply.status == 200
    assert reply.json() == {
        "status": "accepted",
        "event_id": "o-1",
        "id": f"evt_{here.event.id.hex}",
        "received_at": "2026-11-21T12:00:00Z",
    }
    assert (here.event.type, here.event.source_event_id) == ("order.created", "o-1")


async def test_a_duplicate_says_whether_its_original_has_been_worked_on() -> None:
    here = site()
    body = json.dumps(ENVELOPE).encode()
    await here.post(body, signed(body), path=RECEIVE)
    event_id = here.event.id
    same = {
        "event_id": "o-1",
        "id": f"evt_{event_id.hex}",
        "received_at": "2026-11-21T12:00:00Z",
        "retried": False,
    }
    again = await here.post(body, signed(body), path=RECEIVE)
    assert again.json() == same | {
        "status": "already_accepted",
        "event_status": "pending",
        "processed_at": None,
        "result": None,
    }
    here.store.became[event_id] = Original(event_id, "c", NOON, EventStatus.SUCCEEDED, NOON, b"42")
    again = await here.post(body, signed(body), path=RECEIVE)
    assert again.json() == same | {
        "status": "already_processed",
        "event_status": "succeeded",
        "processed_at": "2026-11-21T12:00:00Z",
        "result": 42,
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b"[]", "invalid_envelope"),
        (b'{"event_type":"a.b"}', "invalid_event_id"),
        (b'{"event_id":"1"}', "invalid_event_type"),
        (b'{"event_type":"a.b","event_id":1}', "invalid_event_id"),
        (b'{"event_type":"a.b","event_id":"1","data":[]}', "invalid_envelope"),
        (b'{"event_type":"a.b","event_id":"1","timestamp":{}}', "invalid_envelope"),
        (b'{"event_type":"a.b","event_id":"1","timestamp":false}', "invalid_envelope"),
        (b'{"event_type":"a.b","event_id":"1","other":1}', "invalid_envelope"),
        (b'{"event_type":"a.b","event_id":"1"', "invalid_json"),
    ],
)
async def test_a_body_that_does_not_fit_is_refused(body: bytes, code: str) -> None:
    reply = await site().post(body, signed(body), path=RECEIVE)
    assert (reply.status, reply.code) == (400, code)


@pytest.mark.parametrize("path", [RECEIVE, BY_CONTENT])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-ndjson", json.dumps(ENVELOPE).encode()),
        ("text/plain", b" " * 100 + json.dumps(ENVELOPE).encode()),
        ("application/x-www-form-urlencoded", b"payload=" + json.dumps(ENVELOPE).encode()),
    ],
)
async def test_a_body_that_its_content_type_makes_something_else_later_is_refused(
    content_type: str, body: bytes, path: str
) -> None:
    reply = await site().post(body, signed(body) | {"content-type": content_type}, path=path)
    assert (reply.status, reply.code) == (400, "invalid_json")


@pytest.mark.parametrize("path", [RECEIVE, BY_CONTENT])
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=iso-8859-1",
        "application/cloudevents+json",
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/octet-stream",
    ],
)
async def test_an_envelope_is_the_same_to_ingest_and_to_all_after_it(content_type: str, path: str) -> None:
    here = site()
    body = json.dumps(ENVELOPE).encode()
    reply = await here.post(body, signed(body) | {"content-type": content_type}, path=path)
    assert reply.status == 200
    assert read_body(here.event.body, content_type_of(here.event.request)).data == ENVELOPE["data"]


async def test_a_body_without_an_id_is_known_again_whatever_its_order_and_timestamp() -> None:
    here = site()
    bodies = [
        b'{"timestamp":1,"a":{"x":1,"y":2},"b":"\xc3\xa9"}',
        b'{"b":"\\u00e9", "a":{"y":2,"x":1},"timestamp":2}',
    ]
    first, again = [await here.post(body, signed(body), path=BY_CONTENT) for body in bodies]
    digest = hashlib.sha256(b'{"a": {"x": 1, "y": 2}, "b": "\\u00e9"}').hexdigest()
    assert first.json() == {
        "status": "accepted",
        "content_hash": digest,
        "id": f"evt_{here.event.id.hex}",
        "received_at": "2026-11-21T12:00:00Z",
    }
    assert again.json() == first.json() | {
        "status": "duplicate_detected",
        "event_status": "pending",
        "processed_at": None,
        "result": None,
        "retried": False,
    }


async def test_another_content_is_another_event() -> None:
    here = site()
    for body in (b'{"a":{"timestamp":1}}', b'{"a":{"timestamp":2}}'):
        reply = await here.post(body, signed(body), path=BY_CONTENT)
        assert reply.json()["status"] == "accepted"


async def test_by_content_only_objects_are_taken() -> None:
    reply = await site().post(b"[1]", signed(b"[1]"), path=BY_CONTENT)
    assert (reply.status, reply.code) == (400, "invalid_envelope")


@pytest.mark.parametrize("path", [RECEIVE, BY_CONTENT])
async def test_a_signature_is_required(path: str) -> None:
    reply = await site().post(ENVELOPE, path=path)
    assert (reply.status, reply.code) == (401, "invalid_signature")
    assert reply.headers["www-authenticate"] == 'Signature realm="kanca"'
    reply = await site().post(ENVELOPE, {"x-webhook-signature": "0" * 64}, path=path)
    assert (reply.status, reply.code) == (401, "invalid_signature")


@pytest.mark.parametrize("path", [RECEIVE, BY_CONTENT])
async def test_without_its_secret_it_is_not_there(path: str) -> None:
    reply = await Site({}).post(ENVELOPE, signed(b""), path=path)
    assert (reply.status, reply.code) == (404, "endpoint_not_found")


async def test_it_can_be_tested_like_others() -> None:
    here = site()
    body = json.dumps(ENVELOPE).encode()
    draft = Draft("https://", signed(body), body, 0.0, "dlv-1")
    answer = await here.ingest.test(RECEIVE_WEBHOOK_ID, draft, None)
    assert (answer.status, json.loads(answer.body)["status"]) == (200, "accepted")
