from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.servers.fault_proxy import FaultProxy, close


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "echo"


@asynccontextmanager
async def _echoing(path: Path) -> AsyncIterator[None]:
    """A server that says what it is told."""
    connections: list[asyncio.Task[None]] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me is not None
        connections.append(me)
        with suppress(OSError):
            while piece := await reader.read(100):
                writer.write(piece)
        await close(writer)

    async with await asyncio.start_unix_server(echo, path):
        yield
        await asyncio.gather(*connections)


async def _say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, word: bytes) -> bytes:
    writer.write(word)
    async with asyncio.timeout(10):
        return await reader.read(100)


async def _is_cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    try:
        return not await _say(reader, writer, b"anybody?")
    except ConnectionError:
        return True


async def test_bytes_pass_unless_they_stall_and_connections_stay_unless_they_are_cut(
    socket_path: Path,
) -> None:
    async with _echoing(socket_path), FaultProxy(socket_path) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await _say(reader, writer, b"one") == b"one"
        proxy.stall()
        late = asyncio.create_task(_say(reader, writer, b"two"))
        done, _ = await asyncio.wait({late}, timeout=0.1)
        assert not done
        proxy.recover()
        assert await late == b"two"
        proxy.refuse()
        assert await _is_cut(reader, writer)
        refused = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await _is_cut(*refused)
        proxy.recover()
        again = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await _say(*again, b"five") == b"five"
        assert proxy.opened == 3
        for _, opened in ((reader, writer), refused, again):
            await close(opened)
