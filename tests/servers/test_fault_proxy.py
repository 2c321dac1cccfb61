from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.servers.fault_proxy import FaultProxy


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "echo"


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(100):
        writer.write(piece)
    writer.close()


async def _say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, word: bytes) -> bytes:
    writer.write(word)
    async with asyncio.timeout(10):
        return await reader.read(100)


async def test_bytes_pass_unless_they_stall_and_connections_stay_unless_they_are_cut(
    socket_path: Path,
) -> None:
    async with await asyncio.start_unix_server(_echo, socket_path), FaultProxy(socket_path) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await _say(reader, writer, b"one") == b"one"
        proxy.stall()
        late = asyncio.create_task(_say(reader, writer, b"two"))
        done, _ = await asyncio.wait({late}, timeout=0.1)
        assert not done
        proxy.recover()
        assert await late == b"two"
        proxy.refuse()
        with pytest.raises(ConnectionError):
            await _say(reader, writer, b"three")
        refused = await asyncio.open_connection("127.0.0.1", proxy.port)
        with pytest.raises(ConnectionError):
            await _say(*refused, b"four")
        proxy.recover()
        again = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await _say(*again, b"five") == b"five"
        assert proxy.opened == 3
        for _, opened in ((reader, writer), refused, again):
            opened.transport.abort()
