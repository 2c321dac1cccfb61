"""A proxy between Kanca and a server, on loopback, that does to connections what networks do."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Self

CHUNK_BYTES = 65_536


class FaultProxy:
    """Passes bytes on between a port of its own and a unix socket, unless told otherwise.

    A context manager: it listens inside, and all its connections end with it.
    """

    def __init__(self, upstream: Path) -> None:
        """``upstream`` is the server's socket; another one may be set at any time, for the connections that come."""
        self.upstream = upstream
        self.port = 0
        self.delay_s = 0.0
        """Each piece of what the server says comes so much later."""
        self.opened = 0
        """Connections so far, those that were refused too."""
        self._is_refusing = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._connections: set[asyncio.Task[None]] = set()

    def refuse(self) -> None:
        """Cut what there is, and close each new connection at once: the server is gone."""
        self._is_refusing = True
        self.cut()

    def stall(self) -> None:
        """Take connections and bytes, and pass nothing on: the network has swallowed the server."""
        self._flows.clear()

    def recover(self) -> None:
        """Be a good network again. What stalled goes on."""
        self._is_refusing = False
        self.delay_s = 0.0
        self._flows.set()

    def cut(self) -> None:
        """End all connections at once."""
        for connection in self._connections:
            connection.cancel()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me is not None
        self._connections.add(me)
        self.opened += 1
        try:
            if not self._is_refusing:
                await self._flows.wait()
                with suppress(OSError):
                    await self._join(reader, writer)
        except asyncio.CancelledError:
            pass  # cut: the end of a connection, not of a test
        finally:
            await close(writer)
            self._connections.discard(me)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self.upstream)
        ways = [
            asyncio.create_task(self._pass_on(reader, server_writer)),
            asyncio.create_task(self._pass_on(server_reader, writer, delays=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await close(server_writer)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, delays: bool = False
    ) -> None:
        while piece := await reader.read(CHUNK_BYTES):
            if delays and self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self._flows.wait()
            writer.write(piece)
            await writer.drain()


async def close(writer: asyncio.StreamWriter) -> None:
    """Reset a connection, and wait until it is gone."""
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
