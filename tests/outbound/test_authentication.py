"""What a credential makes of a request: fetched once, kept as long as it is good, made anew when it is not."""

from __future__ import annotations

import asyncio
import json
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from kanca.domain.credential import Credential, credential_not_found, read_credential
from kanca.egress import EgressClient, EgressGuard
from kanca.errors import AuthenticationFailed, DatabaseUnavailable, EgressError, InvalidSetting
from kanca.outbound.authentication import KEEP_FAILURE_SECONDS, Authentication, Authorized
from kanca.outbound.tokens import UNKNOWN_SECONDS
from tests.egress.certificates import Authority
from tests.egress.receiver import Receiver, receiving

SECRET = "client-secret-0123456789"


@dataclass
class Safe:
    """Credentials that a test gives, and changes."""

    credentials: dict[str, Credential] = field(default_factory=dict)
    error: Exception | None = None

    def put(self, name: str, kind: str, /, **values: str) -> None:
        self.credentials[name] = read_credential(name, kind, values)

    async def get(self, name: str) -> Credential:
        if self.error is not None:
            raise self.error
        if name not in self.credentials:
            raise credential_not_found(name)
        # Another one each time, as when it was read anew.
        found = self.credentials[name]
        return replace(found, values=dict(found.values))


@dataclass
class Clock:
    """Stands still until it is moved."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class TokenServer:
    """Gives tokens: token-1, token-2, …; or else ``answer``."""

    receiver: Receiver
    answer: Callable[[int], web.Response]
    may_answer: asyncio.Event
    has_been_asked: asyncio.Event


@asynccontextmanager
async def token_server(**document: Any) -> AsyncIterator[TokenServer]:
    server: list[TokenServer] = []

    async def answer(_request: web.BaseRequest) -> web.Response:
        number = len(server[0].receiver.requests)
        server[0].has_been_asked.set()
        await server[0].may_answer.wait()
        return server[0].answer(number)

    def token(number: int) -> web.Response:
        usual = {"access_token": f"token-{number}", "token_type": "Bearer", "expires_in": 3600}
        return web.json_response(usual | document)

    async with receiving(answer) as receiver:
        server.append(TokenServer(receiver, token, asyncio.Event(), asyncio.Event()))
        server[0].may_answer.set()
        yield server[0]


@pytest.fixture
async def http() -> AsyncIterator[EgressClient]:
    async with EgressClient(EgressGuard(["127.0.0.1"])) as client:
        yield client


@pytest.fixture
def safe() -> Safe:
    return Safe()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authentication(safe: Safe, http: EgressClient, clock: Clock) -> Authentication:
    return Authentication(safe, http, clock)


def put_oauth2(safe: Safe, server: TokenServer, **values: str) -> None:
    usual = {"token_url": server.receiver.url("/token"), "client_id": "kanca", "client_secret": SECRET}
    safe.put("shop", "oauth2", **usual | values)


def token_of(authorized: Authorized) -> str:
    return authorized.headers["Authorization"].removeprefix("Bearer ")


async def failed(authentication: Authentication, name: str = "shop") -> AuthenticationFailed:
    with pytest.raises(AuthenticationFailed) as caught:
        await authentication.of(name)
    assert caught.value.code == "authentication_failed"
    assert isinstance(caught.value, EgressError)
    assert caught.value.facts["credential"] == name
    assert SECRET not in f"{caught.value.detail} {caught.value.facts}"
    return caught.value


# --- What stands still -----------------------------------------------------------------------------------------------


async def test_without_a_credential_nothing_goes_with_a_request(authentication: Authentication) -> None:
    assert await authentication.of(None) == Authorized()


async def test_plain_credentials_go_as_they_are(authentication: Authentication, safe: Safe) -> None:
    safe.put("shop", "bearer", token="sk_live_0123456789")
    safe.put("till", "query", name="key", value="k_0123456789")
    shop, till = await authentication.of("shop"), await authentication.of("till")
    assert shop.headers == {"Authorization": "Bearer sk_live_0123456789"}
    assert (till.headers, till.query) == ({}, {"key": "k_0123456789"})
    assert shop.secrets | till.secrets == {"sk_live_0123456789", "k_0123456789"}
    assert "0123456789" not in f"{shop} {till}"


@pytest.mark.parametrize(
    ("error", "reason"), [(None, "not_found"), (InvalidSetting("no key opens it"), "unreadable")]
)
async def test_a_credential_that_cannot_be_had_is_a_failure(
    authentication: Authentication, safe: Safe, error: Exception | None, reason: str
) -> None:
    safe.error = error
    assert (await failed(authentication)).facts["reason"] == reason


async def test_a_database_that_is_away_is_no_fault_of_the_credential(
    authentication: Authentication, safe: Safe
) -> None:
    safe.error = DatabaseUnavailable()
    with pytest.raises(DatabaseUnavailable):
        await authentication.of("shop")


# --- OAuth 2.0 -------------------------------------------------------------------------------------------------------


async def test_a_token_is_asked_for_as_the_rfc_says(authentication: Authentication, safe: Safe) -> None:
    async with token_server() as server:
        put_oauth2(safe, server, client_id="ka nca:1", scope="write read")
        authorized = await authentication.of("shop")
    (request,) = server.receiver.requests
    assert (request.method, request.path) == ("POST", "/token")
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    scheme, _, encoded = request.headers["Authorization"].partition(" ")
    # RFC 6749, section 2.3.1: both are encoded as in forms before they are joined.
    assert (scheme, b64decode(encoded).decode()) == ("Basic", f"ka+nca%3A1:{SECRET}")
    form = parse_qs(server.receiver.bodies[0].decode())
    assert form == {"grant_type": ["client_credentials"], "scope": ["write read"]}
    assert authorized.headers == {"Authorization": "Bearer token-1"}
    assert authorized.secrets == {"token-1", SECRET}
    assert authorized.tls is None


async def test_a_token_is_kept_until_shortly_before_its_end(
    authentication: Authentication, safe: Safe, clock: Clock
) -> None:
    async with token_server(expires_in="600") as server:
        put_oauth2(safe, server)
        given = []
        for seconds in (0, 569, 1, 569, 1):
            clock.seconds += seconds
            given.append(token_of(await authentication.of("shop")))
    assert given == ["token-1", "token-1", "token-2", "token-2", "token-3"]


@pytest.mark.parametrize(
    ("document", "kept_seconds"),
    [
        ({"expires_in": 20}, 18),
        ({"expires_in": None}, UNKNOWN_SECONDS - 30),
        ({"expires_in": "soon"}, UNKNOWN_SECONDS - 30),
        ({"expires_in": []}, UNKNOWN_SECONDS - 30),
        ({"expires_in": 1e400}, UNKNOWN_SECONDS - 30),
        ({"expires_in": 0}, 0),
        ({"expires_in": -5}, 0),
    ],
)
async def test_whatever_is_said_about_its_end_a_token_ends(
    authentication: Authentication, safe: Safe, clock: Clock, document: dict[str, Any], kept_seconds: float
) -> None:
    async with token_server(**document) as server:
        put_oauth2(safe, server)
        counts = []
        for seconds in (0.0, max(kept_seconds - 0.5, 0.0), 1.0):
            clock.seconds += seconds
            await authentication.of("shop")
            counts.append(len(server.receiver.requests))
    assert counts == ([1, 1, 2] if kept_seconds else [1, 2, 3])


async def test_many_at_once_make_one_fetch(authentication: Authentication, safe: Safe) -> None:
    async with token_server() as server:
        put_oauth2(safe, server)
        server.may_answer.clear()
        asked = [asyncio.ensure_future(authentication.of("shop")) for _ in range(50)]
        await server.has_been_asked.wait()
        asked[0].cancel()  # who came first goes away; the others still get their token
        server.may_answer.set()
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert len(server.receiver.requests) == 1
    assert isinstance(results[0], asyncio.CancelledError)
    assert {token_of(each) for each in results[1:] if isinstance(each, Authorized)} == {"token-1"}


async def test_credentials_have_tokens_of_their_own(authentication: Authentication, safe: Safe) -> None:
    async with token_server() as server:
        put_oauth2(safe, server)
        safe.credentials["till"] = replace(safe.credentials["shop"], name="till")
        given = [token_of(await authentication.of(name)) for name in ("shop", "till", "shop")]
    assert given == ["token-1", "token-2", "token-1"]


async def test_a_token_that_a_receiver_refused_is_fetched_anew(
    authentication: Authentication, safe: Safe
) -> None:
    async with token_server() as server:
        put_oauth2(safe, server)
        await authentication.of("shop")
        authentication.forget("shop")
        assert token_of(await authentication.of("shop")) == "token-2"
    authentication.forget("unknown")


async def test_of_many_that_were_refused_with_one_token_only_the_first_makes_a_fetch(
    authentication: Authentication, safe: Safe
) -> None:
    async with token_server() as server:
        put_oauth2(safe, server)
        refused = [await authentication.of("shop") for _ in range(3)]
        given = []
        for each in refused:
            authentication.forget("shop", each)
            given.append(token_of(await authentication.of("shop")))
    assert given == ["token-2"] * 3


async def test_a_credential_that_was_replaced_gets_another_token(
    authentication: Authentication, safe: Safe
) -> None:
    async with token_server() as server:
        put_oauth2(safe, server)
        await authentication.of("shop")
        put_oauth2(safe, server, client_secret="another-secret-012345")
        changed = await authentication.of("shop")
        assert (token_of(changed), "another-secret-012345" in changed.secrets) == ("token-2", True)
        del safe.credentials["shop"]
        assert (await failed(authentication)).facts["reason"] == "not_found"
        put_oauth2(safe, server, client_secret="another-secret-012345")
        assert token_of(await authentication.of("shop")) == "token-3"


@pytest.mark.parametrize(
    ("status", "body", "reason", "words"),
    [
        (401, '{"error": "invalid_client"}', "refused", "its token was refused with 401 invalid_client"),
        (400, '{"error": "<script>"}', "refused", "its token was refused with 400"),
        (500, "nonsense", "refused", "its token was refused with 500"),
        (302, "", "refused", "its token was refused with 302"),
        (200, "nonsense", "bad_answer", "answered without a token that can be sent"),
        (200, "[]", "bad_answer", "answered without a token that can be sent"),
        (200, "{}", "bad_answer", "answered without a token that can be sent"),
        (200, '{"access_token": "a\\r\\nX: y"}', "bad_answer", "without a token that can be sent"),
        (200, '{"access_token": 5}', "bad_answer", "answered without a token that can be sent"),
        (200, '{"access_token": "t", "token_type": "mac"}', "bad_answer", "is no bearer token"),
        (200, '{"access_token": "t", "token_type": null}', "bad_answer", "is no bearer token"),
        (200, "[" * 60_000, "bad_answer", "answered without a token that can be sent"),
    ],
)
async def test_an_answer_without_a_token_is_a_failure(
    authentication: Authentication, safe: Safe, status: int, body: str, reason: str, words: str
) -> None:
    async with token_server() as server:
        put_oauth2(safe, server)
        server.answer = lambda _number: web.Response(status=status, text=body)
        error = await failed(authentication)
    assert error.facts["reason"] == reason
    assert error.detail.startswith("Credential 'shop' cannot be used: ")
    assert error.detail.endswith(words)


async def test_a_server_that_gave_no_token_is_left_alone_for_a_moment(
    authentication: Authentication, safe: Safe, clock: Clock
) -> None:
    async with token_server() as server:
        give, server.answer = server.answer, lambda _number: web.Response(status=503)
        put_oauth2(safe, server)
        first = await failed(authentication)
        server.answer = give
        authentication.forget("shop")
        second = await failed(authentication)
        assert second is not first
        assert len(server.receiver.requests) == 1
        clock.seconds += KEEP_FAILURE_SECONDS
        assert token_of(await authentication.of("shop")) == "token-2"


async def test_a_credential_that_was_mended_is_tried_at_once(
    authentication: Authentication, safe: Safe
) -> None:
    async with token_server() as server:
        give, server.answer = server.answer, lambda _number: web.Response(status=401)
        put_oauth2(safe, server)
        await failed(authentication)
        server.answer = give
        put_oauth2(safe, server, client_secret="the-right-one-0123")
        assert token_of(await authentication.of("shop")) == "token-2"


async def test_a_server_that_is_away_or_inside_is_a_failure(safe: Safe, clock: Clock) -> None:
    async with EgressClient(EgressGuard()) as outside_only, token_server() as server:
        put_oauth2(safe, server)
        error = await failed(Authentication(safe, outside_only, clock))
        assert not server.receiver.requests
    assert error.facts["reason"] == "unreachable"
    assert "127.0.0.1" in error.detail


async def test_what_breaks_unexpectedly_is_tried_again(
    authentication: Authentication, safe: Safe, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_arguments: Any) -> None:
        raise RuntimeError("unexpected")

    async with token_server() as server:
        put_oauth2(safe, server)
        with monkeypatch.context() as patched:
            patched.setattr("kanca.outbound.authentication.fetch_token", broken)
            with pytest.raises(RuntimeError, match="unexpected"):
                await authentication.of("shop")
        authentication.forget("shop")
        assert token_of(await authentication.of("shop")) == "token-1"


# --- Client certificates ---------------------------------------------------------------------------------------------


async def test_a_client_certificate_is_shown_and_its_tls_is_made_once(
    safe: Safe, http: EgressClient, clock: Clock, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    authentication = Authentication(safe, http, clock, trusting=authority.client)

    async def answer(request: web.BaseRequest) -> web.Response:
        assert request.transport is not None
        shown: Any = request.transport.get_extra_info("peercert")
        return web.Response(text=json.dumps(shown["subject"][0][0][1]))

    server = authority.server("localhost")
    server.load_verify_locations(cadata=authority.pem())
    server.verify_mode = ssl.CERT_REQUIRED

    async def asked() -> str:
        authorized = await authentication.of("shop")
        response = await client.request(
            "POST",
            receiver.url(host="localhost", scheme="https"),
            timeout=timedelta(seconds=10),
            max_response_bytes=100,
            headers=authorized.headers,
            tls=authorized.tls,
        )
        return str(json.loads(response.body))

    async with (
        receiving(answer, tls=server) as receiver,
        EgressClient(EgressGuard(["localhost"])) as client,
    ):
        certificate, key = authority.issued("Ada")
        safe.put("shop", "mtls", certificate=certificate, private_key=key)
        first = await authentication.of("shop")
        assert await asked() == "Ada"
        clock.seconds += 1e9
        authentication.forget("shop")
        assert (await authentication.of("shop")).tls is first.tls
        assert (first.headers, first.query, first.secrets) == ({}, {}, frozenset())

        certificate, key = authority.issued("Bob")
        safe.put("shop", "mtls", certificate=certificate, private_key=key)
        assert await asked() == "Bob"
        assert (await authentication.of("shop")).tls is not first.tls


async def test_a_certificate_that_cannot_be_used_is_a_failure(
    authentication: Authentication, safe: Safe
) -> None:
    safe.put("shop", "mtls", certificate="nonsense", private_key="nonsense")
    assert (await failed(authentication)).facts["reason"] == "bad_certificate"
