"""The denominator of runs that call others: the same client in a bare loop, with so many requests at once.

``python -m bench.bare_client <url> <count> <at once>`` prints how many there were a second.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import uvloop

from kanca.egress import EgressClient, EgressGuard

TIMEOUT = timedelta(seconds=30)
BODY = b'{"amount":1}'


async def main(url: str, count: int, at_once: int) -> float:
    """Send ``count`` requests; gives how many there were a second."""
    numbers = iter(range(count))
    async with EgressClient(EgressGuard(("127.0.0.1",))) as client:
        began_at = time.monotonic()
        await asyncio.gather(*(_send(client, url, numbers) for _ in range(at_once)))
        return count / (time.monotonic() - began_at)


async def _send(client: EgressClient, url: str, numbers: Iterator[int]) -> None:
    for _ in numbers:
        await client.request(
            "POST",
            url,
            headers={"Content-Type": "application/json"},
            body=BODY,
            timeout=TIMEOUT,
            max_response_bytes=1024 * 1024,
        )


if __name__ == "__main__":
    print(uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
