"""A local server with scripted answers, and names for it that only tests know."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """What was asked of the server, and over which connections."""

    port: int = 0
    requests: list[web.BaseRequest] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    peers: set[object] = field(default_factory=set)
    """The other ends of its connections."""

    def url(self, path: str = "/", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@asynccontextmanager
async def receiving(
    answer: Answer | None = None,
    *,
    address: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Receiver]:
    """A server that answers every request with ``answer`` (200 and an empty body by default)."""
    receiver = Receiver()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        receiver.peers.add(request.transport.get_extra_info("peername"))
        receiver.bodies.append(await request.read())
        receiver.requests.append(request)
        return web.Response() if answer is None else await answer(request)

    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, address, port, ssl_context=tls).start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking(reply: bytes, *, then_wait: bool = False) -> AsyncIterator[int]:
    """The port of a server that reads one line, says ``reply`` and closes (or keeps the connection open)."""
    done = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(reply)
        if then_wait:
            await done.wait()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        done.set()
        server.close()
        await server.wait_closed()


@dataclass
class Names:
    """A resolver under the test's control: each look-up takes the next of a name's answers, the last one for ever."""

    answers: dict[str, list[Sequence[str]]]
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        answers = self.answers.get(host.rstrip("."))
        if not answers:
            raise OSError("no such name")
        return answers.pop(0) if len(answers) > 1 else answers[0]
