"""Bodies that are encoded, and bodies that are not JSON."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import zlib

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.bodies import event_data
from kanca.domain.event import StoredEvent
from kanca.ingest.body import MAX_UNTHREADED_BYTES, decode_body
from tests.ingest.site import BEARER, ENVELOPE, JSON, NOON, endpoint, signed, site

BODY = json.dumps(ENVELOPE).encode()
ENCODED = {
    "gzip": gzip.compress(BODY, mtime=0),
    "x-gzip": gzip.compress(BODY, mtime=0),
    "deflate": zlib.compress(BODY),
    "br": brotli.compress(BODY),
    "GZIP": gzip.compress(BODY, mtime=0),
    "identity": BODY,
    "identity, gzip": gzip.compress(BODY, mtime=0),
    "gzip, br": brotli.compress(gzip.compress(BODY, mtime=0)),
    "gzip, gzip, deflate": zlib.compress(gzip.compress(gzip.compress(BODY, mtime=0))),
}


@pytest.mark.parametrize("encoding", list(ENCODED))
async def test_an_encoded_body_is_taken_and_kept_as_it_was_before(encoding: str) -> None:
    here = site()
    reply = await here.post(ENCODED[encoding], BEARER | JSON | {"content-encoding": encoding})
    assert reply.status == 200
    assert (here.event.body, here.event.type) == (BODY, "order.created")
    assert ["content-encoding", encoding] in json.loads(here.event.request)["headers"]


async def test_the_signature_covers_the_decoded_bytes() -> None:
    hmac = {"header": "X-Signature", "algorithm": "sha256", "encoding": "hex", "signed_content": "{body}"}
    here = site(endpoint("hmac", provider_options=hmac))
    encoded = gzip.compress(BODY)
    proofs = {"of what was encoded": signed(encoded, "x-signature"), "": signed(BODY, "x-signature")}
    answers = [
        (await here.post(encoded, JSON | {"content-encoding": "gzip"} | proof)).status
        for proof in proofs.values()
    ]
    assert answers == [401, 200]


async def test_an_event_is_the_same_in_any_coding() -> None:
    here = site(endpoint(dedupe="content"))
    said = [
        (await here.post(ENCODED[encoding], BEARER | JSON | {"content-encoding": encoding})).json()["status"]
        for encoding in ("identity", "gzip", "br")
    ]
    assert said == ["accepted", "duplicate", "duplicate"]


@pytest.mark.parametrize("encoding", ["zstd", "x", "gzip, zstd", "gzip, gzip, gzip, gzip", "gz\xffip"])
async def test_a_coding_that_nobody_can_undo_is_refused(encoding: str) -> None:
    reply = await site().post(BODY, BEARER | JSON | {"content-encoding": encoding})
    assert (reply.status, reply.code) == (415, "unsupported_encoding")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, br"])
async def test_a_broken_stream_is_refused_and_its_connection_lives_on(encoding: str) -> None:
    here = site()
    for body in (BODY, ENCODED[encoding][:-3], ENCODED[encoding] + b"x"):
        reply = await here.post([body[:10], body[10:]], BEARER | JSON | {"content-encoding": encoding})
        assert (reply.status, reply.code) == (400, "invalid_encoding")
        assert "connection" not in reply.headers
    assert here.accepting.events == {}


async def test_the_limit_counts_for_the_body_before_and_after() -> None:
    here = site(endpoint(max_payload_size=1))
    noise = random.Random(1).randbytes(2000)
    for body in (gzip.compress(noise), gzip.compress(bytes(10_000_000))):
        reply = await here.post(body, BEARER | {"content-encoding": "gzip"})
        assert (reply.status, reply.code) == (413, "payload_too_large")


async def test_an_encoded_body_without_bytes_is_an_empty_body() -> None:
    reply = await site().post(b"", BEARER | JSON | {"content-encoding": "gzip"})
    assert (reply.status, reply.code) == (400, "empty_body")


async def test_a_large_body_is_decoded_beside_the_event_loop() -> None:
    body = random.Random(1).randbytes(1_000_000).hex().encode()
    encoded = gzip.compress(body)
    assert len(encoded) > MAX_UNTHREADED_BYTES
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    assert await decode_body(encoded, b"gzip", len(body)) == body
    task.cancel()
    assert turns > 0


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("application/x-www-form-urlencoded", b"a=1&b=%00\xff", 200, None),
        ("application/x-www-form-urlencoded", BODY, 200, None),
        ("multipart/form-data; boundary=b", b"--b--\r\n", 200, None),
        ("application/xml", b"<a/>", 200, None),
        ("application/x-ndjson", b"1\n2\n", 200, None),
        ("text/plain", b"hello", 200, None),
        ("application/octet-stream", b"\x00\xff", 200, None),
        ("application/x-www-form-urlencoded; charset=utf-8", b"a=%ff", 400, "invalid_form"),
        ("multipart/form-data; boundary=b", b"--b\r\n", 400, "invalid_multipart"),
        ("application/xml", b"<!DOCTYPE a><a/>", 400, "invalid_xml"),
        ("application/x-ndjson", b"{", 400, "invalid_json"),
        ("text/plain; charset=utf-8", b"\xff", 400, "invalid_text"),
        ("text/plain; charset=punycode", b"a", 415, "unsupported_charset"),
    ],
)
async def test_each_kind_is_taken_byte_for_byte_or_refused(
    content_type: str, body: bytes, status: int, code: str | None
) -> None:
    here = site()
    reply = await here.post(body, BEARER | {"content-type": content_type})
    assert reply.status == status
    if code is None:
        assert here.event.body == body
    else:
        assert reply.code == code
        assert here.accepting.events == {}


async def test_a_form_is_no_envelope() -> None:
    here = site()
    form = BEARER | {"content-type": "application/x-www-form-urlencoded"}
    assert (await here.post(b"event_type=order.created&event_id=7", form)).status == 200
    assert (here.event.type, here.event.source_event_id) == ("webhook.received", None)


@given(
    st.binary(max_size=300),
    st.sampled_from([None, "application/json", "text/xml", "multipart/form-data; boundary=b", "text/plain"])
    | st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
    st.sampled_from([None, "gzip", "deflate", "br", "gzip, br", "identity"])
    | st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
)
def test_nothing_that_is_sent_is_answered_with_a_500(
    body: bytes, content_type: str | None, encoding: str | None
) -> None:
    said = {"content-type": content_type, "content-encoding": encoding}
    headers = BEARER | {name: value for name, value in said.items() if value is not None}
    reply = asyncio.run(site().post(body, headers))
    assert reply.status in {200, 400, 413, 415}


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "application/octet-stream", "text/plain"])
async def test_signed_json_is_the_same_to_everybody_whatever_its_unsigned_content_type(
    content_type: str,
) -> None:
    here = site(endpoint("hmac"))
    await here.post(BODY, {"content-type": content_type} | signed(BODY))
    event = here.event
    stored = StoredEvent(
        event.id, 100, "default", event.type, NOON, None, "c-1", event.request, event.body, None
    )
    assert event.type == "order.created"
    assert event_data(stored) == ENVELOPE["data"]
