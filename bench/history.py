"""Ingest and listing with a million events stored, against an empty database, interleaved.

Both should cost the same: listings page by key and count nothing, and the indexes of the newest day stay in memory.
"""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, delete, literal, select

from bench.charges import new_charge
from bench.ingest import databases
from bench.load import get_per_second, prepared, run_wrk
from bench.report import Report
from bench.servers import kanca, stripe_endpoint
from kanca.domain.event import NewEvent
from kanca.domain.ids import uuid7_int
from kanca.storage.dialects import open_database
from kanca.storage.tables import endpoints, events, outcomes, tasks
from tests.servers.postgres import PostgresServer

EVENTS = 1_000_000
CHUNK = 2_000
DAYS = 10
ROUNDS = 5
BODY_BYTES = 700
COLUMNS = ("", "ingest empty/s", "ingest full/s", "ratio", "lists empty/s", "lists full/s", "ratio")


def main(seconds: float) -> None:
    """Measure and print."""
    report = Report("history", COLUMNS)
    with prepared(BODY_BYTES, int(10_000 * seconds * ROUNDS)) as (directory, requests):
        for label, empty, full, settle in _pairs(directory):
            report.add(label, _compare(empty, full, settle, requests, directory, seconds / 2))
    report.show()


def _pairs(directory: Path) -> Iterator[tuple[str, str, str, Callable[[], object]]]:
    """Of each database an empty and a full one, and what brings the full one to rest after it was filled."""
    with databases(directory) as stores:
        url, _ = stores["SQLite"]
        yield "SQLite", url.replace("bench.db", "empty.db"), url, lambda: None
    with PostgresServer(fsync=True, settings={"shared_buffers": "1GB", "max_wal_size": "8GB"}) as postgres:
        # A million finished tasks leave the queue at once, which no day does: their rows are cleared away first.
        settle = partial(postgres.execute, "VACUUM ANALYZE", "full")
        yield "PostgreSQL", postgres.create_database("empty"), postgres.create_database("full"), settle


def _compare(
    empty: str, full: str, settle: Callable[[], object], requests: Path, directory: Path, seconds: float
) -> dict[str, float]:
    ingest: list[tuple[float, float]] = []
    lists: list[tuple[float, float]] = []
    sides = [directory / "a", directory / "b"]
    for side in sides:
        side.mkdir(exist_ok=True)
    with kanca(empty, sides[0], "--workers", "0") as young, kanca(full, sides[1], "--workers", "0") as old:
        targets = stripe_endpoint(young), stripe_endpoint(old)
        asyncio.run(_fill(full, targets[1].rpartition("/")[2]))
        settle()
        for _ in range(ROUNDS):
            ingest.append(
                (
                    run_wrk(targets[0], requests, seconds).per_second,
                    run_wrk(targets[1], requests, seconds).per_second,
                )
            )
            lists.append((_lists(targets[0], seconds), _lists(targets[1], seconds)))
    return {
        "ingest_empty": statistics.median(a for a, _ in ingest),
        "ingest_full": statistics.median(b for _, b in ingest),
        "ingest_ratio": statistics.median(b / a for a, b in ingest),
        "lists_empty": statistics.median(a for a, _ in lists),
        "lists_full": statistics.median(b for _, b in lists),
        "lists_ratio": statistics.median(b / a for a, b in lists),
    }


def _lists(target: str, seconds: float) -> float:
    """Listings per second of an endpoint's newest 50 events."""
    return get_per_second(f"{target}/events?limit=50", seconds)


async def _fill(url: str, webhook_id: str) -> None:
    """Store a million finished events of the last days through the ordinary statements."""
    database = await open_database(url)
    try:
        number = await database.read(
            lambda connection: connection.execute(
                select(endpoints.c.number).where(endpoints.c.webhook_id == webhook_id)
            ).scalar_one()
        )
        for begin in range(0, EVENTS, CHUNK):
            await database.accepting.append([_event(n, number) for n in range(begin, begin + CHUNK)])
            # The work is done at once: what is measured is history, not a backlog.
            await database.write(lambda connection: connection.execute(delete(tasks)))
        await database.write(_finish_all)
    finally:
        await database.close()


def _event(position: int, endpoint: int) -> NewEvent:
    received_at = datetime.now(UTC) - timedelta(days=DAYS) * (1 - position / EVENTS)
    identity = UUID(int=uuid7_int(int(received_at.timestamp() * 1000), int.from_bytes(os.urandom(8))))
    return new_charge(identity, endpoint, received_at, received_at + timedelta(days=DAYS + 7))


def _finish_all(connection: Connection) -> None:
    connection.execute(
        outcomes.insert().from_select(
            ["event_id", "work", "status", "works", "attempt_number", "started_at", "finished_at"],
            select(
                events.c.id,
                literal("handler:bench"),
                literal("succeeded"),
                literal(1),
                literal(1),
                events.c.received_at,
                events.c.received_at,
            ),
        )
    )
