"""Reading bodies within limits of size and time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from kanca.ingest.body import BodyReader
from kanca.ingest.refusal import Refusal
from kanca.ingest.request import ClientGone, whole


class Sender:
    """Gives the pieces that it is told to, when it is told to."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()

    def send(self, piece: bytes, *, more: bool) -> None:
        self._pieces.put_nowait((piece, more))

    async def chunks(self) -> tuple[bytes, bool]:
        return await self._pieces.get()


async def test_each_sender_has_its_own_time() -> None:
    reader = BodyReader(timedelta(milliseconds=20))
    loop = asyncio.get_running_loop()
    early, late = Sender(), Sender()
    first = asyncio.create_task(reader.read(early.chunks, 100))
    early.send(b"{", more=True)
    for _ in range(2):
        begun_at = loop.time()
        refusal = await reader.read(late.chunks, 100)
        assert isinstance(refusal, Refusal)
        assert refusal.code == "body_timeout"
        assert loop.time() - begun_at >= 0.019
    assert isinstance(await first, Refusal)
    late.send(b"in time", more=False)
    assert await reader.read(late.chunks, 100) == b"in time"


async def test_a_body_that_drips_ends_with_its_time() -> None:
    async def drip() -> tuple[bytes, bool]:
        await asyncio.sleep(0)
        return b"", True

    refusal = await BodyReader(timedelta(milliseconds=20)).read(drip, 10_000)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "body_timeout"


async def test_a_request_that_was_given_up_can_go_on_answering() -> None:
    reader = BodyReader(timedelta(milliseconds=10))

    async def request() -> str:
        refusal = await reader.read(Sender().chunks, 10)
        await asyncio.sleep(0)
        return "answered" if isinstance(refusal, Refusal) else "not"

    task = asyncio.create_task(request())
    assert await task == "answered"
    assert task.cancelling() == 0


async def test_a_request_that_is_cancelled_by_the_server_ends() -> None:
    reader = BodyReader(timedelta(seconds=30))
    task = asyncio.create_task(reader.read(Sender().chunks, 10))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await reader.read(whole(b"next"), 10) == b"next"


async def test_a_client_that_goes_away_is_a_refusal_that_nobody_reads() -> None:
    async def gone() -> tuple[bytes, bool]:
        raise ClientGone

    refusal = await BodyReader(timedelta(seconds=30)).read(gone, 10)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "client_disconnected"


@pytest.mark.parametrize(("size", "fits"), [(0, True), (9, True), (10, True), (11, False)])
@pytest.mark.parametrize("in_pieces", [False, True])
async def test_the_limit_is_the_last_size_that_fits(size: int, fits: bool, in_pieces: bool) -> None:
    sender = Sender()
    body = bytes(range(size))
    if in_pieces:
        for byte in body:
            sender.send(bytes([byte]), more=True)
        sender.send(b"", more=False)
    else:
        sender.send(body, more=False)
    read = await BodyReader(timedelta(seconds=30)).read(sender.chunks, 10)
    assert read == body if fits else isinstance(read, Refusal)
