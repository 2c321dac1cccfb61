"""The guard at the moment of connecting: what DNS says, what changes, and what TLS is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from kanca.egress import EgressClient, EgressGuard, EgressResponse
from kanca.egress.resolver import SystemResolver
from kanca.errors import EgressFailed, EgressRefused
from tests.egress.certificates import Authority
from tests.egress.receiver import Names, receiving

SECONDS = timedelta(seconds=10)
NOTHING_KEPT = timedelta(0)


async def ask(client: EgressClient, url: str) -> EgressResponse:
    return await client.request("GET", url, timeout=SECONDS, max_response_bytes=1000)


@asynccontextmanager
async def listening(address: str = "127.0.0.1") -> AsyncIterator[tuple[int, list[object]]]:
    """A port, and everything that ever connected to it."""
    connections: list[object] = []

    def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(accept, address, 0)
    try:
        yield server.sockets[0].getsockname()[1], connections
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("64:ff9b::127.0.0.1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("10.0.0.1", "private"),
        ("169.254.169.254", "metadata"),
        ("100.64.0.1", "shared"),
        ("0.0.0.0", "unspecified"),
        ("fe80::1", "link_local"),
    ],
)
async def test_a_name_that_leads_inside_is_refused_and_nothing_is_connected(answer: str, reason: str) -> None:
    async with (
        listening() as (port, connections),
        EgressClient(EgressGuard(), resolve=Names({"evil.test": [[answer]]})) as client,
    ):
        with pytest.raises(EgressRefused) as caught:
            await ask(client, f"http://evil.test:{port}/")
        assert not connections
    assert caught.value.facts["reason"] == reason
    assert caught.value.facts["host"] == "evil.test"
    assert caught.value.detail.startswith("evil.test is at ")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1"]
)
async def test_an_address_in_the_url_is_refused_and_nothing_is_connected(host: str) -> None:
    async with listening() as (port, connections), EgressClient(EgressGuard()) as client:
        with pytest.raises(EgressRefused):
            await ask(client, f"http://{host}:{port}/")
        assert not connections


async def test_the_guard_holds_at_the_socket_even_when_the_url_was_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kanca.egress.guard._literal", lambda _host: None)
    async with listening() as (port, connections), EgressClient(EgressGuard()) as client:
        with pytest.raises(EgressRefused) as caught:
            await ask(client, f"http://127.0.0.1:{port}/")
        assert not connections
    assert caught.value.facts["reason"] == "loopback"


async def test_a_name_is_looked_up_once_and_the_address_found_is_the_one_connected_to() -> None:
    async with receiving(address="127.0.0.2") as receiver:
        names = Names({"hooks.test": [["127.0.0.2"], ["127.0.0.1"]]})
        guard = EgressGuard(("127.0.0.2",))
        async with EgressClient(guard, resolve=names, keep_addresses=NOTHING_KEPT) as client:
            response = await ask(client, receiver.url(host="hooks.test"))
        assert names.asked == ["hooks.test"]
    assert response.address == "127.0.0.2"
    assert response.timing.dns_ms is not None


async def test_a_name_that_changes_to_an_inner_address_is_refused_at_its_next_connection() -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(headers={"Connection": "close"})

    async with receiving(answer, address="127.0.0.2") as receiver:
        names = Names({"rebinding.test": [["127.0.0.2"], ["127.0.0.1"]]})
        guard = EgressGuard(("127.0.0.2",))
        async with EgressClient(guard, resolve=names, keep_addresses=NOTHING_KEPT) as client:
            assert (await ask(client, receiver.url(host="rebinding.test"))).status == 200
            with pytest.raises(EgressRefused) as caught:
                await ask(client, receiver.url(host="rebinding.test"))
        assert len(receiver.requests) == 1
    assert caught.value.facts["address"] == "127.0.0.1"


async def test_of_several_addresses_only_the_allowed_are_tried() -> None:
    async with receiving(address="127.0.0.2") as receiver:
        names = Names({"mixed.test": [["10.0.0.1", "169.254.169.254", "127.0.0.2"]]})
        async with EgressClient(EgressGuard(("127.0.0.2",)), resolve=names) as client:
            response = await ask(client, receiver.url(host="mixed.test"))
    assert response.address == "127.0.0.2"


async def test_an_allowed_address_that_does_not_answer_is_a_failure_whatever_else_is_refused() -> None:
    async with receiving(address="127.0.0.2") as receiver:
        pass
    names = Names({"mixed.test": [["10.0.0.1", "127.0.0.2"]]})
    async with EgressClient(EgressGuard(("127.0.0.2",)), resolve=names) as client:
        with pytest.raises(EgressFailed) as caught:
            await ask(client, receiver.url(host="mixed.test"))
    assert caught.value.facts["cause"] == "connect"


async def test_a_host_allowed_by_name_may_be_inside_and_another_name_of_it_may_not() -> None:
    async with receiving() as receiver:
        names = Names({"inner.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]})
        async with EgressClient(EgressGuard(("inner.test",)), resolve=names) as client:
            assert (await ask(client, receiver.url(host="inner.test"))).status == 200
            assert (await ask(client, receiver.url(host="INNER.test"))).status == 200
            with pytest.raises(EgressRefused):
                await ask(client, receiver.url(host="other.test"))


async def test_addresses_are_kept_for_a_while() -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(headers={"Connection": "close"})

    async with receiving(answer) as receiver:
        names = Names({"hooks.test": [["127.0.0.1"]]})
        async with EgressClient(EgressGuard(("127.0.0.1",)), resolve=names) as client:
            for _ in range(3):
                await ask(client, receiver.url(host="hooks.test"))
    assert names.asked == ["hooks.test"]


async def test_many_requests_at_once_keep_their_own_answers() -> None:
    async with receiving() as receiver:
        names = Names({f"h{number}.test": [["127.0.0.1"]] for number in range(20)})
        allowed = tuple(f"h{number}.test" for number in range(0, 20, 2))
        async with EgressClient(EgressGuard(allowed), resolve=names) as client:
            results = await asyncio.gather(
                *(ask(client, receiver.url(host=f"h{number}.test")) for number in range(20)),
                return_exceptions=True,
            )
    for number, result in enumerate(results):
        assert isinstance(result, EgressRefused if number % 2 else EgressResponse), (number, result)


async def test_the_system_resolver_finds_this_machine() -> None:
    resolver = SystemResolver()
    try:
        assert set(await resolver("localhost")) & {"127.0.0.1", "::1"}
        with pytest.raises(OSError, match=r".+"):
            await resolver("")
    finally:
        resolver.close()


# --- TLS -------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def over_tls(
    authority: Authority, server: ssl.SSLContext, trusted: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[EgressClient, str]]:
    names = Names({"hooks.test": [["127.0.0.1"]]})
    guard = EgressGuard(("hooks.test", "127.0.0.1"))
    async with (
        receiving(tls=server) as receiver,
        EgressClient(guard, resolve=names, tls=trusted or authority.client()) as client,
    ):
        yield client, receiver.url(host="hooks.test", scheme="https")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_tls_is_told_the_name_although_the_connection_goes_to_an_address(authority: Authority) -> None:
    told: list[str | None] = []
    server = authority.server("hooks.test")
    server.sni_callback = lambda _socket, name, _context: told.append(name)
    async with over_tls(authority, server) as (client, url):
        response = await ask(client, url)
        await ask(client, url.replace("hooks.test", "hooks.test."))
    assert response.status == 200
    assert told == ["hooks.test", "hooks.test"]


async def test_tcp_and_tls_are_timed_apart(authority: Authority) -> None:
    async with over_tls(authority, authority.server("hooks.test")) as (client, url):
        first, second = await ask(client, url), await ask(client, url)
    assert first.timing.connect_ms is not None
    assert first.timing.tls_ms is not None
    assert first.timing.tls_ms > 0
    parts = first.timing.connect_ms + first.timing.tls_ms + first.timing.first_byte_ms
    assert parts <= first.timing.total_ms
    assert (second.timing.connect_ms, second.timing.tls_ms) == (None, None)


async def problem_of(client: EgressClient, url: str) -> str:
    with pytest.raises(EgressFailed) as caught:
        await ask(client, url)
    assert caught.value.facts["cause"] == "tls"
    return caught.value.detail


async def test_a_certificate_for_another_host_is_a_failure(authority: Authority) -> None:
    async with over_tls(authority, authority.server("other.test")) as (client, url):
        assert await problem_of(client, url) == "hooks.test has a certificate that is for another host"


async def test_an_expired_certificate_is_a_failure(authority: Authority) -> None:
    server = authority.server("hooks.test", lasts=timedelta(hours=1))
    async with over_tls(authority, server) as (client, url):
        assert await problem_of(client, url) == "hooks.test has a certificate that has expired"


async def test_a_certificate_of_an_unknown_authority_is_a_failure(authority: Authority) -> None:
    trusting_others = ssl.create_default_context()
    async with over_tls(authority, authority.server("hooks.test"), trusting_others) as (client, url):
        assert await problem_of(client, url) == (
            "hooks.test has a certificate that is signed by an authority that is not known"
        )


async def test_a_receiver_without_tls_is_a_failure_of_tls(authority: Authority) -> None:
    guard = EgressGuard(("127.0.0.1",))
    async with receiving() as receiver, EgressClient(guard, tls=authority.client()) as client:
        detail = await problem_of(client, receiver.url(scheme="https"))
    assert detail == "127.0.0.1 could not agree on an encrypted connection"
