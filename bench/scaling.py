"""Gateways and workers from one to four, the same work: how throughput and the CPU time of an event grow.

Gateways alone take signed webhooks over 64 connections; then workers alone work off what was taken. Both on one
PostgreSQL with ``fsync`` on. Where nearly all of the machine's cores are used, cores are the limit (the load generator
takes its part of them, too); else it is waiting: for the disk, for locks, for each other.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from sqlalchemy import Connection, func, select

from bench.cpu import cpu_seconds
from bench.end_to_end import APP
from bench.load import run_wrk, signed_requests
from bench.report import report
from bench.servers import SECRET, kanca, stripe_endpoint, workers
from kanca.storage.dialects import open_database
from kanca.storage.tables import tasks
from tests.servers.postgres import PostgresServer

MOST = 4
MOST_PER_SECOND = 10_000
BODY_BYTES = 700
ALL_BUSY = 0.9
"""The part of the cores from which they are what limits."""
LOOK_S = 0.05
ENDLESS = 10**12
LIMIT_S = 300
"""The longest that workers may take to start and to work off what is there."""
BEGUN_SHARE = 0.05
"""The part of the work during which workers are only starting: it is not counted."""
COLUMNS = ("accepted/s", "ratio", "µs CPU", "database µs", "cores", "limit")
WORKED = ("handled/s", "ratio", "µs CPU", "database µs", "cores", "limit")


def main(seconds: float) -> None:
    """Measure and print."""
    accepted: list[dict[str, float]] = []
    handled: list[dict[str, float]] = []
    with (
        tempfile.TemporaryDirectory(prefix="kanca-bench-") as name,
        PostgresServer(fsync=True, settings={"shared_buffers": "512MB", "max_wal_size": "8GB"}) as postgres,
    ):
        directory = Path(name)
        for number in range(1, MOST + 1):
            url = postgres.create_database(f"bench_{number}")
            accepted.append(_accept(url, number, postgres.pid, directory, seconds))
            handled.append(_work(url, number, postgres.pid, directory))
            postgres.drop_database(f"bench_{number}")
    _report("scaling_gateways", "gateways", COLUMNS, accepted)
    _report("scaling_workers", "workers", WORKED, handled)


def _accept(url: str, number: int, database_pid: int, directory: Path, seconds: float) -> dict[str, float]:
    """Load gateways; nothing works off what they take."""
    with kanca(url, directory, "--gateways", str(number), "--workers", "0") as server:
        target = stripe_endpoint(server)
        requests = directory / "requests.txt"  # signed now: a signature is good for five minutes
        signed_requests(requests, SECRET, BODY_BYTES, int(MOST_PER_SECOND * seconds))
        before, began_at = (cpu_seconds(server.pid), cpu_seconds(database_pid)), time.monotonic()
        machine_before = _machine_seconds()
        load = run_wrk(target, requests, seconds)
        took = time.monotonic() - began_at
        if load.refused or load.broken:
            print(f"  {load.refused} refused, {load.broken} broken")
        return _row(
            max(load.requests - load.refused, 1),
            took,
            cpu_seconds(server.pid) - before[0],
            cpu_seconds(database_pid) - before[1],
            _machine_seconds() - machine_before,
        )


def _work(url: str, number: int, database_pid: int, directory: Path) -> dict[str, float]:
    """Work off what is there; counted from when all workers are at it."""
    give_up_at = time.monotonic() + LIMIT_S
    waiting = asyncio.run(_until_left(url, ENDLESS, give_up_at))
    with workers(url, directory, number, "--app", APP) as pid:
        left = asyncio.run(_until_left(url, int(waiting * (1 - BEGUN_SHARE)), give_up_at))
        began_at = time.monotonic()
        before = cpu_seconds(pid), cpu_seconds(database_pid)
        machine_before = _machine_seconds()
        asyncio.run(_until_left(url, 0, give_up_at))
        return _row(
            left,
            time.monotonic() - began_at,
            cpu_seconds(pid) - before[0],
            cpu_seconds(database_pid) - before[1],
            _machine_seconds() - machine_before,
        )


def _row(events: int, took: float, ours: float, database: float, machine: float) -> dict[str, float]:
    return {
        "per_second": events / took,
        "cpu_us": ours / events * 1e6,
        "database_us": database / events * 1e6,
        "cores": machine / took,
    }


def _report(name: str, what: str, columns: tuple[str, ...], found: list[dict[str, float]]) -> None:
    cores = os.cpu_count() or 1
    rows: list[list[object]] = []
    result: dict[str, float] = {}
    for number, row in enumerate(found, 1):
        ratio = row["per_second"] / found[0]["per_second"]
        limit = "cores" if row["cores"] >= ALL_BUSY * cores else "waiting"
        shown = [row["per_second"], ratio, row["cpu_us"], row["database_us"], row["cores"], limit]
        rows.append([f"{number} {what}", *shown])
        result |= {f"{number}_{key}": round(value, 3) for key, value in (row | {"ratio": ratio}).items()}
    report(name, result, ["", *columns], rows)


def _machine_seconds() -> float:
    """CPU seconds of everything on this machine, that which is not idle."""
    fields = [int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


async def _until_left(url: str, most: int, give_up_at: float) -> int:
    """Wait until no more than ``most`` tasks are left; gives how many are."""
    database = await open_database(url)
    try:
        while (left := await database.read(_count)) > most:
            if time.monotonic() > give_up_at:
                raise SystemExit("the workers did not come to an end")
            await asyncio.sleep(LOOK_S)
        return left
    finally:
        await database.close()


def _count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(tasks)).scalar_one()
