"""What 200 receivers that hang do to 1,000 healthy ones: the time from an event to its stored delivery.

Two workers on two databases, one of them with the hanging receivers and a backlog for each of them. Both are given the
same stream of events for the healthy receivers, one after the other, in five interleaved rounds.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, select

from bench.deliver import subscribe
from bench.report import report
from bench.servers import ROOT, bare, free_port, workers
from bench.site import Site, new_event, opened
from kanca.domain.published import PUBLISHED
from kanca.storage.tables import deliveries, events
from tests.servers.postgres import PostgresServer

ROUNDS = 5
HEALTHY = 1_000
HANGING = 200
BACKLOG = 10
"""Events for each of the hanging receivers in every round."""
PER_SECOND = 250
COLUMNS = ("", "p50 ms", "p99 ms", "p99 ratio")


def main(seconds: float) -> None:
    """Measure and print."""
    del seconds  # a round is one event for each healthy receiver
    with tempfile.TemporaryDirectory(prefix="kanca-bench-") as name:
        directory = Path(name)
        settings = {"shared_buffers": "512MB", "max_wal_size": "8GB"}
        with (
            PostgresServer(fsync=True, settings=settings) as postgres,
            bare(directory) as sink,
            _hanging() as hole,
        ):
            urls = [postgres.create_database(each) for each in ("alone", "beside")]
            rounds = asyncio.run(_measure(urls, sink.url, hole, directory))
    alone, beside = ([round_[side] for round_ in rounds] for side in (0, 1))
    ratio = statistics.median(p99 for _, p99 in beside) / statistics.median(p99 for _, p99 in alone)
    rows: list[list[object]] = []
    result: dict[str, float] = {"p99_ratio": round(ratio, 3)}
    for label, times in (("alone", alone), ("beside 200 that hang", beside)):
        p50, p99 = (statistics.median(values) for values in zip(*times, strict=True))
        rows.append([label, p50, p99, ratio if times is beside else 1.0])
        result |= {f"{label.split()[0]}_p50_ms": round(p50, 2), f"{label.split()[0]}_p99_ms": round(p99, 2)}
    report("isolation", result, COLUMNS, rows)


async def _measure(
    urls: list[str], sink: str, hole: str, directory: Path
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """p50 and p99 of each round: alone, and beside those that hang."""
    options = {"KANCA_EGRESS_ALLOW": "127.0.0.1"}
    async with opened(urls[0]) as alone, opened(urls[1]) as beside:
        for site in (alone, beside):
            await subscribe(site, sink, "well", HEALTHY, one_each=True)
        await subscribe(beside, hole, "hangs", HANGING, one_each=True)
        with workers(urls[0], directory, 1, **options), workers(urls[1], directory, 1, **options):
            for site in (alone, beside):
                await site.has_workers(1)
                await _stream(site)  # to warm up
            found = []
            for _ in range(ROUNDS):
                first = await _stream(alone)
                for number in range(HANGING):
                    await _publish(beside, [f"hangs.{number}"] * BACKLOG)
                found.append((first, await _stream(beside)))
            return found


async def _stream(site: Site) -> tuple[float, float]:
    """One event for each healthy receiver, evenly spread; gives p50 and p99 in milliseconds."""
    began_at = time.monotonic()
    ids: list[UUID] = []
    for number in range(HEALTHY):
        await asyncio.sleep(max(0.0, began_at + number / PER_SECOND - time.monotonic()))
        ids += await _publish(site, [f"well.{number}"])
    await site.until(partial(_have_ended, event_ids=ids))
    times = sorted(await site.database.read(_times, ids))
    return times[len(times) // 2], times[len(times) * 99 // 100]


async def _publish(site: Site, types: list[str]) -> list[UUID]:
    batch = [new_event(PUBLISHED, event_type, {"amount": 1}) for event_type in types]
    await site.database.accepting.append(batch)
    site.wake()
    return [event.id for event in batch]


def _have_ended(connection: Connection, event_ids: list[UUID]) -> bool:
    return len(_times(connection, event_ids)) == len(event_ids)


def _times(connection: Connection, event_ids: list[UUID]) -> list[float]:
    """Milliseconds from the event to the end of its attempt."""
    query = (
        select(events.c.received_at, deliveries.c.finished_at)
        .join_from(deliveries, events, events.c.id == deliveries.c.event_id)
        .where(deliveries.c.event_id.in_(event_ids))
    )
    return [(row.finished_at - row.received_at).total_seconds() * 1000 for row in connection.execute(query)]


@contextmanager
def _hanging() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.hanging_server", str(port)], cwd=ROOT)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
