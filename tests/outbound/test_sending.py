from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
from aiohttp import web

from kanca.domain.endpoint import Secret
from kanca.egress import EgressClient, EgressGuard, EgressResponse, EgressTiming
from kanca.errors import CredentialNotFound, EgressTimeout
from kanca.outbound.message import envelope
from kanca.outbound.sending import MAX_BODY_BYTES, MAX_HEADER_BYTES, Nothing, Sender, Sent, live
from tests.egress.receiver import Answer, receiving, speaking
from tests.outbound.samples import NOW, OLD_SECRET, SECRET, a_subscription, an_event

TOKEN = "token-0123456789"


@dataclass
class Proofs:
    """One credential, and what was forgotten of it."""

    headers: Mapping[str, str] = field(default_factory=lambda: {"Authorization": f"Bearer {TOKEN}"})
    query: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    forgotten: list[tuple[str, Any]] = field(default_factory=list)

    async def of(self, name: str | None) -> Nothing:
        if name != "shop":
            raise CredentialNotFound(f"There is no credential {name!r}")
        return Nothing(self.headers, self.query, self.tls, (TOKEN,))

    def forget(self, name: str, refused: Any) -> None:
        self.forgotten.append((name, refused))


class Clock:
    """A second later each time it is asked."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@dataclass
class Site:
    http: EgressClient
    proofs: Proofs = field(default_factory=Proofs)
    timeout: timedelta = timedelta(seconds=10)

    async def attempt(self, url: str, body: bytes | None = None, **values: Any) -> Sent:
        event = an_event()
        sender = Sender(self.http, self.proofs, Clock(), timeout=self.timeout)
        return await sender.attempt(
            a_subscription(url, **values), event, envelope(event) if body is None else body
        )


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with EgressClient(EgressGuard(("127.0.0.0/8",)), user_agent="Kanca/1") as http:
        yield Site(http)


def answering(status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, body=body, headers=headers)

    return answer


async def test_a_delivery_arrives_signed_and_named(site: Site) -> None:
    async with receiving() as receiver:
        sent = await site.attempt(
            receiver.url("/hooks?a=1"), secrets=(SECRET, OLD_SECRET), config={"headers": {"X-Shop": "7"}}
        )
    (request,), (body,) = receiver.requests, receiver.bodies
    assert (request.method, request.path_qs) == ("POST", "/hooks?a=1")
    assert json.loads(body)["data"] == {"id": 1}
    assert request.headers["User-Agent"] == "Kanca/1"
    assert request.headers["X-Shop"] == "7"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["webhook-timestamp"] == str(int(sent.started_at.timestamp()))
    for secret in (SECRET, OLD_SECRET):
        at = sent.started_at
        signature = standardwebhooks.Webhook(secret).sign(request.headers["webhook-id"], at, body.decode())
        assert signature in request.headers["webhook-signature"].split()
    assert (sent.report.status, sent.report.code, sent.failure) == (200, None, None)
    assert (sent.report.url, sent.report.address) == (receiver.url("/hooks?a=1"), "127.0.0.1")
    assert sent.report.timing.total_ms is not None
    assert sent.finished_at == sent.started_at + timedelta(seconds=1)


async def test_what_is_no_success_has_its_code(site: Site) -> None:
    async with receiving(answering(503, b"later", {"Retry-After": "9"})) as receiver:
        sent = await site.attempt(receiver.url())
    assert (sent.report.status, sent.report.code) == (503, "receiver_error")
    assert (sent.report.body, sent.report.headers["retry-after"]) == ("later", "9")
    assert sent.failure is None


async def test_only_live_secrets_sign(site: Site) -> None:
    over = Secret(OLD_SECRET, NOW)
    assert live([Secret(SECRET), over], NOW) == [SECRET]
    assert live([Secret(SECRET), over], NOW - timedelta(microseconds=1)) == [SECRET, OLD_SECRET]
    async with receiving() as receiver:
        await site.attempt(receiver.url(), secrets=(Secret(SECRET), over))
    (request,) = receiver.requests
    assert len(request.headers["webhook-signature"].split()) == 1


async def test_without_a_live_secret_nothing_is_sent(site: Site) -> None:
    async with receiving() as receiver:
        sent = await site.attempt(receiver.url(), secrets=(Secret(SECRET, NOW),))
        assert not receiver.requests
    assert (sent.report.status, sent.report.code) == (None, "invalid_secret")


# --- Failures --------------------------------------------------------------------------------------------------------


async def test_a_receiver_that_is_not_there_is_a_report(site: Site) -> None:
    async with receiving() as receiver:
        pass
    sent = await site.attempt(receiver.url())
    assert (sent.report.status, sent.report.code) == (None, "connect_failed")
    assert sent.report.message == "127.0.0.1 refused the connection"
    assert sent.failure is not None
    assert sent.report.timing.total_ms is not None


@pytest.mark.parametrize(
    ("timeout", "own"), [(timedelta(milliseconds=200), {}), (timedelta(seconds=10), {"timeout": 0.2})]
)
async def test_a_receiver_that_hangs_is_given_the_time_of_its_subscription(
    site: Site, timeout: timedelta, own: dict[str, float]
) -> None:
    site.timeout = timeout
    async with speaking(b"", then_wait=True) as port:
        sent = await site.attempt(f"http://127.0.0.1:{port}/", config=own)
    assert isinstance(sent.failure, EgressTimeout)
    assert (sent.report.code, sent.report.address) == ("timeout", "127.0.0.1")


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "ftp://127.0.0.1/", "http://[", "http://u:p@127.0.0.1/"])
async def test_a_url_that_may_not_be_asked_is_a_report(site: Site, url: str) -> None:
    sent = await site.attempt(url, config={"credential": "shop"})
    assert sent.report.code == "url_refused"


async def test_an_answer_that_is_no_http_is_a_report(site: Site) -> None:
    async with speaking(b"SSH-2.0-x\r\n\r\n") as port:
        sent = await site.attempt(f"http://127.0.0.1:{port}/")
    assert sent.report.code == "bad_answer"


async def test_being_stopped_is_no_failure_of_the_receiver(site: Site) -> None:
    has_come, goes_on = asyncio.Event(), asyncio.Event()

    async def hang(_request: web.BaseRequest) -> web.Response:
        has_come.set()
        await goes_on.wait()
        return web.Response()

    async with receiving(hang) as receiver:
        task = asyncio.create_task(site.attempt(receiver.url()))
        await has_come.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        goes_on.set()


# --- Credentials -----------------------------------------------------------------------------------------------------


async def test_a_credential_goes_along_and_is_kept_nowhere(site: Site) -> None:
    async def echo(request: web.BaseRequest) -> web.Response:
        given = request.headers["Authorization"], request.query["key"]
        return web.Response(text=" ".join(given), headers={"X-Echo": given[0]})

    site.proofs.query = {"key": TOKEN}
    async with receiving(echo) as receiver:
        own = {"credential": "shop", "headers": {"authorization": "mine"}}
        sent = await site.attempt(receiver.url("/?a=1"), config=own)
    (request,) = receiver.requests
    assert request.headers.getall("Authorization") == [f"Bearer {TOKEN}"]
    assert request.path_qs == f"/?a=1&key={TOKEN}"
    assert sent.report.body == "Bearer *** ***"
    assert sent.report.headers["x-echo"] == "Bearer ***"
    assert TOKEN not in repr(sent)


async def test_a_token_that_is_not_taken_is_forgotten(site: Site) -> None:
    async with receiving(answering(401)) as receiver:
        sent = await site.attempt(receiver.url(), config={"credential": "shop"})
        assert sent.report.code == "unauthorized"
        assert site.proofs.forgotten == [("shop", await site.proofs.of("shop"))]
        bare = await site.attempt(receiver.url())
    assert (bare.report.code, len(site.proofs.forgotten)) == ("rejected", 1)


async def test_a_credential_that_is_not_there_is_a_report(site: Site) -> None:
    async with receiving() as receiver:
        sent = await site.attempt(receiver.url(), config={"credential": "other"})
        assert not receiver.requests
    assert sent.report.code == "credential_not_found"


async def test_a_certificate_of_ones_own_is_given_to_the_client() -> None:
    given: list[Any] = []

    class Http:
        async def request(self, *_: Any, **options: Any) -> EgressResponse:
            given.append(options.get("tls"))
            return EgressResponse(200, {}, b"", False, "", EgressTiming(None, None, None, 1, 1))

    context = ssl.create_default_context()
    site = Site(Http(), Proofs(tls=context))  # type: ignore[arg-type] # all that is asked of one
    sent = await site.attempt("https://a.test/", config={"credential": "shop"})
    await site.attempt("https://a.test/")
    assert given == [context, None]
    assert sent.report.address is None


# --- What is kept of an answer ---------------------------------------------------------------------------------------


async def test_of_a_long_body_the_beginning_is_kept(site: Site) -> None:
    async with receiving(answering(200, b"x" * (MAX_BODY_BYTES + 1))) as receiver:
        sent = await site.attempt(receiver.url())
    assert (sent.report.body, sent.report.is_truncated) == ("x" * MAX_BODY_BYTES, True)


@pytest.mark.parametrize("shift", range(4))
async def test_a_cut_through_a_character_leaves_text(site: Site, shift: int) -> None:
    body = ("x" * shift + "🪝" * MAX_BODY_BYTES).encode()
    async with receiving(answering(200, body)) as receiver:
        sent = await site.attempt(receiver.url())
    assert not sent.report.is_base64
    assert sent.report.body.startswith("x" * shift + "🪝")
    assert len(sent.report.body.encode()) > MAX_BODY_BYTES - 4


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a\x00b", "ü".encode()[:1]])
async def test_what_is_no_text_is_kept_in_base64(site: Site, body: bytes) -> None:
    async with receiving(answering(200, body)) as receiver:
        sent = await site.attempt(receiver.url())
    assert sent.report.is_base64
    assert not sent.report.is_truncated


async def test_cookies_are_not_kept_and_other_headers_up_to_a_limit(site: Site) -> None:
    many = {f"X-{number}": "v" * 1000 for number in range(20)}
    async with receiving(answering(200, headers={"X-First": "1", "Set-Cookie": "a=b"} | many)) as receiver:
        sent = await site.attempt(receiver.url())
    assert sent.report.headers["x-first"] == "1"
    assert "set-cookie" not in sent.report.headers
    size = sum(len(name) + len(value) for name, value in sent.report.headers.items())
    assert MAX_HEADER_BYTES - 1100 < size <= MAX_HEADER_BYTES


class Closing:
    """Answers so many requests of a connection, and closes it when the next one comes."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for _ in range(self.answers):
            head = await reader.readuntil(b"\r\n\r\n")
            [length] = [
                int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"
            ]
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read(1)
        writer.close()


async def test_a_connection_that_is_closed_just_when_it_is_used_again_is_no_failure(site: Site) -> None:
    closing = Closing(answers=1)
    async with await asyncio.start_server(closing.serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        statuses = [(await site.attempt(url)).report.status for _ in range(4)]
    assert (statuses, closing.connections) == ([200] * 4, 4)


async def test_a_new_connection_that_is_closed_is_a_failure(site: Site) -> None:
    closing = Closing(answers=0)
    async with await asyncio.start_server(closing.serve, "127.0.0.1", 0) as server:
        sent = await site.attempt(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert (sent.report.code, closing.connections) == ("connection_closed", 1)
