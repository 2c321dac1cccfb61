"""Whoever follows a server and comes back is shown everything once, whatever is killed meanwhile."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from kanca.cli.tailing import Message, read_messages
from kanca.storage.dialects import serves_many_gateways
from tests.acceptance.killing import kill_again_and_again, kill_one
from tests.acceptance.processes import ADMIN_KEY, LEASHED, SOURCES, Client, KancaProcess, eventually

EVENTS = 160
SENDERS = 8
KILLS = 2
LISTENER_KILLS = 2
PAUSE_S = 0.01
KEY = {"Authorization": f"Bearer {ADMIN_KEY}"}
OPEN = {"authentication_required": False, "rate_limit_per_minute": 0}


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> KancaProcess:
    """Gateways alone: two where the database allows it."""
    gateways = 2 if serves_many_gateways(database_url) else 1
    return KancaProcess(database_url, tmp_path, "--gateways", str(gateways), "--workers", "0", app=None)


class Sending:
    """Sends events as a sender does that wants each to arrive: again, until it is answered 2xx."""

    def __init__(self, client: Client, address: str) -> None:
        self._client = client
        self._address = address
        self.begun = 0
        self.accepted: set[str] = set()

    async def run(self) -> None:
        await asyncio.gather(*(self._send() for _ in range(SENDERS)))

    async def _send(self) -> None:
        while self.begun < EVENTS:
            number = self.begun
            self.begun += 1
            body = {"event_type": "order.created", "event_id": f"order-{number}", "data": {"number": number}}
            self.accepted.add(await eventually(partial(self._try, body), f"event {number} is accepted"))

    async def _try(self, body: object) -> str | None:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._client.session.post(self._address, json=body) as response:
                if response.status == 200:
                    return str((await response.json())["event_id"])
        return None


async def messages(server: KancaProcess, place: str | None, **query: str) -> AsyncGenerator[Message]:
    """What a tail says, until it ends or is cut off."""
    headers = KEY | ({} if place is None else {"Last-Event-ID": place})
    timeout = aiohttp.ClientTimeout(sock_read=30)
    async with (
        aiohttp.ClientSession(timeout=timeout, read_bufsize=2**20) as session,
        session.get(f"{server.url}/api/tail", params=query, headers=headers) as response,
    ):
        assert response.status == 200, await response.text()
        lines: list[bytes] = []
        async for line in response.content:
            lines.append(line)
            if line == b"\n":
                for message in read_messages(lines):
                    yield message
                lines.clear()


class Following:
    """A client that disconnects now and then, and is disconnected, and comes back."""

    def __init__(self, server: KancaProcess, seed: int) -> None:
        self._server = server
        self._chance = random.Random(seed)
        self._place: str | None = "0"
        self.seen: list[str] = []

    async def run(self) -> None:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                await self._follow(self._chance.randrange(5, 60))
            await asyncio.sleep(PAUSE_S)

    async def _follow(self, limit: int) -> None:
        connection = messages(self._server, self._place)
        try:
            async for message in connection:
                self._place = message.place or self._place
                if message.kind == "event":
                    self.seen.append(message.data["id"])
                    limit -= 1
                if not limit:
                    return
        finally:
            await connection.aclose()


async def test_everything_accepted_is_shown_once_and_to_all_in_one_order(server: KancaProcess) -> None:
    with server:
        async with Client(server) as client:
            address, _ = await client.endpoint(name="shop", config=OPEN)
            sending = Sending(client, address)
            following = [Following(server, seed) for seed in range(3)]
            tasks = [asyncio.create_task(each.run()) for each in following]
            killing = asyncio.create_task(
                kill_again_and_again(
                    [kill_one(server, "gateway", random.Random(5))],
                    KILLS,
                    lambda: len(sending.accepted),
                    EVENTS,
                    random.Random(6),
                )
            )
            await asyncio.gather(sending.run(), killing)

            async def have_seen_all() -> bool:
                return all(sending.accepted <= set(each.seen) for each in following)

            await eventually(have_seen_all, "all clients have seen everything")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            whole = [
                message.data["id"]
                async for message in messages(server, "0", follow="false")
                if message.kind == "event"
            ]
    assert set(whole) == sending.accepted
    assert len(whole) == EVENTS
    assert [each.seen for each in following] == [whole] * len(following)


async def test_tails_end_in_good_order_when_a_server_stops(server: KancaProcess) -> None:
    with server:
        connection = messages(server, None)
        assert (await anext(connection)).kind == "place"
        ending = asyncio.create_task(_rest(connection))
        assert await asyncio.to_thread(server.stop) == 0
        # One that was cut off would raise.
        assert [message.kind for message in await ending if message.kind != "place"] == []


async def _rest(connection: AsyncIterator[Message]) -> list[Message]:
    return [message async for message in connection]


class Receiver:
    """The local address that is forwarded to."""

    def __init__(self) -> None:
        self.received: list[str] = []

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        assert body.startswith(b'{"event_type": "order.created"')
        self.received.append(request.headers["X-Kanca-Event-Id"])
        return web.Response()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/hook", self.take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        finally:
            await runner.cleanup()


def start_listening(server: KancaProcess, forward: str, directory: Path) -> subprocess.Popen[bytes]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("KANCA_")}
    options = [
        "--url",
        server.url,
        "--key",
        ADMIN_KEY,
        "--forward",
        forward,
        "--since",
        "2026-01-01T00:00:00Z",
    ]
    is_first = not (directory / "place.json").exists()
    return subprocess.Popen(
        [*LEASHED, sys.executable, "-m", "kanca", "listen", "--state", str(directory / "place.json")]
        + (options if is_first else options[:-2]),
        env=environ | {"PYTHONPATH": SOURCES},
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


async def test_listening_that_is_killed_and_started_again_misses_nothing(
    server: KancaProcess, tmp_path: Path
) -> None:
    receiver = Receiver()
    with server:
        async with Client(server) as client, receiver.listening() as forward:
            address, _ = await client.endpoint(name="shop", config=OPEN)
            sending = Sending(client, address)
            sent = asyncio.create_task(sending.run())
            for round_ in range(LISTENER_KILLS + 1):
                before = len(receiver.received)
                listener = start_listening(server, forward, tmp_path)
                try:
                    await eventually(partial(_is_further, receiver, before), "events are forwarded")
                    if round_ == LISTENER_KILLS:
                        await sent
                        await eventually(partial(_has_all, receiver, sending), "all is forwarded")
                finally:
                    os.killpg(listener.pid, signal.SIGKILL)
                    await asyncio.to_thread(listener.wait)
                    if listener.stdin is not None:
                        listener.stdin.close()
            order = [
                message.data["id"]
                async for message in messages(server, "0", follow="false")
                if message.kind == "event"
            ]
    assert list(dict.fromkeys(receiver.received)) == order
    assert set(order) == sending.accepted
    # One may have been on its way at each kill.
    assert len(receiver.received) - len(order) <= LISTENER_KILLS


async def _is_further(receiver: Receiver, before: int) -> bool:
    return len(receiver.received) >= before + EVENTS // 10


async def _has_all(receiver: Receiver, sending: Sending) -> bool:
    return sending.accepted <= set(receiver.received)
