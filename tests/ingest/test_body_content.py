"""What a body may say, and what is refused for it."""

from __future__ import annotations

import pytest

from tests.ingest.site import BEARER, JSON, endpoint, site


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b'{"a":', "invalid_json"),
        (b'{"a":1}}', "invalid_json"),
        (b"NaN", "invalid_json"),
        (b'{"a":-Infinity}', "invalid_json"),
        (b'{"a":"\xff"}', "invalid_utf8"),
        ('{"a":1}'.encode("utf-16-le"), "invalid_json"),
        (b"[" * 100_000, "nested_too_deeply"),
        (b"[" * 100_000 + b"]" * 100_000, "nested_too_deeply"),
        (b"[" * 300 + b"]" * 300, "nested_too_deeply"),
        (b"1" * 5000, "invalid_json"),
        (b'{"event_type":""}', "invalid_event_type"),
        (b'{"event_type":"a\\u0000b"}', "invalid_event_type"),
        (b'{"event_type":"\\ud800"}', "invalid_event_type"),
        (b'{"event_type":"' + b"a" * 257 + b'"}', "invalid_event_type"),
        (b'{"event_type":"a","event_id":""}', "invalid_event_id"),
        (b'{"event_type":"a","event_id":"\\u0000"}', "invalid_event_id"),
        (b'{"event_type":"a","event_id":"' + b"a" * 513 + b'"}', "invalid_event_id"),
        (b'{"event_type":"a","event_id":{}}', "invalid_event_id"),
        (b'{"event_type":"a","correlation_id":[]}', "invalid_correlation_id"),
        (b'{"event_type":"a","correlation_id":"\\u0000"}', "invalid_correlation_id"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(body: bytes, code: str) -> None:
    here = site()
    reply = await here.post(body, BEARER | JSON)
    assert (reply.status, reply.code) == (400, code)
    assert here.accepting.events == {}


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"\\u0000"}',
        b'{"a":"\\ud800"}',
        b'{"a":1e999}',
        b'{"a":123456789012345678901234567890}',
        b'{"a":1,"a":2}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b"null",
        b'"text"',
        b"[" * 256 + b"]" * 256,
        b"[" + b"{}," * 1000 + b"{}]",
    ],
)
async def test_what_json_allows_is_accepted_and_kept_byte_for_byte(body: bytes) -> None:
    here = site()
    assert (await here.post(body, BEARER | JSON)).status == 200
    assert (here.event.body, here.event.type) == (body, "webhook.received")


async def test_an_event_type_that_the_endpoint_does_not_take_is_refused() -> None:
    here = site(endpoint(allowed_event_types=["order.*", "ping"]))
    for event_type, status in (("order.created", 200), ("ping", 200), ("orders", 400), ("pong", 400)):
        reply = await here.post({"event_type": event_type}, BEARER)
        assert reply.status == status
        if status == 400:
            assert reply.code == "event_type_not_allowed"


async def test_a_long_idempotency_key_is_refused() -> None:
    reply = await site().post({"event_type": "a"}, BEARER | {"idempotency-key": "k" * 513})
    assert (reply.status, reply.code) == (400, "invalid_idempotency_key")
