"""One of several processes that share a rate limit: says how many of its requests passed.

``python -m tests.ingest.counting URL KEY LIMIT`` says ``ready``, and begins at a line on its standard input.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from kanca.ingest.rate_limit import RateLimiter
from kanca.ingest.shared_counters import SharedCounters

TURNS = 40
AT_ONCE = 25


async def count(url: str, endpoint: str, limit: int) -> int:
    """Send ``TURNS`` times ``AT_ONCE`` requests; how many were let through."""
    # A busy machine is not what is looked at: the patience is long, and the limiter closed rather than inexact.
    counters = SharedCounters(url, patience=timedelta(seconds=20))
    limiter = RateLimiter(shared=counters, fails_closed=True)
    await counters.run_once()
    _say("ready")
    sys.stdin.readline()
    passed = 0
    for _ in range(TURNS):
        refusals = await asyncio.gather(*(limiter.refuse(limit, endpoint, "c") for _ in range(AT_ONCE)))
        assert {refusal.code for refusal in refusals if refusal} <= {"rate_limited"}
        passed += refusals.count(None)
    await counters.close()
    return passed


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _say(asyncio.run(count(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
