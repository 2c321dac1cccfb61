"""Bodies that are too large, too slow or cut short, and headers that are too large."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from kanca.ingest.settings import IngestSettings
from tests.ingest.site import BEARER, ENVELOPE, JSON, PATH, endpoint, site


async def test_a_body_that_says_it_is_too_large_is_refused_unread() -> None:
    headers = BEARER | {"content-length": "1025"}
    reply = await site(endpoint(max_payload_size=1)).post(b"x" * 1025, headers)
    assert (reply.status, reply.code) == (413, "payload_too_large")


@pytest.mark.parametrize("header", [{"content-length": "50000000"}, {"expect": "100-continue"}])
async def test_what_is_refused_and_long_is_not_even_waited_for(header: dict[str, str]) -> None:
    for path in (PATH, "/webhooks/nothing"):
        reply = await site(endpoint(allowed_ips=["203.0.113.1"])).request("POST", path, [], BEARER | header)
        assert reply.status in {403, 404}
        assert reply.headers["connection"] == "close"


async def test_a_refused_body_is_read_to_its_end_so_that_its_sender_sees_the_answer() -> None:
    here = site(endpoint(max_payload_size=1))
    left = [b"x" * 65536] * 4

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": left.pop(), "more_body": bool(left)}

    reply = await here.request("POST", PATH, [], BEARER, receive=receive)
    assert (reply.status, left) == (413, [])
    assert "connection" not in reply.headers


@pytest.mark.parametrize("path", [PATH, "/webhooks/nothing"])
async def test_a_refused_body_is_not_read_for_ever(path: str) -> None:
    pulled = 0

    async def receive() -> dict[str, Any]:
        nonlocal pulled
        pulled += 1
        return {"type": "http.request", "body": b"x" * 65536, "more_body": True}

    reply = await site(endpoint(max_payload_size=1)).request("POST", path, [], BEARER, receive=receive)
    assert reply.status in {404, 413}
    assert reply.headers["connection"] == "close"
    assert pulled <= 18


async def test_over_http_2_no_connection_is_closed() -> None:
    reply = await site().request("POST", PATH, [], BEARER | {"content-length": "50000000"}, http_version="2")
    assert reply.status == 413
    assert "connection" not in reply.headers


@pytest.mark.parametrize("said", ["10", "-1", "ten", ""])
async def test_a_body_is_counted_whatever_its_length_says(said: str) -> None:
    here = site(endpoint(max_payload_size=1))
    chunks = [b"x" * 512, b"x" * 512, b"x"]
    reply = await here.post(chunks, BEARER | {"content-length": said})
    assert (reply.status, reply.code) == (413, "payload_too_large")
    reply = await here.post(b"x" * 1025, BEARER | {"content-length": said})
    assert (reply.status, reply.code) == (413, "payload_too_large")


@pytest.mark.parametrize("said", ["9" * 30, "9" * 5000])
async def test_a_length_beyond_all_numbers_is_too_large(said: str) -> None:
    reply = await site().post(ENVELOPE, BEARER | {"content-length": said})
    assert (reply.status, reply.code) == (413, "payload_too_large")


async def test_a_body_as_large_as_allowed_is_taken() -> None:
    body = b'{"a":"' + b"x" * 1016 + b'"}'
    assert len(body) == 1024
    assert (await site(endpoint(max_payload_size=1)).post(body, BEARER | JSON)).status == 200


@pytest.mark.parametrize("messages", [[], [{"type": "http.request", "body": b"{", "more_body": True}]])
async def test_a_client_that_stalls_is_given_up(messages: list[dict[str, Any]]) -> None:
    here = site(settings=IngestSettings(body_timeout=timedelta(milliseconds=20)))
    reply = await here.request("POST", PATH, messages, BEARER)
    assert (reply.status, reply.code) == (408, "body_timeout")
    assert reply.headers["connection"] == "close"
    assert (await here.post(ENVELOPE, BEARER)).status == 200


async def test_of_a_client_that_leaves_nothing_is_kept() -> None:
    here = site()
    body = json.dumps(ENVELOPE).encode()
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": body, "more_body": True},
        {"type": "http.disconnect"},
    ]
    reply = await here.request("POST", PATH, messages, BEARER | JSON)
    assert reply.status == 0
    assert here.accepting.events == {}


async def test_thousands_of_header_bytes_are_taken_and_too_many_refused() -> None:
    here = site()
    many = {f"x-{n}": "v" * 500 for n in range(80)}
    assert (await here.post(ENVELOPE, BEARER | many)).status == 200
    reply = await here.post(ENVELOPE, BEARER | many | {"x-large": "v" * 40_000})
    assert (reply.status, reply.code) == (431, "headers_too_large")


async def test_a_header_that_comes_several_times_is_read_as_one() -> None:
    here = site()
    pairs = [*BEARER.items(), ("x-a", "1"), ("idempotency-key", "k"), ("x-a", "2"), ("x-a", "3")]
    messages = [{"type": "http.request", "body": b"{}"}]
    assert (await here.request("POST", PATH, messages, pairs)).status == 200
    stored = json.loads(here.event.request)["headers"]
    assert [value for name, value in stored if name == "x-a"] == ["1", "2", "3"]
