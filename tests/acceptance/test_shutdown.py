"""Stopping under load: every request is answered, or refused before it is sent."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.processes import LIMIT_S, Client, KancaProcess, eventually, signed_event

SENDERS = 8


class Load:
    """Senders that send one webhook after the other until nobody takes their connections any more."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.ends: Counter[str] = Counter()
        self.accepted: list[str] = []

    async def run(self) -> None:
        """Send until every sender is refused a connection."""
        await asyncio.gather(*(self._send_all(number) for number in range(SENDERS)))

    async def _send_all(self, sender: int) -> None:
        # Half of them keep their connections, as long as they may.
        connector = aiohttp.TCPConnector(force_close=bool(sender % 2))
        timeout = aiohttp.ClientTimeout(total=LIMIT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            number = 0
            while not await self._send(session, f"{sender}-{number}"):
                number += 1

    async def _send(self, session: aiohttp.ClientSession, source_id: str) -> bool:
        try:
            async with session.post(self._url, **signed_event("order.created", source_id)) as response:
                await response.read()
        except aiohttp.ClientConnectorError as error:
            self.ends["refused" if isinstance(error.os_error, ConnectionRefusedError) else repr(error)] += 1
            return True
        except aiohttp.ClientError as error:
            self.ends[repr(error)] += 1
            return False
        if response.status == 200:
            self.accepted.append(source_id)
        is_told_when = "Retry-After" in response.headers
        self.ends[f"{response.status}{' come again' if is_told_when else ''}"] += 1
        return False


@pytest.mark.parametrize("gateways", [1, 2])
async def test_under_load_every_request_is_answered_until_connections_are_refused(
    postgres_url: str, tmp_path: Path, gateways: int
) -> None:
    with KancaProcess(postgres_url, tmp_path, "--gateways", str(gateways)) as server:
        load = Load(f"{server.url}/webhooks/receive")
        sending = asyncio.create_task(load.run())

        async def some_accepted() -> bool:
            return len(load.accepted) > 20 * SENDERS

        await eventually(some_accepted, "webhooks are accepted")
        assert await asyncio.to_thread(server.stop) == 0
        async with asyncio.timeout(LIMIT_S):
            await sending
        assert load.ends.keys() <= {"200", "503 come again", "refused"}, (load.ends, server.log()[-3000:])
        assert load.ends["refused"] == SENDERS
        server.start()
        async with Client(server) as client:
            sources = {event["source_event_id"] for event in await client.events()}
        assert sources >= set(load.accepted)


async def test_readiness_goes_down_before_anything_is_refused(postgres_url: str, tmp_path: Path) -> None:
    environ = {"KANCA_SHUTDOWN_DELAY_SECONDS": "60"}
    with KancaProcess(postgres_url, tmp_path, environ=environ) as server:
        async with Client(server) as client:
            await client.ask("GET", "/health/ready", expect=200)
            (gateway,) = server.children("gateway")
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))

            async def is_down() -> bool:
                async with client.session.get(f"{server.url}/health/ready") as response:
                    return response.status == 503

            await eventually(is_down, "the gateway is not ready any more")
            url = f"{server.url}/webhooks/receive"
            async with client.session.post(url, **signed_event("order.created", "late")) as response:
                assert response.status == 200
                assert response.headers["Connection"] == "close"
            await client.ask("GET", "/health", expect=200)

            async def is_shown() -> bool:
                found = (await client.ask("GET", "/api/instances"))["items"]
                return any(each["kind"] == "gateway" and each["state"] == "stopping" for each in found)

            await eventually(is_shown, "the list of instances says so")
            # A second signal hurries.
            os.kill(gateway, signal.SIGTERM)
            assert await asyncio.wait_for(stopping, LIMIT_S) == 0
