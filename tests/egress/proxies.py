"""Proxies that make tunnels, and remember what they were asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter

SUCCEEDED = b"HTTP/1.1 200 Connection established\r\nVia: a proxy\r\n\r\n"
TO_IPV4, TO_NAME = 1, 3


@dataclass
class ProxyServer:
    """A proxy on this machine."""

    scheme: str
    port: int = 0
    asked: list[str] = field(default_factory=list)
    """``address:port``, or a name where it was asked for one."""
    heads: list[str] = field(default_factory=list)
    """What was said besides: the request to an HTTP proxy, or user and password to SOCKS5."""
    connections: int = 0
    open: set[Writer] = field(default_factory=set)

    def url(self, user: str = "") -> str:
        return f"{self.scheme}://{user}127.0.0.1:{self.port}"


@asynccontextmanager
async def http_proxy(*pieces: bytes) -> AsyncIterator[ProxyServer]:
    """Says ``pieces``, one after the other, to whoever asks for a tunnel; makes it if they are a success."""
    said = pieces or (SUCCEEDED,)

    async def talk(proxy: ProxyServer, reader: Reader, writer: Writer) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        proxy.heads.append(head)
        proxy.asked.append(head.split()[1])
        for piece in said:
            writer.write(piece)
            await writer.drain()
            # What was said before has arrived when the other side's system has confirmed it; another turn of the
            # loop lets it be read.
            for _ in range(10):
                await asyncio.sleep(0)
        if said[0].startswith(b"HTTP/1.1 2"):
            host, _, port = proxy.asked[-1].rpartition(":")
            await _join(proxy, reader, writer, host.strip("[]"), int(port))

    async with _serving(ProxyServer("http"), talk) as proxy:
        yield proxy


@asynccontextmanager
async def socks_proxy(*, reply: int = 0, user: tuple[str, str] | None = None) -> AsyncIterator[ProxyServer]:
    """Answers with the reply code ``reply`` (0: the tunnel is made), to ``user`` only if there is one."""

    async def talk(proxy: ProxyServer, reader: Reader, writer: Writer) -> None:
        _, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        if user is None:
            writer.write(b"\x05\x00")
        elif 2 not in methods:
            writer.write(b"\x05\xff")
            return
        else:
            writer.write(b"\x05\x02")
            if not await _is_user(proxy, reader, writer, user):
                return
        *_, kind = await reader.readexactly(4)
        host, port = await _destination(reader, kind)
        proxy.asked.append(f"{host}:{port}")
        writer.write(bytes([5, reply, 0, 1]) + bytes(6))
        if reply == 0:
            await _join(proxy, reader, writer, host, port)

    async with _serving(ProxyServer("socks5"), talk) as proxy:
        yield proxy


async def _is_user(proxy: ProxyServer, reader: Reader, writer: Writer, user: tuple[str, str]) -> bool:
    await reader.readexactly(1)
    given = []
    for _ in range(2):
        (length,) = await reader.readexactly(1)
        given.append((await reader.readexactly(length)).decode())
    proxy.heads.append(":".join(given))
    is_user = tuple(given) == user
    writer.write(b"\x01\x00" if is_user else b"\x01\x01")
    return is_user


async def _destination(reader: Reader, kind: int) -> tuple[str, int]:
    if kind == TO_NAME:
        (length,) = await reader.readexactly(1)
        host = (await reader.readexactly(length)).decode()
    else:
        host = str(ip_address(await reader.readexactly(4 if kind == TO_IPV4 else 16)))
    return host, int.from_bytes(await reader.readexactly(2), "big")


@asynccontextmanager
async def _serving(
    proxy: ProxyServer, talk: Callable[[ProxyServer, Reader, Writer], Awaitable[None]]
) -> AsyncIterator[ProxyServer]:
    talks: set[asyncio.Task[None]] = set()

    async def serve(reader: Reader, writer: Writer) -> None:
        proxy.connections += 1
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        proxy.open.add(writer)
        with suppress(asyncio.IncompleteReadError, OSError):
            await talk(proxy, reader, writer)
        await _close(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for writer in proxy.open:
            writer.close()  # whoever reads from it comes to the end
        await asyncio.gather(*talks)
        await server.wait_closed()


async def _join(proxy: ProxyServer, reader: Reader, writer: Writer, host: str, port: int) -> None:
    """Carry bytes both ways until both sides are done."""
    there, to_there = await asyncio.open_connection(host, port)
    proxy.open.add(to_there)
    await asyncio.gather(_carry(reader, to_there), _carry(there, writer))


async def _carry(reader: Reader, writer: Writer) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    await _close(writer)


async def _close(writer: Writer) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
