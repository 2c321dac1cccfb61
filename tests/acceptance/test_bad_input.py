"""Whatever comes in at the real server gets a clear answer, never a 500, and disturbs nobody else."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.acceptance.processes import Client, eventually

LIMIT_KB = 700


class Wire:
    """A plain connection to an endpoint: what goes out is exactly what the test says."""

    def __init__(self, url: str, token: str) -> None:
        self._address = urlsplit(url)
        self._token = token
        self.webhook_id = url.rpartition("/")[2]

    async def send(
        self,
        body: bytes,
        *headers: str,
        length: int | None = -1,
        token: str | None = None,
        method: str = "POST",
        path: str | None = None,
        finish: bool = True,
    ) -> tuple[int, dict[str, str], Any]:
        """Status, headers and parsed body of the answer. ``length`` None sends no Content-Length."""
        assert self._address.hostname
        assert self._address.port
        reader, writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        lines = [
            f"{method} {path or self._address.path} HTTP/1.1",
            f"Host: {self._address.netloc}",
            f"Authorization: Bearer {token or self._token}",
            *(
                ["Content-Type: application/json"]
                if not any(h.startswith("Content-Type") for h in headers)
                else []
            ),
            *([f"Content-Length: {len(body) if length == -1 else length}"] if length is not None else []),
            *headers,
        ]
        try:
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            if finish:
                async with asyncio.timeout(30):
                    await writer.drain()
            async with asyncio.timeout(30):
                return await _answer(reader)
        finally:
            writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(head[0].split()[1]), headers, json.loads(body) if body else None


@pytest.fixture
async def wire(client: Client) -> Wire:
    url, token = await client.endpoint(config={"max_payload_size": LIMIT_KB, "rate_limit_per_minute": 0})
    return Wire(url, token)


NESTED = b'{"a":' * 100_000 + b"1" + b"}" * 100_000


async def test_everything_that_is_no_event_is_refused_with_a_code(wire: Wire, client: Client) -> None:
    cases: Sequence[tuple[bytes, int, str]] = [
        (b"{", 400, "invalid_json"),
        (b'{"event_type": "a.b", "data": {}', 400, "invalid_json"),
        (b"", 400, "empty_body"),
        (b'{"event_type": "a\xff", "data": {}}', 400, "invalid_utf8"),
        (b'{"event_type": "", "data": {}}', 400, "invalid_event_type"),
        (b'{"event_type": "a\\u0000b", "data": {}}', 400, "invalid_event_type"),
        (b'{"event_type": "a.b", "event_id": "x\\u0000", "data": {}}', 400, "invalid_event_id"),
        (b'{"event_type": "%s", "data": {}}' % (b"x" * 300), 400, "invalid_event_type"),
        (NESTED, 400, "nested_too_deeply"),
    ]
    for body, status, code in cases:
        answered, headers, problem = await wire.send(body)
        assert (answered, problem["code"]) == (status, code), body[:60]
        assert headers["content-type"] == "application/problem+json"
        assert problem.keys() >= {"type", "title", "status", "detail", "code"}
    assert await client.events(webhook_id=wire.webhook_id) == []


async def test_odd_json_is_kept_byte_for_byte(wire: Wire, client: Client) -> None:
    bodies = [
        b'{"event_type": "odd.nul", "data": {"text": "a\\u0000b"}}',
        b'{"event_type": "odd.surrogate", "data": {"text": "\\ud800 alone"}}',
        b'{"event_type": "odd.twice", "data": {"a": 1, "a": 2}}',
        b'{"event_type": "odd.big", "data": {"n": 123456789012345678901234567890}}',
        b'\xef\xbb\xbf{"event_type": "odd.bom", "data": {}}',
        b'{"event_type": "odd.huge", "data": {"n": 1e999}}',
        b'{"event_type": "odd.nan", "data": {"n": NaN}}',
    ]
    for body in bodies:
        status, _, answer = await wire.send(body)
        assert status in {200, 400}, body
        if status == 200:
            event_id = answer["event_id"]
            headers = {"Authorization": "Bearer acceptance-admin-key"}
            async with client.session.get(
                f"{client.url}/api/events/{event_id}/body", headers=headers
            ) as kept:
                assert await kept.read() == body
            shown = await client.ask("GET", f"/api/events/{event_id}")
            assert shown["id"] == event_id
    kept_types = {event["event_type"] for event in await client.events(webhook_id=wire.webhook_id)}
    assert kept_types >= {"odd.nul", "odd.surrogate", "odd.twice", "odd.big"}


async def test_a_wrong_token_method_or_address_is_refused(wire: Wire) -> None:
    body = b'{"event_type": "a.b", "data": {}}'
    assert (await wire.send(body, token="wht_" + "0" * 64))[0] == 401
    status, headers, problem = await wire.send(b"", method="GET")
    assert (status, problem["code"]) == (405, "method_not_allowed")
    assert "POST" in headers["allow"]
    assert (await wire.send(body, path="/api/webhooks/wh_" + "0" * 24))[0] == 404
    assert (await wire.send(body, path="/webhooks/nothing-here"))[0] == 404
    assert (await wire.send(body, "Content-Encoding: zstd"))[0] == 415


async def test_an_encoded_body_is_taken_and_kept_as_it_was_before(wire: Wire, client: Client) -> None:
    body = b'{"event_type": "encoded.ok", "data": {"a": 1}}'
    for encoding, encoded in (
        ("gzip", gzip.compress(body)),
        ("gzip, deflate", zlib.compress(gzip.compress(body))),
    ):
        status, _, answer = await wire.send(encoded, f"Content-Encoding: {encoding}")
        assert status == 200
        shown = await client.ask("GET", f"/api/events/{answer['event_id']}")
        assert (shown["payload"], shown["body_bytes"]) == (json.loads(body), len(body))
        assert shown["request_headers"]["content-encoding"] == encoding


async def test_a_bomb_is_refused_and_so_is_what_is_not_encoded_at_all(wire: Wire, client: Client) -> None:
    bomb = gzip.compress(bytes(100 * 1024 * 1024))
    for body, status, code in ((bomb, 413, "payload_too_large"), (b"{}", 400, "invalid_encoding")):
        answered, _, problem = await wire.send(body, "Content-Encoding: gzip")
        assert (answered, problem["code"]) == (status, code)
    assert await client.events(webhook_id=wire.webhook_id) == []


async def test_a_body_over_the_limit_is_refused_however_it_comes(wire: Wire) -> None:
    large = b'{"event_type": "a.b", "data": {"x": "' + b"x" * (LIMIT_KB * 1024) + b'"}}'
    assert (await wire.send(large))[0] == 413
    chunked = (
        b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (large[:50_000], large[50_000:]))
        + b"0\r\n\r\n"
    )
    assert (await wire.send(chunked, "Transfer-Encoding: chunked", length=None))[0] == 413
    status, _, problem = await wire.send(b"{", length=50_000_000, finish=False)
    assert (status, problem["code"]) == (413, "payload_too_large")


async def test_a_chunked_body_within_the_limit_is_taken(wire: Wire) -> None:
    body = b'{"event_type": "chunked.ok", "data": {}}'
    chunked = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    assert (await wire.send(chunked, "Transfer-Encoding: chunked", length=None))[0] == 200


async def test_a_client_that_stalls_is_answered_and_holds_up_nobody(wire: Wire) -> None:
    body = b'{"event_type": "a.b", "data": {}}'
    stalled = [asyncio.create_task(wire.send(body[:5], length=len(body))) for _ in range(20)]
    assert (await wire.send(body))[0] == 200
    for answer in await asyncio.gather(*stalled):
        assert (answer[0], answer[2]["code"]) == (408, "body_timeout")


async def test_thousands_of_header_bytes_are_taken_or_refused_but_never_a_500(wire: Wire) -> None:
    body = b'{"event_type": "headers.many", "data": {}}'
    for count, size in ((50, 100), (90, 600), (400, 100), (1, 200_000)):
        headers = [f"X-Filler-{n}: {'v' * size}" for n in range(count)]
        try:
            status, *_ = await wire.send(body, *headers)
        except (ConnectionError, asyncio.IncompleteReadError):
            continue  # the server closed the connection: bounded, and no answer is owed
        assert status in {200, 400, 431}


async def test_values_that_cannot_be_stored_fail_alone(wire: Wire, client: Client) -> None:
    good = b'{"event_type": "good.one", "event_id": "%d", "data": {}}'
    bad = b'{"event_type": "bad.one", "event_id": "a\\u0000%d", "data": {}}'
    sends = [wire.send((bad if n % 5 == 0 else good) % n) for n in range(100)]
    answers = await asyncio.gather(*sends)
    assert [status for status, *_ in answers] == [400 if n % 5 == 0 else 200 for n in range(100)]
    assert len(await client.events(webhook_id=wire.webhook_id)) == 80


async def test_the_same_goes_for_header_values_that_no_text_column_takes(wire: Wire) -> None:
    body = b'{"event_type": "header.odd", "data": {}}'
    status, *_ = await wire.send(body, "X-Odd: caf\xe9 \udc80".encode("latin-1", "replace").decode("latin-1"))
    assert status == 200


async def test_refusals_are_listed_with_their_cause(wire: Wire, client: Client) -> None:
    await wire.send(b"{")
    await wire.send(b"{}", token="wrong")
    webhook_id = wire.webhook_id

    async def both() -> Any:
        items = (await client.ask("GET", f"/api/webhooks/{webhook_id}/rejections"))["items"]
        return items if len(items) == 2 else None

    items = await eventually(both, "both rejections are listed")
    assert {item["code"] for item in items} == {"invalid_json", "token_mismatch"}
    assert "wrong" not in json.dumps(items)


async def test_the_rate_limit_answers_429_with_its_headers(client: Client) -> None:
    url, token = await client.endpoint(config={"rate_limit_per_minute": 2})
    wire = Wire(url, token)
    body = b'{"event_type": "a.b", "data": {}}'
    answers = [await wire.send(body) for _ in range(3)]
    assert [status for status, *_ in answers] == [200, 200, 429]
    assert int(answers[2][1]["retry-after"]) >= 1
    assert answers[2][1]["x-ratelimit-limit"] == "2"
    assert answers[2][1]["x-ratelimit-remaining"] == "0"
