"""From acceptance until the result of a handler or a workflow is stored.

Throughput at full load, the delay at a tenth of it and when idle, and the CPU time of one finished event. Then the
same ingest while the worker is busy with a CPU-bound handler, against ingest while an unrelated process keeps a core
busy: the two cores are shared, so only that comparison says what the worker costs ingest.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from bench.cpu import cpu_seconds
from bench.handlers import BURN_S
from bench.ingest import MOST_PER_SECOND, databases
from bench.load import CONNECTIONS, Load, prepared, run_wrk
from bench.report import Report
from bench.servers import Running, ask, kanca, stripe_endpoint
from kanca.storage.dialects import open_database
from kanca.storage.tables import events, outcomes, tasks

BODY_BYTES = 700
DRAIN_LIMIT_S = 120
APP = "bench.handlers:hooks"
COLUMNS = (
    "",
    "handlers/s",
    "workflows/s",
    "µs CPU/event",
    "tenth p50 ms",
    "tenth p99 ms",
    "idle p50 ms",
    "idle p99 ms",
    "ingest/s, busy worker",
    "ingest/s, busy stranger",
    "ratio",
)
WORKFLOW = {
    "id": "bench",
    "name": "Benchmark",
    "nodes": [
        {"id": "start", "type": "WebhookTrigger", "config": {}},
        {"id": "shape", "type": "Transform", "config": {"value": {"type": "=event.type"}}},
    ],
    "edges": [{"from": "start", "to": "shape"}],
}


def main(seconds: float) -> None:
    """Measure and print."""
    report = Report("end_to_end", COLUMNS)
    with (
        prepared(BODY_BYTES, int(MOST_PER_SECOND * seconds * 4)) as (directory, requests),
        databases(directory) as stores,
    ):
        for label, (url, database_pid) in stores.items():
            report.add(label, _measure(url, database_pid, requests, directory, seconds))
    report.show()


def _measure(
    url: str, database_pid: int, requests: Path, directory: Path, seconds: float
) -> dict[str, float]:
    with kanca(url, directory, "--app", APP) as server:
        handled = stripe_endpoint(server)
        roots = [server.pid, *([database_pid] if database_pid else [])]
        before, began_at = cpu_seconds(*roots), time.monotonic()
        load = run_wrk(handled, requests, seconds)
        _drain(url)
        took = time.monotonic() - began_at
        finished = load.requests - load.refused
        spent = cpu_seconds(*roots) - before
        peak = finished / took
        tenth = _delays(url, handled, requests, seconds, peak / 10, CONNECTIONS)
        idle = _delays(url, handled, requests, seconds, 20, 1)
        ask(f"{server.url}/api/workflows", WORKFLOW)
        ask(f"{server.url}/api/workflows/bench/publish", method="POST")
        flowing = stripe_endpoint(server, workflow_id="bench", slug="bench-flow")
        flow_began_at = time.monotonic()
        flow = run_wrk(flowing, requests, seconds / 2)
        _drain(url)
        flow_rate = (flow.requests - flow.refused) / (time.monotonic() - flow_began_at)
        busy, control = _beside_a_busy_worker(url, server, handled, requests, seconds / 2)
    return {
        "handlers_per_second": peak,
        "workflows_per_second": flow_rate,
        "cpu_us_per_event": spent / finished * 1e6,
        "tenth_p50_ms": tenth[0],
        "tenth_p99_ms": tenth[1],
        "idle_p50_ms": idle[0],
        "idle_p99_ms": idle[1],
        "ingest_beside_busy_worker": busy.per_second,
        "ingest_beside_busy_stranger": control.per_second,
        "busy_ratio": busy.per_second / control.per_second,
    }


def _delays(
    url: str, target: str, requests: Path, seconds: float, per_second: float, connections: int
) -> tuple[float, float]:
    """Median and 99th percentile, in ms, from receipt to stored result under a paced load."""
    began_at = asyncio.run(_ask_database(url, select(func.max(events.c.received_at))))
    run_wrk(target, requests, seconds, connections, pause_ms=connections / per_second * 1000)
    _drain(url)
    pairs = asyncio.run(_pairs(url, began_at))
    delays = sorted((finished - received).total_seconds() * 1000 for received, finished in pairs)
    return statistics.median(delays), delays[int(len(delays) * 0.99)]


def _beside_a_busy_worker(
    url: str, server: Running, handled: str, requests: Path, seconds: float
) -> tuple[Load, Load]:
    """Ingest while the worker burns a core, and while a stranger does."""
    with _stranger(seconds + 5):
        control = run_wrk(handled, requests, seconds)
    _drain(url)
    made = ask(
        f"{server.url}/api/webhooks/endpoints", {"slug": "burn", "config": {"rate_limit_per_minute": 0}}
    )
    for _ in range(int((seconds + 2) / BURN_S)):
        _burn(server.url + made["endpoint_path"], made["secret_token"])
    busy = run_wrk(handled, requests, seconds)
    _drain(url)
    return busy, control


def _burn(url: str, token: str) -> None:
    ask(url, {"event_type": "burn.core", "data": {}}, headers={"Authorization": f"Bearer {token}"})


@contextmanager
def _stranger(seconds: float) -> Any:
    loop = f"import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"
    process = subprocess.Popen([sys.executable, "-c", loop])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _drain(url: str) -> None:
    """Wait until the queue is empty."""
    give_up_at = time.monotonic() + DRAIN_LIMIT_S
    while asyncio.run(_ask_database(url, select(tasks.c.id).limit(1))) is not None:
        if time.monotonic() > give_up_at:
            raise SystemExit(f"the queue was not empty after {DRAIN_LIMIT_S} s")
        time.sleep(0.05)


async def _ask_database(url: str, query: Any) -> Any:
    database = await open_database(url)
    try:
        return await database.read(lambda connection: connection.execute(query).scalar())
    finally:
        await database.close()


async def _pairs(url: str, since: datetime) -> list[tuple[datetime, datetime]]:
    def query(connection: Connection) -> list[tuple[datetime, datetime]]:
        found = connection.execute(
            select(events.c.received_at, outcomes.c.finished_at)
            .join(outcomes, outcomes.c.event_id == events.c.id)
            .where(events.c.received_at > since)
        )
        return [(received, finished) for received, finished in found]

    database = await open_database(url)
    try:
        return await database.read(query)
    finally:
        await database.close()
