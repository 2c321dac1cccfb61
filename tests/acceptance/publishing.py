"""Publishing to a server that is killed meanwhile, and waiting for the end of what it caused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp

from tests.acceptance.processes import Client, KancaProcess, eventually

AT_ONCE = 40
AGAIN_S = 0.1


async def publish_all(server: KancaProcess, events: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Publish events that have ids, each once whatever happens; gives their types and Kanca's ids, in order."""
    published = []
    async with Client(server) as client:
        for start in range(0, len(events), AT_ONCE):
            answer = await _until_answered(client, {"events": events[start : start + AT_ONCE]})
            assert answer["refused"] == 0, answer
            published += [(result["event_type"], result["id"]) for result in answer["results"]]
    return published


async def all_end(server: KancaProcess, limit_s: float, **given_back: str) -> None:
    """Wait for the end of all work. Dead letters that fit ``given_back`` are given back, as people would."""
    async with Client(server) as client:

        async def is_over() -> bool:
            try:
                await client.ask("POST", "/admin/dlq/retry", given_back)
                return await client.nothing_is_pending()
            except (aiohttp.ClientError, TimeoutError):
                return False  # the gateway was killed

        await eventually(is_over, "all work has ended", limit_s)


async def _until_answered(client: Client, body: dict[str, Any]) -> Any:
    """What is answered, however often the server dies before it answers."""
    while True:
        try:
            return await client.ask("POST", "/events/trigger/batch", body, expect=202)
        except (aiohttp.ClientError, TimeoutError):
            await asyncio.sleep(AGAIN_S)
        except AssertionError as error:
            if not str(error).startswith("503"):
                raise
            await asyncio.sleep(AGAIN_S)
