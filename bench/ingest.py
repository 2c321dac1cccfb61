"""Accepted events per second, as a part of what a bare ASGI app answers on the same server program in the same run.

Signed Stripe events over 64 connections: signature, parsing, dedupe key, event and task are all in. PostgreSQL has
``fsync`` on, SQLite ``synchronous=FULL``. The ratio moves with the denominator; the CPU time per accepted event of
each part hardly does.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.cpu import cpu_seconds
from bench.load import Load, run_wrk, signed_requests
from bench.report import Report
from bench.servers import SECRET, Running, bare, kanca, stripe_endpoint
from tests.servers.postgres import PostgresServer

SIZES = (700, 6000)
COLUMNS = ("", "accepted/s", "bare/s", "ratio", "gateway µs", "database µs", "p50 ms", "p99 ms")
ROUNDS = 3
MOST_PER_SECOND = 20_000
"""How many distinct events are prepared for each second of load."""


@contextmanager
def databases(directory: Path) -> Iterator[dict[str, tuple[str, int]]]:
    """Both databases: their URLs, and the process whose CPU they use (0: that of Kanca's own)."""
    with PostgresServer(fsync=True, settings={"shared_buffers": "512MB", "max_wal_size": "8GB"}) as postgres:
        yield {
            "PostgreSQL": (postgres.create_database("bench"), postgres.pid),
            "SQLite": (f"sqlite:///{directory / 'bench.db'}", 0),
        }


def main(seconds: float) -> None:
    """Measure and print."""
    report = Report("ingest", COLUMNS)
    with tempfile.TemporaryDirectory(prefix="kanca-bench-") as name:
        directory = Path(name)
        with databases(directory) as stores:
            for size in SIZES:
                requests = directory / f"requests-{size}.txt"
                signed_requests(requests, SECRET, size, int(MOST_PER_SECOND * seconds * ROUNDS))
                for label, (url, database_pid) in stores.items():
                    row = _compare(url, database_pid, requests, directory, seconds)
                    report.add(f"{label}, {size} bytes", row, f"{label}_{size}")
    report.show()


def _compare(
    url: str, database_pid: int, requests: Path, directory: Path, seconds: float
) -> dict[str, float]:
    """Interleaved rounds of both servers; medians."""
    rounds: list[tuple[Load, Load, float, float]] = []
    with kanca(url, directory, "--workers", "0") as ours, bare(directory) as theirs:
        target = stripe_endpoint(ours)
        for _ in range(ROUNDS):
            plain = run_wrk(theirs.url + "/", requests, seconds)
            rounds.append(_round(target, ours, database_pid, requests, seconds, plain))
    return {
        "per_second": statistics.median(load.per_second for load, *_ in rounds),
        "bare_per_second": statistics.median(plain.per_second for _, plain, *_ in rounds),
        "ratio": statistics.median(load.per_second / plain.per_second for load, plain, *_ in rounds),
        "gateway_us": statistics.median(gateway for *_, gateway, _ in rounds),
        "database_us": statistics.median(database for *_, database in rounds),
        "p50_ms": statistics.median(load.p50_ms for load, *_ in rounds),
        "p99_ms": statistics.median(load.p99_ms for load, *_ in rounds),
    }


def _round(
    target: str, ours: Running, database_pid: int, requests: Path, seconds: float, plain: Load
) -> tuple[Load, Load, float, float]:
    """One load of ours, with the CPU microseconds per accepted event of the gateway and of the database."""
    before = cpu_seconds(ours.pid), cpu_seconds(database_pid) if database_pid else 0.0
    load = run_wrk(target, requests, seconds)
    spent = (
        cpu_seconds(ours.pid) - before[0],
        (cpu_seconds(database_pid) if database_pid else 0.0) - before[1],
    )
    accepted = max(load.requests - load.refused, 1)
    if load.refused or load.broken:
        print(f"  {load.refused} refused, {load.broken} broken")
    return load, plain, spent[0] / accepted * 1e6, spent[1] / accepted * 1e6
