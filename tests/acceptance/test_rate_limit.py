"""A rate limit is one limit however many gateways there are, and nobody waits for a Valkey that is away."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

from kanca.ingest.shared_counters import PATIENCE
from tests.acceptance.processes import Client, KancaProcess, eventually
from tests.servers.valkey import ValkeyServer

LIMIT = 20
REQUESTS = 60
AT_ONCE = 5
SLACK_S = 1.5
"""What a busy machine may add to a request's time."""


async def test_two_gateways_admit_one_limit_and_do_without_valkey_while_it_is_away(
    postgres_url: str, tmp_path: Path, own_valkey: ValkeyServer
) -> None:
    options = ["--gateways", "2", "--workers", "0", "--redis-url", own_valkey.url]
    with KancaProcess(postgres_url, tmp_path, *options, app=None) as server:
        async with Client(server) as client:
            assert await _redis(client) == "ok"
            # An answer of Valkey's that a busy machine brings late would count for nothing: then once more.
            await eventually(lambda: _is_exact(client), "two gateways have one limit")

            own_valkey.kill()
            answers, longest_s = await _send(client)
            # Each of the two counts for itself now; the few that found Valkey gone are among those counted.
            assert set(answers) == {200, 429}
            assert LIMIT <= answers[200] <= 2 * LIMIT
            assert longest_s < PATIENCE.total_seconds() + SLACK_S

            async def away() -> bool:
                return await _redis(client) == "unavailable"

            async def back() -> bool:
                return await _redis(client) == "ok"

            await eventually(away, "health says that Valkey is away")
            own_valkey.start()
            await eventually(back, "health says that Valkey is back")
            # The gateway that did not answer is back within a second as well.
            await eventually(lambda: _is_exact(client), "the limit is one again")
    assert "redis_unavailable" in server.log()


async def _is_exact(client: Client) -> bool:
    answers, _ = await _send(client)
    return answers == {200: LIMIT, 429: REQUESTS - LIMIT}


async def _redis(client: Client) -> str:
    health = await client.ask("GET", "/health", expect=200)
    return str(health["components"]["redis"])


async def _send(client: Client) -> tuple[Counter[int], float]:
    """Send to an endpoint of its own; how many answers had which status, and the longest wait for one."""
    url, token = await client.endpoint(config={"rate_limit_per_minute": LIMIT})
    headers = {"Authorization": f"Bearer {token}"}
    body: dict[str, Any] = {"event_type": "order.created", "data": {}}
    gate = asyncio.Semaphore(AT_ONCE)

    async def send() -> tuple[int, float]:
        # A connection each, so that both gateways get their share.
        async with gate, aiohttp.ClientSession() as session:
            began = time.monotonic()
            async with session.post(url, json=body, headers=headers) as answer:
                return answer.status, time.monotonic() - began

    answers = await asyncio.gather(*(send() for _ in range(REQUESTS)))
    return Counter(status for status, _ in answers), max(seconds for _, seconds in answers)
