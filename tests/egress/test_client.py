from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from kanca.egress import EgressClient, EgressGuard, EgressResponse
from kanca.errors import EgressFailed, EgressRefused, EgressTimeout
from tests.egress.receiver import Names, receiving, speaking

LOOPBACK = EgressGuard(("127.0.0.0/8",))
SECONDS = timedelta(seconds=10)


@pytest.fixture
async def client() -> AsyncIterator[EgressClient]:
    async with EgressClient(LOOPBACK, user_agent="Kanca/1") as opened:
        yield opened


async def ask(client: EgressClient, url: str, method: str = "GET", **options: Any) -> EgressResponse:
    defaults: dict[str, Any] = {"timeout": SECONDS, "max_response_bytes": 1000}
    return await client.request(method, url, **defaults | options)


async def test_a_request_arrives_as_it_was_made(client: EgressClient) -> None:
    async with receiving() as receiver:
        await ask(
            client,
            receiver.url("/a%2Fb?c=d&c=%20"),
            "POST",
            headers={"Content-Type": "application/json", "X-Event": "ü"},
            body=b'{"a": "\xff"}',
        )
    (request,) = receiver.requests
    assert (request.method, request.path_qs) == ("POST", "/a%2Fb?c=d&c=%20")
    assert receiver.bodies == [b'{"a": "\xff"}']
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["X-Event"] == "ü"
    assert request.headers["User-Agent"] == "Kanca/1"
    assert request.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["Accept-Encoding"] == "identity"


async def test_nothing_is_said_about_the_type_of_a_body_when_the_caller_does_not(
    client: EgressClient,
) -> None:
    async with receiving() as receiver:
        await ask(client, receiver.url(), "POST", body=b"x")
        await ask(client, receiver.url(), "POST", body=b"")
        await ask(client, receiver.url(), "POST")
    assert all("Content-Type" not in request.headers for request in receiver.requests)
    assert receiver.bodies == [b"x", b"", b""]


async def test_repeated_headers_can_be_sent_and_come_back_joined(client: EgressClient) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        response = web.Response(text=",".join(request.headers.getall("X-A")))
        response.headers.extend([("X-B", "1"), ("x-b", "2")])
        return response

    async with receiving(answer) as receiver:
        response = await ask(client, receiver.url(), headers=[("X-A", "1"), ("X-A", "2")])
    assert response.body == b"1,2"
    assert response.headers["x-b"] == "1, 2"


async def test_the_response_tells_who_answered_and_where_the_time_went(client: EgressClient) -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=503, text="later")

    async with receiving(answer) as receiver:
        response = await ask(client, receiver.url())
    assert (response.status, response.body, response.truncated) == (503, b"later", False)
    assert response.address == "127.0.0.1"
    assert response.timing.dns_ms is None
    assert response.timing.connect_ms is not None
    assert response.timing.tls_ms is None
    assert response.duration_ms >= response.timing.connect_ms + response.timing.first_byte_ms > 0


async def test_connections_are_used_again(client: EgressClient) -> None:
    async with receiving() as receiver:
        first = await ask(client, receiver.url())
        second = await ask(client, receiver.url())
        assert len(receiver.peers) == 1
    assert first.timing.connect_ms is not None
    assert second.timing.connect_ms is None
    assert second.address == "127.0.0.1"


async def test_redirects_are_answers_and_are_not_followed(client: EgressClient) -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://169.254.169.254/"})

    async with receiving(answer) as receiver:
        response = await ask(client, receiver.url())
        assert len(receiver.requests) == 1
    assert response.status == 302
    assert response.headers["location"] == "http://169.254.169.254/"


async def test_cookies_are_not_kept(client: EgressClient) -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        response = web.Response()
        response.set_cookie("session", "1")
        return response

    async with receiving(answer) as receiver:
        await ask(client, receiver.url())
        await ask(client, receiver.url())
    assert "Cookie" not in receiver.requests[1].headers


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        async with EgressClient(LOOPBACK) as client:
            await ask(client, receiver.url())
        assert len(receiver.requests) == 1
        assert not proxy.requests


# --- Limits ----------------------------------------------------------------------------------------------------------


async def test_a_body_is_read_up_to_the_limit(client: EgressClient) -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(body=b"x" * 5000)

    async with receiving(answer) as receiver:
        cut = await ask(client, receiver.url(), max_response_bytes=100)
        whole = await ask(client, receiver.url(), max_response_bytes=5000)
    assert (cut.body, cut.truncated) == (b"x" * 100, True)
    assert (len(whole.body), whole.truncated) == (5000, False)


async def test_an_endless_body_is_cut(client: EgressClient) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
        except ConnectionError:
            return response

    async with receiving(answer) as receiver:
        response = await ask(client, receiver.url(), max_response_bytes=1_000_000)
    assert (len(response.body), response.truncated) == (1_000_000, True)


async def test_a_compressed_body_is_decoded_and_a_bomb_is_not_unpacked(client: EgressClient) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        data = b"hello" if request.path == "/small" else b"\0" * 20_000_000
        return web.Response(body=gzip.compress(data), headers={"Content-Encoding": "gzip"})

    async with receiving(answer) as receiver:
        small = await ask(client, receiver.url("/small"))
        bomb = await ask(client, receiver.url("/bomb"))
    assert (small.body, small.truncated) == (b"hello", False)
    assert (bomb.body, bomb.truncated) == (b"\0" * 1000, True)


async def test_a_receiver_that_hangs_is_a_timeout(client: EgressClient) -> None:
    async with speaking(b"", then_wait=True) as port:
        with pytest.raises(EgressTimeout) as caught:
            await ask(client, f"http://127.0.0.1:{port}/", timeout=timedelta(milliseconds=50))
    assert caught.value.code == "egress_timeout"
    assert caught.value.detail == "127.0.0.1 took longer than 0.05 s"
    assert caught.value.facts["phase"] == "response"
    assert caught.value.facts["address"] == "127.0.0.1"
    assert caught.value.facts["duration_ms"] >= 50


async def test_a_body_that_does_not_end_in_time_is_a_timeout(client: EgressClient) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
    async with speaking(head, then_wait=True) as port:
        with pytest.raises(EgressTimeout) as caught:
            await ask(client, f"http://127.0.0.1:{port}/", timeout=timedelta(milliseconds=50))
    assert caught.value.facts["phase"] == "body"


async def test_a_body_that_trickles_ends_with_the_time_or_with_the_limit(client: EgressClient) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.001)  # the receiver is slow; nothing is waited for
        except ConnectionError:
            return response

    async with receiving(answer) as receiver:
        with pytest.raises(EgressTimeout) as caught:
            await ask(client, receiver.url(), timeout=timedelta(milliseconds=100), max_response_bytes=10**6)
        cut = await ask(client, receiver.url(), max_response_bytes=5)
    assert caught.value.facts["phase"] == "body"
    assert 100 <= caught.value.facts["duration_ms"] < 5000
    assert (cut.body, cut.truncated) == (b"xxxxx", True)


async def test_a_head_that_trickles_is_a_timeout_of_the_response(client: EgressClient) -> None:
    async with speaking(b"HTTP/1.1 200 OK\r\nX-A: ", then_wait=True) as port:
        with pytest.raises(EgressTimeout) as caught:
            await ask(client, f"http://127.0.0.1:{port}/", timeout=timedelta(milliseconds=50))
    assert caught.value.facts["phase"] == "response"


@pytest.mark.parametrize("timeout", [timedelta(0), timedelta(seconds=-1)])
async def test_no_time_at_all_is_a_timeout_and_not_for_ever(client: EgressClient, timeout: timedelta) -> None:
    async with speaking(b"", then_wait=True) as port:
        with pytest.raises(EgressTimeout):
            await ask(client, f"http://127.0.0.1:{port}/", timeout=timeout)


async def test_a_look_up_that_hangs_is_a_timeout() -> None:
    async def never(_host: str) -> list[str]:
        await asyncio.Event().wait()
        return []

    async with EgressClient(LOOPBACK, resolve=never) as client:
        with pytest.raises(EgressTimeout) as caught:
            await ask(client, "http://slow.test/", timeout=timedelta(milliseconds=50))
        with pytest.raises(EgressTimeout) as sooner:
            await ask(client, "http://slow.test/", connect_timeout=timedelta(milliseconds=50))
    assert caught.value.facts["phase"] == "dns"
    assert caught.value.facts["address"] is None
    assert sooner.value.facts["phase"] == "dns"
    assert sooner.value.detail == "slow.test could not be connected to within 0.05 s"


async def test_a_connection_that_is_not_taken_is_a_timeout_of_connecting(
    client: EgressClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_arguments: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
    with pytest.raises(EgressTimeout) as caught:
        await ask(client, "http://127.0.0.1:1/", connect_timeout=timedelta(milliseconds=50))
    assert caught.value.facts["phase"] == "connect"


async def test_a_handshake_that_hangs_is_a_timeout_of_tls(client: EgressClient) -> None:
    async with speaking(b"", then_wait=True) as port:
        with pytest.raises(EgressTimeout) as caught:
            await ask(client, f"https://127.0.0.1:{port}/", connect_timeout=timedelta(milliseconds=50))
    assert caught.value.facts["phase"] == "tls"


async def test_the_time_for_connecting_does_not_end_what_comes_after(client: EgressClient) -> None:
    may_answer = asyncio.Event()

    async def answer(_request: web.BaseRequest) -> web.Response:
        await may_answer.wait()
        return web.Response()

    async with receiving(answer) as receiver:
        asked = asyncio.ensure_future(
            ask(client, receiver.url(), connect_timeout=timedelta(milliseconds=200))
        )
        done, _ = await asyncio.wait([asked], timeout=0.4)
        assert not done
        may_answer.set()
        assert (await asked).status == 200


# --- Failures --------------------------------------------------------------------------------------------------------


async def failing(client: EgressClient, url: str) -> EgressFailed:
    with pytest.raises(EgressFailed) as caught:
        await ask(client, url)
    assert caught.value.code == "egress_failed"
    return caught.value


async def test_a_port_where_nobody_listens_is_a_failure_to_connect(client: EgressClient) -> None:
    async with receiving() as receiver:
        pass
    error = await failing(client, receiver.url())
    assert error.facts["cause"] == "connect"
    assert error.detail == "127.0.0.1 refused the connection"


async def test_a_name_that_is_not_known_is_a_failure_of_dns() -> None:
    async with EgressClient(LOOPBACK, resolve=Names({"empty.test": [[]]})) as client:
        for host in ("unknown.test", "empty.test"):
            error = await failing(client, f"http://{host}/")
            assert error.facts["cause"] == "dns"
            assert error.detail == f"{host} has no address: the name could not be resolved"


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (b"", "connection_closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "connection_closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "connection_closed"),
        (b"220 smtp.example ESMTP\r\n", "protocol"),
        (b"HTTP/1.1 banana\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 100_000 + b"\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", "protocol"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "protocol"),
    ],
)
async def test_a_receiver_that_does_not_speak_http_is_a_failure(
    client: EgressClient, reply: bytes, cause: str
) -> None:
    async with speaking(reply) as port:
        error = await failing(client, f"http://127.0.0.1:{port}/")
    assert error.facts["cause"] == cause
    assert error.facts["address"] == "127.0.0.1"
    assert error.__suppress_context__


async def test_bytes_that_are_no_text_in_a_header_are_replaced(client: EgressClient) -> None:
    async with speaking(b"HTTP/1.1 200 OK\r\nX-A: \xff\xfe\r\nContent-Length: 0\r\n\r\n") as port:
        response = await ask(client, f"http://127.0.0.1:{port}/")
    assert response.headers["x-a"] == "\ufffd\ufffd"


# --- What callers may not send ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nX-B: b"),
        ("X-A", "a\nb"),
        ("X-A", "a\0b"),
        ("X-A", "\ud800"),
        ("X A", "a"),
        ("X-A:", "a"),
        ("", "a"),
        ("X-Ä", "a"),
        ("Host", "other.example"),
        ("content-length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Proxy-Authorization", "Basic eDp5"),
    ],
)
async def test_headers_that_change_more_than_themselves_are_refused(
    client: EgressClient, name: str, value: str
) -> None:
    with pytest.raises(EgressRefused) as caught:
        await ask(client, "http://127.0.0.1:1/", headers={name: value})
    assert caught.value.facts["reason"] == "bad_header"


@pytest.mark.parametrize("method", ["", "GET /\r\n", "CONNECT", "trace", "GÉT"])
async def test_methods_that_are_none_are_refused(client: EgressClient, method: str) -> None:
    with pytest.raises(EgressRefused) as caught:
        await ask(client, "http://127.0.0.1:1/", method)
    assert caught.value.facts["reason"] == "bad_method"


async def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await ask(EgressClient(LOOPBACK), "http://127.0.0.1:1/")
