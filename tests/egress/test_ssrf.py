"""Nobody gets Kanca to reach what is inside: by no spelling of an address, by DNS, by a redirect or through a proxy.

What counts is not that an error comes, but that no socket connects and no proxy is asked. Both are watched here.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from aiohttp import web

from kanca.egress import EgressClient, EgressGuard, EgressResponse, is_forbidden, read_proxy
from kanca.errors import EgressRefused
from tests.egress.proxies import ProxyServer, http_proxy, socks_proxy
from tests.egress.receiver import Names, receiving

SECONDS = timedelta(seconds=10)
NOTHING_KEPT = timedelta(0)

FORBIDDEN = {
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fdff::1", "fec0::1"],
    "link_local": ["169.254.0.1", "fe80::1"],
    "metadata": ["169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254"],
    "multicast": ["224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1"],
    "unspecified": ["0.0.0.0", "0.0.0.1", "::"],
    "shared": ["100.64.0.1", "100.127.255.254"],
    "reserved": ["240.0.0.1", "255.255.255.255", "192.0.0.1"],
    "benchmarking": ["198.18.0.1"],
    "documentation": ["192.0.2.1", "2001:db8::1"],
}
"""Plain ones, by why they are refused."""


def carriers(inner: str) -> Iterator[str]:
    """Addresses of version 6 whose packets may end at ``inner``."""
    number = int(IPv4Address(inner))
    yield str(IPv6Address(0xFFFF << 32 | number))
    yield str(IPv6Address(int(IPv6Address("64:ff9b::")) | number))
    yield str(IPv6Address(0x2002 << 112 | number << 80))
    yield str(IPv6Address(0x20010000 << 96 | int(IPv4Address("65.54.227.120")) << 64 | number ^ 0xFFFFFFFF))
    yield str(IPv6Address(0x20010000 << 96 | number << 64 | 0xF7F7F7F7))


PLAIN = [address for addresses in FORBIDDEN.values() for address in addresses]
CARRIED = [
    outer
    for inner in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0")
    for outer in carriers(inner)
]
ADDRESSES = PLAIN + CARRIED

WRITTEN = [
    "2130706433",  # decimal
    "0x7f000001",
    "0x7f.0.0.1",
    "0X7F.1",
    "017700000001",  # octal
    "0177.0.0.1",
    "0177.0.0.01",
    "127.1",  # short
    "127.0.1",
    "0",
    "127.0.0.1.",  # with the dot of a whole name
    "127.0.0.1..",
    "2130706433.",
    "127.00.0.1",
    "127.0.0.1%00",
    "127.0.0.1%2f@good.example",
    "①②⑦.0.0.1",  # other digits, other dots (IDN)
    "127。0。0。1",
    "127\uff0e0\uff0e0\uff0e1",
    "\uff11\uff12\uff17.0.0.1",
    "\uff11\uff16\uff19.254.\uff11\uff16\uff19.254",
    "good.example@127.0.0.1",  # user and password
    "good.example:80@127.0.0.1",
    ":@127.0.0.1",
    "@127.0.0.1",
    "127.0.0.1\\@good.example",
    "good.example\\@127.0.0.1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7F00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[fe80::1%25eth0]",  # zones
    "[fe80::1%eth0]",
    "[::1%25lo]",
    "[::ffff:127.0.0.1%25lo]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[v1.127.0.0.1]",
    "[127.0.0.1]",
    "127.0.0.1 ",
    "127.0.0.1\t",
    "127.0.0.1\r\nHost: good.example",
]
"""The same places, as they stand between ``http://`` and the path."""


class Watch:
    """What this process connected to."""

    def __init__(self) -> None:
        self.connected: list[str] = []

    def inner(self) -> list[str]:
        """Those that nobody was allowed to reach."""
        return [address for address in self.connected if is_forbidden(ip_address(address)) is not None]


@pytest.fixture(autouse=True)
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watching = Watch()

    class Socket(socket.socket):
        """Sees each connection before it is made, whoever makes it."""

        def connect(self, address: Any) -> None:
            watching.connected.append(str(address[0]))
            super().connect(address)

    monkeypatch.setattr(socket, "socket", Socket)
    return watching


async def ask(client: EgressClient, url: str) -> EgressResponse:
    return await client.request("GET", url, timeout=SECONDS, max_response_bytes=1000)


async def refused(client: EgressClient, url: str) -> str:
    with pytest.raises(EgressRefused) as caught:
        await ask(client, url)
    return str(caught.value.facts["reason"])


def literal(address: str) -> str:
    return f"[{address}]" if ":" in address else address


async def test_the_watch_sees_connections(watch: Watch) -> None:
    async with receiving() as receiver, EgressClient(EgressGuard(("127.0.0.1",))) as client:
        assert (await ask(client, receiver.url())).status == 200
    assert watch.inner() == ["127.0.0.1"]


# --- As it is written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_address_inside_is_refused_as_it_stands(watch: Watch, address: str, scheme: str) -> None:
    async with EgressClient(EgressGuard()) as client:
        reason = await refused(client, f"{scheme}://{literal(address)}/")
    assert reason == is_forbidden(ip_address(address))
    assert not watch.connected


@pytest.mark.parametrize("host", WRITTEN)
async def test_an_address_inside_is_refused_however_it_is_written(watch: Watch, host: str) -> None:
    names = Names({})
    async with EgressClient(EgressGuard(), resolve=names) as client:
        for end in ("/", ":80/", ":6379/?a#b"):
            await refused(client, f"http://{host}{end}")
    assert not watch.connected
    assert not names.asked


# --- By DNS ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [*ADDRESSES, "fe80::1%eth0", "::1%lo", "::ffff:127.0.0.1%lo"])
async def test_a_name_that_leads_inside_is_refused(watch: Watch, address: str) -> None:
    async with EgressClient(EgressGuard(), resolve=Names({"evil.test": [[address]]})) as client:
        for url in ("http://evil.test/", "https://EVIL.test.:8443/"):
            assert await refused(client, url) == is_forbidden(ip_address(address))
    assert not watch.connected


@pytest.mark.parametrize("host", ["bücher.test", "xn--bcher-kva.test", "BÜCHER.TEST", "bücher。test"])
async def test_a_name_in_another_script_that_leads_inside_is_refused(watch: Watch, host: str) -> None:
    names = Names({"xn--bcher-kva.test": [["127.0.0.1"]]})
    async with EgressClient(EgressGuard(), resolve=names) as client:
        assert await refused(client, f"http://{host}/") == "loopback"
    assert names.asked == ["xn--bcher-kva.test"]
    assert not watch.connected


async def test_names_of_this_machine_are_refused(watch: Watch) -> None:
    async with EgressClient(EgressGuard()) as client:  # with the system's resolver
        for host in ("localhost", "LOCALHOST"):
            assert await refused(client, f"http://{host}/") == "loopback"
    assert not watch.connected


async def test_a_name_that_leads_outside_and_inside_is_connected_to_outside_only(watch: Watch) -> None:
    names = Names({"mixed.test": [["10.0.0.1", "::1", "127.0.0.2", "169.254.169.254"]]})
    async with (
        receiving(address="127.0.0.2") as receiver,
        EgressClient(EgressGuard(("127.0.0.2",)), resolve=names) as client,
    ):
        assert (await ask(client, receiver.url(host="mixed.test"))).address == "127.0.0.2"
    assert set(watch.connected) == {"127.0.0.2"}


@pytest.mark.parametrize("inner", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_an_answer_that_changes_between_two_look_ups_gets_nobody_inside(
    watch: Watch, inner: str
) -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(headers={"Connection": "close"})

    names = Names({"rebinding.test": [["127.0.0.2"], [inner], ["127.0.0.2"], [inner]]})
    guard = EgressGuard(("127.0.0.2",))
    async with (
        receiving(answer, address="127.0.0.2") as receiver,
        EgressClient(guard, resolve=names, keep_addresses=NOTHING_KEPT) as client,
    ):
        url = receiver.url(host="rebinding.test")
        for _ in range(2):
            assert (await ask(client, url)).status == 200
            await refused(client, url)
        assert (
            names.asked == ["rebinding.test"] * 4
        )  # one look-up for each connection: nothing is asked twice
    assert set(watch.connected) == {"127.0.0.2"}
    assert len(receiver.requests) == 2


async def test_many_at_once_with_changing_answers_get_nobody_inside(watch: Watch) -> None:
    answers = [["127.0.0.2"] if number % 3 else ["127.0.0.1"] for number in range(60)]
    names = Names({"rebinding.test": [*answers]})
    guard = EgressGuard(("127.0.0.2",))
    async with (
        receiving(address="127.0.0.2") as receiver,
        EgressClient(guard, resolve=names, keep_addresses=NOTHING_KEPT) as client,
    ):
        results = await asyncio.gather(
            *(ask(client, receiver.url(host="rebinding.test")) for _ in answers), return_exceptions=True
        )
    assert {type(result) for result in results} == {EgressResponse, EgressRefused}
    assert set(watch.connected) == {"127.0.0.2"}


# --- By a redirect ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(watch: Watch, status: int) -> None:
    async with receiving(address="127.0.0.3") as inside:

        async def answer(_request: web.BaseRequest) -> web.Response:
            headers = {"Location": inside.url(host="127.0.0.3"), "Refresh": f"0; url={inside.url()}"}
            return web.Response(status=status, headers=headers)

        async with (
            receiving(answer, address="127.0.0.2") as receiver,
            EgressClient(EgressGuard(("127.0.0.0/8",))) as client,  # even where it would be allowed
        ):
            response = await ask(client, receiver.url(host="127.0.0.2"))
        assert not inside.requests
    assert response.status == status
    assert set(watch.connected) == {"127.0.0.2"}


# --- Through a proxy -------------------------------------------------------------------------------------------------


@pytest.fixture(params=["http", "socks5"])
async def proxy(request: pytest.FixtureRequest) -> AsyncIterator[ProxyServer]:
    async with http_proxy() if request.param == "http" else socks_proxy() as server:
        yield server


@asynccontextmanager
async def through(
    proxy: ProxyServer, names: Names, *allowed: str, keep: timedelta = NOTHING_KEPT
) -> AsyncIterator[EgressClient]:
    guard, chosen = EgressGuard(allowed), read_proxy(proxy.url())
    async with EgressClient(guard, resolve=names, proxy=chosen, keep_addresses=keep) as client:
        yield client


async def test_no_proxy_is_asked_for_an_address_inside(proxy: ProxyServer, watch: Watch) -> None:
    names = Names({f"h{number}.test": [[address]] for number, address in enumerate(ADDRESSES)})
    async with through(proxy, names) as client:
        for number, address in enumerate(ADDRESSES):
            for host in (literal(address), f"h{number}.test"):
                for scheme in ("http", "https"):
                    assert await refused(client, f"{scheme}://{host}/") == is_forbidden(ip_address(address))
        for host in WRITTEN:
            await refused(client, f"http://{host}/")
    assert not proxy.connections
    assert not watch.connected


async def test_a_proxy_is_asked_only_for_what_was_checked_when_the_answer_changes(
    proxy: ProxyServer, watch: Watch
) -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(headers={"Connection": "close"})

    names = Names({"rebinding.test": [["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]]})
    async with (
        receiving(answer, address="127.0.0.2") as receiver,
        through(proxy, names, "127.0.0.2") as client,
    ):
        url = receiver.url(host="rebinding.test")
        assert (await ask(client, url)).status == 200
        assert await refused(client, url) == "loopback"
        assert (await ask(client, url)).status == 200
    assert proxy.asked == [f"127.0.0.2:{receiver.port}"] * 2
    # The proxy itself is at 127.0.0.1, by its operator's choice.
    assert set(watch.connected) == {"127.0.0.1", "127.0.0.2"}
