"""What an arrival costs as the number of parked runs grows: it finds its run by a key, and the run goes on to its end.

Databases with few and with many parked runs are loaded in turns; the events that arrive are in the database beforehand
and are let go at once. Beside it what the queue's own looks cost there, with as many parked tasks in its table: a claim
that finds nothing, one that finds a task, and the look of who makes tasks ready that are due.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from uuid import UUID

from bench import parked
from bench.cpu import cpu_seconds
from bench.report import Report
from bench.servers import workers
from bench.site import Site, ids, opened
from kanca.domain.task import Completion, Done, NewTask, TaskKind
from kanca.queue.claiming import Claimer
from kanca.storage.ports import Capabilities
from tests.servers.postgres import PostgresServer

SIZES = (1_000, 10_000, 100_000)
ROUNDS = 3
PER_SECOND = 100
"""How many arrivals are prepared for each second of load: at most the smallest size in all rounds."""
LOOKS = 100
SLOTS = 10
POLL_S = "0.25"
LEASE = timedelta(minutes=10)
COLUMNS = (
    "",
    "arrivals/s",
    "µs CPU/arrival",
    "empty claim ms",
    "claim ms",
    "promoter's look ms",
)


@dataclass(frozen=True, slots=True)
class Lot:
    """Events that arrive together."""

    name: str
    event_ids: Sequence[UUID]
    started_by: Sequence[UUID]
    """The events that started the runs that they resume."""


@dataclass(frozen=True, slots=True)
class Place:
    """A database with parked runs."""

    site: Site
    lots: Sequence[Lot]
    """One for each round; the first to warm up."""
    looks: dict[str, float]


def main(seconds: float) -> None:
    """Measure and print."""
    report = Report("waits", COLUMNS)
    with tempfile.TemporaryDirectory(prefix="kanca-bench-") as name:
        directory = Path(name)
        for label, found in (
            ("PostgreSQL", asyncio.run(_on_postgres(directory, seconds))),
            ("SQLite", asyncio.run(_on_sqlite(directory, seconds))),
        ):
            for size, row in found.items():
                report.add(f"{label}, {size:,} parked", row, f"{label}_{size}")
            least, most = found[SIZES[0]], found[SIZES[-1]]
            ratios = {f"{name}_ratio": most[name] / least[name] for name in least}
            report.add(f"{label}, most to least", ratios, label)
    report.show()


async def _on_postgres(directory: Path, seconds: float) -> dict[int, dict[str, float]]:
    settings = {"shared_buffers": "1GB", "max_wal_size": "8GB"}
    with PostgresServer(fsync=True, settings=settings) as server:
        places = {size: (server.create_database(f"parked_{size}"), server.pid) for size in SIZES}

        def settle() -> None:
            # As autovacuum would, at a moment of its own: what it costs would be counted as that of arrivals.
            for size in SIZES:
                server.execute("VACUUM ANALYZE", f"parked_{size}")
            server.execute("CHECKPOINT")

        return await _measure(places, directory, seconds, settle)


async def _on_sqlite(directory: Path, seconds: float) -> dict[int, dict[str, float]]:
    places = {size: (f"sqlite:///{directory / f'parked-{size}.db'}", 0) for size in SIZES}
    return await _measure(places, directory, seconds, lambda: None)


async def _measure(
    urls: dict[int, tuple[str, int]], directory: Path, seconds: float, settle: Callable[[], object]
) -> dict[int, dict[str, float]]:
    """Interleaved rounds of all sizes; medians."""
    arrivals = min(int(PER_SECOND * seconds), SIZES[0] // (ROUNDS + 1))
    paces: dict[int, list[tuple[float, float]]] = {size: [] for size in urls}
    async with AsyncExitStack() as stack:
        places: dict[int, Place] = {}
        for size, (url, _) in urls.items():
            site = await stack.enter_async_context(opened(url))
            places[size] = await _fill(site, url, directory, size, arrivals)
        settle()
        pids: dict[int, tuple[int, ...]] = {}
        for size, (url, database_pid) in urls.items():
            pid = stack.enter_context(workers(url, directory, 1, KANCA_WORKER_POLL_SECONDS=POLL_S))
            pids[size] = (pid, *([database_pid] if database_pid else []))
            await places[size].site.has_workers(1)
        for number in range(ROUNDS + 1):
            for size, place in places.items():
                pace = await _arrive(place.site, place.lots[number], pids[size])
                if number:
                    paces[size].append(pace)
    return {size: _row(paces[size], places[size].looks) for size in urls}


def _row(paces: Sequence[tuple[float, float]], looks: dict[str, float]) -> dict[str, float]:
    rate, cpu_us = (statistics.median(values) for values in zip(*paces, strict=True))
    return {"arrivals_per_second": rate, "cpu_us": cpu_us, **looks}


async def _fill(site: Site, url: str, directory: Path, size: int, arrivals: int) -> Place:
    """Have so many runs wait, and put in what resumes some of them."""
    await site.add_workflow(parked.definition())
    start = await site.add_endpoint(parked.WORKFLOW, parked.START)
    paid = await site.add_endpoint(parked.WORKFLOW, parked.WAIT)
    await site.put("stencil", start, [{"order": parked.ORDER}])
    with workers(url, directory, 1):
        await site.has_workers(1)
        await site.let_go("stencil")
        await site.until(parked.is_parked)
    started_by = await parked.multiply(site, size)
    looks = await _looks(site)
    chosen = iter(random.sample(range(size), arrivals * (ROUNDS + 1)))
    lots = []
    for number in range(ROUNDS + 1):
        part = list(islice(chosen, arrivals))
        name = f"paid-{number}"
        event_ids = await site.put(name, paid, [{"order": parked.order(n), "amount": n} for n in part])
        lots.append(Lot(name, event_ids, [started_by[n] for n in part]))
    return Place(site, lots, looks)


async def _arrive(site: Site, lot: Lot, pids: Sequence[int]) -> tuple[float, float]:
    """Arrivals per second, and the CPU microseconds of worker and database for each."""
    before = cpu_seconds(*pids)
    await site.let_go(lot.name)
    ended_at = await site.ended(lot.started_by)
    spent = cpu_seconds(*pids) - before
    count = len(lot.event_ids)
    return count / (ended_at - await site.begun_at(lot.event_ids)), spent / count * 1e6


async def _looks(site: Site) -> dict[str, float]:
    """What the queue's own looks take, in ms: medians."""
    queue = site.database.queue
    worker = await queue.register("bench", 1, None, SLOTS, LEASE)
    claimer = Claimer(queue, worker, SLOTS, Capabilities({}))
    empty, full, look = [], [], []
    for _ in range(LOOKS):
        empty.append(await _timed(claimer.claim()))
        await queue.enqueue([NewTask(TaskKind.DISPATCH, ids.new(), 1)])
        begun = time.perf_counter()
        (task,) = await claimer.claim()
        full.append((time.perf_counter() - begun) * 1000)
        await queue.finish(worker, [Completion(task, Done())])
        claimer.release(task)
        look.append(await _timed(queue.promote(SLOTS)))
    await queue.leave(worker)
    names = ("empty_claim_ms", "claim_ms", "look_ms")
    return {name: statistics.median(found) for name, found in zip(names, (empty, full, look), strict=True)}


async def _timed(asked: Awaitable[object]) -> float:
    begun = time.perf_counter()
    await asked
    return (time.perf_counter() - begun) * 1000
