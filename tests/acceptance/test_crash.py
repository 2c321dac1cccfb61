"""What was answered 2xx is there, exactly once, and its work has ended: whatever was killed, at whatever moment."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.killing import Kill, kill_all, kill_one, restart
from tests.acceptance.processes import Client, KancaProcess, eventually, signed_event
from tests.servers.postgres import PostgresServer

SENDERS = 24


async def _send(session: aiohttp.ClientSession, url: str, event_id: str) -> bool:
    """Whether the event was answered 2xx."""
    event = signed_event("crash.test", event_id, {"id": event_id})
    try:
        async with session.post(f"{url}/webhooks/receive", **event) as response:
            await response.read()
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def _send_until(url: str, names: list[str], enough: int, answered: set[str], kill: Kill) -> None:
    """Send from many connections; after ``enough`` more answers, kill in the midst of it."""
    goal = len(answered) + enough
    killed = asyncio.Event()

    async def sender(session: aiohttp.ClientSession) -> None:
        while names and not killed.is_set():
            name = names.pop()
            if await _send(session, url, name):
                answered.add(name)
                if len(answered) >= goal and not killed.is_set():
                    killed.set()
                    await asyncio.to_thread(kill)

    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(sender(session) for _ in range(SENDERS)))


async def _nothing_is_lost(server: KancaProcess, answered: set[str]) -> None:
    async with Client(server) as client:
        await eventually(client.nothing_is_pending, "all work has ended")
        events = await client.events(event_type="crash.test")
    stored = Counter(event["source_event_id"] for event in events)
    assert answered <= stored.keys(), f"lost: {sorted(answered - stored.keys())[:5]}"
    assert max(stored.values()) == 1, "an event is there twice"
    assert {event["status"] for event in events} == {"succeeded"}
    calls = server.calls()
    assert {source for _, _, source in calls} >= answered
    names = {(source, call) for call, _, source in calls}
    assert len(names) == len({source for source, _ in names}), "a repeated call changed its call id"


async def _kill_again_and_again(
    server: KancaProcess, kills: int, per_kill: int, seed: int, more: list[Kill]
) -> None:
    """Each round kills after a random number of answers: everything of Kanca, or what ``more`` has, in turn."""
    chance = random.Random(seed)
    names = [f"e{number}" for number in range(kills * per_kill * 4)]
    answered: set[str] = set()
    for round_number in range(kills):
        ways = [kill_all(server), *more]
        way = ways[round_number % len(ways)]
        await _send_until(server.url, names, chance.randint(per_kill // 3, per_kill), answered, way)
    await _nothing_is_lost(server, answered)
    assert len(answered) >= kills * per_kill // 3


@pytest.mark.parametrize(
    ("kills", "per_kill"),
    [(4, 500), pytest.param(30, 1500, marks=pytest.mark.torture)],
    ids=["short", "long"],
)
async def test_nothing_answered_is_lost_when_sqlite_processes_are_killed(
    tmp_path: Path, kills: int, per_kill: int
) -> None:
    with KancaProcess(f"sqlite:///{tmp_path}/kanca.db", tmp_path) as server:
        chance = random.Random(kills)
        ways = [kill_one(server, "worker", chance), kill_one(server, "gateway", chance)]
        await _kill_again_and_again(server, kills, per_kill, seed=kills, more=ways)


@pytest.mark.parametrize(
    ("kills", "per_kill"),
    [(5, 500), pytest.param(30, 1500, marks=pytest.mark.torture)],
    ids=["short", "long"],
)
async def test_nothing_answered_is_lost_when_processes_or_postgresql_itself_are_killed(
    tmp_path: Path, kills: int, per_kill: int
) -> None:
    with (
        PostgresServer(fsync=True) as postgres,
        KancaProcess(
            postgres.create_database("crash"), tmp_path, "--gateways", "2", "--workers", "2"
        ) as server,
    ):
        chance = random.Random(kills)
        ways = [restart(postgres), kill_one(server, "worker", chance), kill_one(server, "gateway", chance)]
        await _kill_again_and_again(server, kills, per_kill, seed=kills, more=ways)
