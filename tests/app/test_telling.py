"""What one process changes, the others look at without waiting until their next turn."""

from __future__ import annotations

import asyncio
from functools import partial

from kanca.app.telling import hurry_on_changes, open_broadcast, tell_of_changes
from kanca.settings import Settings
from kanca.storage.ports import Database
from kanca.storage.versions import bump_version
from tests.servers.valkey import ValkeyServer

LIMIT_S = 20


async def test_a_change_hurries_whoever_keeps_its_subject_in_memory(
    database: Database, valkey: ValkeyServer
) -> None:
    settings = Settings(redis_url=valkey.url)
    here, there = open_broadcast(settings), open_broadcast(settings)
    hurried: asyncio.Queue[str] = asyncio.Queue()
    try:
        tell_of_changes(database, here)
        subjects = ("endpoints", "node_types")
        hurry_on_changes(there, {name: partial(hurried.put_nowait, name) for name in subjects})
        async with asyncio.timeout(LIMIT_S):
            # All of them first: nobody knows what was said before the subscription began.
            assert [await hurried.get(), await hurried.get()] == ["endpoints", "node_types"]
            await database.write(bump_version, "workflows")
            await database.write(bump_version, "node_types")
            assert await hurried.get() == "node_types"
    finally:
        await here.close()
        await there.close()


async def test_without_redis_a_process_tells_itself(database: Database) -> None:
    broadcast = open_broadcast(Settings())
    hurried: list[str] = []
    tell_of_changes(database, broadcast)
    hurry_on_changes(broadcast, {"endpoints": lambda: hurried.append("endpoints")})
    await database.write(bump_version, "endpoints")
    assert hurried == ["endpoints"]
