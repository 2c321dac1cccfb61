"""Kanca behind PgBouncer in transaction mode: the contract tests through a real one, and what the mode costs.

    python -m scripts.pgbouncer                      # tests/contract on PostgreSQL, through PgBouncer
    python -m scripts.pgbouncer tests/contract/test_queue_claim.py
    python -m scripts.pgbouncer --measure

PgBouncer is the machine's own, else it is unpacked from Debian's package into ``build``; nothing is installed.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

from bench.report import report
from kanca.domain.task import TaskKind
from kanca.storage import instances
from kanca.storage.dialects import open_database
from kanca.storage.ports import Capabilities, Database, LaneAsk
from tests.factories import new_event
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import PostgresServer

ROUNDS = 400
BATCH = 50


def main(arguments: list[str]) -> int:
    """Run what was asked for; gives the exit code."""
    if arguments == ["--measure"]:
        return asyncio.run(_measure())
    tests = arguments or ["tests/contract"]
    options = ["-p", "tests.servers.pooled", "-k", "not sqlite", "-q"]
    return subprocess.run([sys.executable, "-m", "pytest", *options, *tests], check=False).returncode


async def _measure() -> int:
    rows: list[list[object]] = []
    result: dict[str, float] = {}
    columns: list[str] = []
    with PostgresServer() as server, PgBouncer(server.directory) as pooler:
        url = server.create_database("kanca")
        for label, way, direct in (("direct", url, None), ("pgbouncer", pooler.url(url), url)):
            database = await open_database(way, direct_url=direct)
            try:
                await database.migrate()
                row = await _of(database)
            finally:
                await database.close()
            rows.append([label, *row.values()])
            columns = list(row)
            result |= {f"{label}_{name}": round(value, 3) for name, value in row.items()}
    report("pgbouncer", result, ["ms, quickest tenth", *columns], rows)
    return 0


async def _of(database: Database) -> dict[str, float]:
    worker = await database.queue.register("here", 1, None, 10, instances.KEPT_DEAD)
    everything = Capabilities({TaskKind.DISPATCH: frozenset()}, {})
    asks = [LaneAsk(lane, 0, BATCH) for lane in range(65)]
    return {
        "append 1": await _quickest(lambda: database.accepting.append([new_event()])),
        f"append {BATCH}": await _quickest(
            lambda: database.accepting.append([new_event() for _ in range(BATCH)])
        ),
        "claim none": await _quickest(lambda: database.queue.claim(worker, BATCH, everything, asks)),
        "read": await _quickest(lambda: database.read(instances.running)),
    }


async def _quickest(work: Callable[[], Awaitable[object]]) -> float:
    took = []
    for _ in range(ROUNDS):
        began_at = time.perf_counter()
        await work()
        took.append((time.perf_counter() - began_at) * 1000)
    # What else the machine does makes some rounds slower, and none faster.
    return statistics.quantiles(took, n=10)[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
