"""Through a proxy: what it is asked for, what it can do wrong, and what is told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import web

from kanca.egress import EgressClient, EgressGuard, EgressProxy, EgressResponse, read_proxy
from kanca.egress.failures import TunnelFailed
from kanca.egress.tunnels import open_tunnel
from kanca.errors import EgressFailed, EgressRefused, EgressTimeout, InvalidSetting
from tests.egress.certificates import Authority
from tests.egress.proxies import SUCCEEDED, ProxyServer, http_proxy, socks_proxy
from tests.egress.receiver import Names, receiving, speaking

SECONDS = timedelta(seconds=10)
GUARD = EgressGuard(("127.0.0.2",))
Serving = Callable[[], AbstractAsyncContextManager[ProxyServer]]


@pytest.fixture(params=[http_proxy, socks_proxy])
async def proxy(request: pytest.FixtureRequest) -> AsyncIterator[ProxyServer]:
    serving: Serving = request.param
    async with serving() as server:
        yield server


@asynccontextmanager
async def through(
    url: str, names: Names | None = None, guard: EgressGuard = GUARD
) -> AsyncIterator[EgressClient]:
    resolve = names or Names({"hooks.test": [["127.0.0.2"]]})
    async with EgressClient(guard, resolve=resolve, proxy=read_proxy(url)) as client:
        yield client


async def ask(client: EgressClient, url: str, timeout: timedelta = SECONDS) -> EgressResponse:
    return await client.request("GET", url, timeout=timeout, max_response_bytes=1000)


async def failing(client: EgressClient, url: str) -> EgressFailed:
    with pytest.raises(EgressFailed) as caught:
        await ask(client, url)
    return caught.value


async def test_the_proxy_is_asked_for_the_address_that_was_checked_and_not_for_the_name(
    proxy: ProxyServer,
) -> None:
    async with receiving(address="127.0.0.2") as receiver, through(proxy.url()) as client:
        first = await ask(client, receiver.url("/a?b=c", host="hooks.test"))
        second = await ask(client, receiver.url(host="hooks.test"))
    assert proxy.asked == [f"127.0.0.2:{receiver.port}"]
    assert [request.headers["Host"] for request in receiver.requests] == [f"hooks.test:{receiver.port}"] * 2
    assert receiver.requests[0].path_qs == "/a?b=c"
    assert (first.status, first.address, second.address) == (200, "127.0.0.2", "127.0.0.2")
    assert first.timing.connect_ms is not None
    assert (first.timing.tls_ms, second.timing.connect_ms) == (None, None)


async def test_tls_goes_through_the_tunnel_and_is_with_the_host(proxy: ProxyServer, tmp_path: Path) -> None:
    told: list[str | None] = []
    authority = Authority(tmp_path)
    server = authority.server("hooks.test")
    server.sni_callback = lambda _socket, name, _context: told.append(name)
    async with (
        receiving(address="127.0.0.2", tls=server) as receiver,
        EgressClient(
            GUARD,
            resolve=Names({"hooks.test": [["127.0.0.2"]], "other.test": [["127.0.0.2"]]}),
            tls=authority.client(),
            proxy=read_proxy(proxy.url()),
        ) as client,
    ):
        response = await ask(client, receiver.url(host="hooks.test", scheme="https"))
        error = await failing(client, receiver.url(host="other.test", scheme="https"))
    assert (response.status, told) == (200, ["hooks.test", "other.test"])
    assert response.timing.tls_ms is not None
    assert error.detail == "other.test has a certificate that is for another host"


async def test_an_address_in_the_url_is_asked_for_as_it_is(proxy: ProxyServer) -> None:
    async with receiving(address="127.0.0.2") as receiver, through(proxy.url()) as client:
        assert (await ask(client, receiver.url(host="127.0.0.2"))).status == 200
    assert proxy.asked == [f"127.0.0.2:{receiver.port}"]


@pytest.mark.parametrize("address", ["2606:4700::1111", "2001:4860:4860::8888", "2400::1.2.3.4", "2a00::"])
async def test_an_address_of_version_6_is_asked_for_as_one(address: str) -> None:
    inner = ip_address(address)
    async with http_proxy(b"HTTP/1.1 503 No\r\n\r\n") as by_http, socks_proxy(reply=3) as by_socks:
        for proxy in (by_http, by_socks):
            asked = EgressProxy(proxy.scheme, "127.0.0.1", proxy.port)
            with pytest.raises(TunnelFailed):
                await open_tunnel(asked, Names({}), inner, 443, 10)
    assert (by_http.asked, by_socks.asked) == ([f"[{inner}]:443"], [f"{inner}:443"])


async def test_of_several_addresses_the_next_allowed_one_is_asked_for_when_one_does_not_answer() -> None:
    async with receiving(address="127.0.0.2") as receiver, socks_proxy() as proxy:
        names = Names({"hooks.test": [["10.0.0.1", "127.0.0.2"]]})
        async with through(proxy.url(), names) as client:
            assert (await ask(client, receiver.url(host="hooks.test"))).status == 200
    assert proxy.asked == [f"127.0.0.2:{receiver.port}"]
    async with socks_proxy(reply=5) as proxy:
        names = Names({"hooks.test": [["127.0.0.2", "127.0.0.3"]]})
        async with through(proxy.url(), names, EgressGuard(("127.0.0.0/8",))) as client:
            error = await failing(client, "http://hooks.test:81/")
    assert error.facts["cause"] == "connect"
    assert dict.fromkeys(proxy.asked) == dict.fromkeys(["127.0.0.2:81", "127.0.0.3:81"])


async def test_the_proxy_itself_may_be_inside_and_is_looked_up_by_kanca(proxy: ProxyServer) -> None:
    names = Names({"hooks.test": [["127.0.0.2"]], "proxy.test": [["127.0.0.1"]]})
    url = proxy.url().replace("127.0.0.1", "proxy.test")
    async with receiving(address="127.0.0.2") as receiver, through(url, names) as client:
        assert (await ask(client, receiver.url(host="hooks.test"))).status == 200
        with pytest.raises(EgressRefused):
            await ask(client, f"http://proxy.test:{proxy.port}/")
    assert proxy.connections == 1


# --- User and password -----------------------------------------------------------------------------------------------


async def test_an_http_proxy_gets_user_and_password() -> None:
    async with (
        receiving(address="127.0.0.2") as receiver,
        http_proxy() as proxy,
        through(proxy.url("me:p%40ss@")) as client,
    ):
        await ask(client, receiver.url(host="hooks.test"))
    assert "Proxy-Authorization: Basic bWU6cEBzcw==\r\n" in proxy.heads[0]
    assert "Proxy-Authorization" not in receiver.requests[0].headers


async def test_a_socks_proxy_gets_user_and_password() -> None:
    async with receiving(address="127.0.0.2") as receiver, socks_proxy(user=("me", "p@ss")) as proxy:
        async with through(proxy.url("me:p%40ss@")) as client:
            assert (await ask(client, receiver.url(host="hooks.test"))).status == 200
        assert proxy.heads == ["me:p@ss"]
        for user in ("me:wrong@", ""):
            async with through(proxy.url(user)) as client:
                error = await failing(client, receiver.url(host="hooks.test"))
            assert error.facts["cause"] == "proxy"
    assert len(receiver.requests) == 1


# --- What goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "cause", "words"),
    [
        ((b"HTTP/1.1 407 No\r\n\r\n",), "proxy", "the proxy answered 407"),
        ((b"HTTP/1.1 403 No\r\n\r\nno",), "proxy", "the proxy answered 403"),
        ((b"HTTP/1.1 503 No\r\n\r\n",), "connect", "could not be connected to from the proxy"),
        ((b"HTTP/1.1 504 No\r\n\r\n",), "connect", "could not be connected to from the proxy"),
        ((b"SSH-2.0-OpenSSH\r\n\r\n",), "proxy", "the proxy does not speak HTTP"),
        ((b"HTTP/1.1 200 OK\r\n",), "proxy", "the proxy broke off"),
        ((b"",), "proxy", "the proxy broke off"),
        ((b"HTTP/1.1 200 OK\r\nA: " + b"a" * 20_000,), "proxy", "the proxy does not speak HTTP"),
        ((SUCCEEDED + b"HTTP/1.1 200 OK\r\n\r\n",), "proxy", "the proxy said too much"),
    ],
)
async def test_what_an_http_proxy_does_wrong_is_told(
    pieces: tuple[bytes, ...], cause: str, words: str
) -> None:
    async with http_proxy(*pieces) as proxy, through(proxy.url()) as client:
        error = await failing(client, "http://hooks.test:1/")
    assert error.facts["cause"] == cause
    assert error.detail.startswith("hooks.test ")
    assert error.detail.endswith(words)


@pytest.mark.parametrize(
    ("reply", "cause"),
    [(1, "proxy"), (2, "proxy"), (3, "connect"), (4, "connect"), (5, "connect"), (9, "proxy")],
)
async def test_what_a_socks_proxy_refuses_is_told(reply: int, cause: str) -> None:
    async with socks_proxy(reply=reply) as proxy, through(proxy.url()) as client:
        assert (await failing(client, "http://hooks.test:81/")).facts["cause"] == cause


async def test_a_head_in_pieces_is_read_to_its_end() -> None:
    pieces = SUCCEEDED[:12], SUCCEEDED[12:-2], SUCCEEDED[-2:]
    async with (
        receiving(address="127.0.0.2") as receiver,
        http_proxy(*pieces) as proxy,
        through(proxy.url()) as client,
    ):
        assert (await ask(client, receiver.url(host="hooks.test"))).status == 200
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_proxy_that_is_away_is_a_failure_of_the_proxy(scheme: str) -> None:
    async with receiving() as gone:
        pass
    async with through(f"{scheme}://127.0.0.1:{gone.port}") as client:
        error = await failing(client, "http://hooks.test/")
    assert error.facts["cause"] == "proxy"
    assert error.detail == "hooks.test cannot be reached: the proxy does not answer"
    async with through(f"{scheme}://proxy.test:{gone.port}") as client:
        assert (await failing(client, "http://hooks.test/")).facts["cause"] == "proxy"


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_proxy_that_hangs_is_a_timeout_of_the_connection(scheme: str) -> None:
    async with speaking(b"", then_wait=True) as port, through(f"{scheme}://127.0.0.1:{port}") as client:
        with pytest.raises(EgressTimeout) as caught:
            await client.request(
                "GET",
                "http://hooks.test/",
                timeout=SECONDS,
                connect_timeout=timedelta(milliseconds=50),
                max_response_bytes=10,
            )
    assert caught.value.facts["phase"] == "connect"


async def test_socks_that_break_off_are_a_failure_of_the_proxy() -> None:
    async with receiving() as receiver:
        proxy = EgressProxy("socks5", "127.0.0.1", receiver.port)
        with pytest.raises(TunnelFailed) as caught:
            await open_tunnel(proxy, Names({}), ip_address("127.0.0.2"), 80, 10)
    assert caught.value.cause == "proxy"


async def test_answers_come_through_whole(proxy: ProxyServer) -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=418, body=b"x" * 900)

    async with receiving(answer, address="127.0.0.2") as receiver, through(proxy.url()) as client:
        response = await ask(client, receiver.url(host="hooks.test"))
    assert (response.status, response.body) == (418, b"x" * 900)


# --- The setting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy:3128", EgressProxy("http", "proxy", 3128)),
        ("http://proxy/", EgressProxy("http", "proxy", 80)),
        ("socks5://10.0.0.1", EgressProxy("socks5", "10.0.0.1", 1080)),
        ("socks5://[::1]:9", EgressProxy("socks5", "::1", 9)),
        ("http://me:p%3A%40@proxy:1", EgressProxy("http", "proxy", 1, "me", "p:@")),
        ("http://me@proxy:1", EgressProxy("http", "proxy", 1, "me", "")),
    ],
)
def test_a_proxy_is_named_by_a_url(url: str, proxy: EgressProxy) -> None:
    assert read_proxy(url) == proxy


@pytest.mark.parametrize(
    "url",
    [
        "",
        "proxy:3128",
        "https://proxy:3128",
        "socks4://proxy:3128",
        "socks5h://proxy:3128",
        "http://:3128",
        "http://proxy:0",
        "http://proxy:99999",
        "http://[::1",
        "http://proxy:1/path",
        "http://proxy:1/?a",
        "http://me%0d%0aX:hunter2@proxy:1",
        "http://a%3Ab:hunter2@proxy:1",
        "http://:hunter2@proxy:1",
        "socks5://me@proxy:1",
        "socks5://me:hunter2%C3%BC@proxy:1",
        "socks5://me:" + "hunter2" * 40 + "@proxy:1",
    ],
)
def test_what_names_no_proxy_is_an_error_that_gives_nothing_away(url: str) -> None:
    with pytest.raises(InvalidSetting, match="egress_proxy") as caught:
        read_proxy(url)
    assert "hunter2" not in str(caught.value)


def test_a_proxy_does_not_show_who_asks() -> None:
    assert "hunter2" not in repr(read_proxy("http://me:hunter2@proxy:1"))
