"""What PostgreSQL has to bear: rows, bytes and WAL per million events; ten million dedupe keys; a snapshot held open.

Straight through the store and the queue, without HTTP: what is measured is the database. Sides are interleaved in one
run, so that ratios hold on a noisy machine. The snapshot is held for as long as ``--seconds`` says, times ten.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import asyncpg

from bench.charges import new_charge
from bench.cpu import cpu_seconds
from bench.report import report
from kanca.domain.event import NewEvent
from kanca.domain.ids import IdFactory
from kanca.domain.status import OutcomeStatus
from kanca.domain.task import Completion, Done, Outcome, Records, Task
from kanca.queue.claiming import Claimer
from kanca.storage.dialects import open_database
from kanca.storage.ports import Capabilities, Database
from tests.servers.postgres import PostgresServer

EVENTS = 100_000
BATCH = 200
KEYS = 10_000_000
KEYS_AT_ONCE = 1_000_000
ROUNDS = 7
ROUND = 10_000
LEASE = timedelta(seconds=60)
WINDOW = timedelta(days=7)
SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "30min"}
SETTLE = "VACUUM ANALYZE"
_SIZES = """
SELECT coalesce(p.relname, c.relname), sum(pg_total_relation_size(c.oid))::bigint
FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
WHERE c.relnamespace = 'kanca'::regnamespace AND c.relkind = 'r' GROUP BY 1
"""
_FILL = f"""
INSERT INTO kanca.dedupe SELECT gen_random_uuid(), gen_random_uuid(), now() + interval '7 days'
FROM generate_series(1, {KEYS_AT_ONCE})
"""  # noqa: S608 - a constant

ids = IdFactory()


@dataclass(slots=True)
class Side:
    """A database, and a worker of it."""

    name: str
    database: Database
    claimer: Claimer
    worker: int
    claims_ms: list[float] = field(default_factory=list)

    @classmethod
    async def open(cls, server: PostgresServer, name: str) -> Side:
        """A fresh one."""
        database = await open_database(server.create_database(name))
        await database.migrate()
        await database.prepare_storage()
        worker = await database.queue.register("bench", os.getpid(), None, BATCH, LEASE)
        return cls(name, database, Claimer(database.queue, worker, BATCH, Capabilities({})), worker)

    async def accept(self, count: int) -> None:
        """Accept so many events."""
        for _ in range(0, count, BATCH):
            await self.database.accepting.append([_event() for _ in range(BATCH)])

    async def work(self) -> int:
        """Claim, and finish what was claimed; gives how much."""
        begun = time.perf_counter()
        tasks = await self.claimer.claim()
        self.claims_ms.append((time.perf_counter() - begun) * 1_000)
        await self.database.queue.finish(self.worker, [_done(task) for task in tasks])
        for task in tasks:
            self.claimer.release(task)
        return len(tasks)

    async def work_off(self, count: int) -> None:
        """Do the work of so many events."""
        while count > 0:
            await self.database.queue.heartbeat(self.worker, LEASE, 0)
            count -= await self.work()


def main(seconds: float) -> None:
    """Measure and print."""
    with PostgresServer(fsync=True, settings=SETTINGS) as server:
        asyncio.run(_growth(server))
        asyncio.run(_keys(server))
        asyncio.run(_snapshot(server, seconds * 10))


async def _growth(server: PostgresServer) -> None:
    side = await Side.open(server, "growth")
    rows: list[list[object]] = []
    result: dict[str, float] = {}
    for name, do in (("accepting", side.accept), ("working", side.work_off)):
        sizes, wal = _sizes(server, side.name), _wal(server)
        cpu = cpu_seconds(server.pid)
        await do(EVENTS)
        cpu = cpu_seconds(server.pid) - cpu
        wal = _wal(server) - wal
        server.execute(SETTLE, side.name)
        grown = {
            table: size - sizes.get(table, 0)
            for table, size in _sizes(server, side.name).items()
            if size - sizes.get(table, 0) > EVENTS
        }
        for label, value, unit in [
            ("WAL", wal / EVENTS, "bytes"),
            ("CPU", cpu / EVENTS * 1e6, "µs"),
            *((table, size / EVENTS, "bytes") for table, size in sorted(grown.items())),
        ]:
            rows.append([f"{name}: {label}", value, unit])
            result[f"{name}_{label.lower()}"] = round(value, 1)
    await side.database.close()
    report("capacity: growth per event", result, ["", "per event", ""], rows)


async def _keys(server: PostgresServer) -> None:
    """Accepting beside ten million keys, against accepting beside none."""
    few, many = await Side.open(server, "few"), await Side.open(server, "many")
    for _ in range(KEYS // KEYS_AT_ONCE):
        server.execute(_FILL, many.name)
    server.execute(SETTLE, many.name)
    server.execute("CHECKPOINT")
    took: list[tuple[float, float]] = []
    wal: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        pair = [await _timed(server, partial(side.accept, ROUND)) for side in (few, many)]
        took.append((pair[0][0], pair[1][0]))
        wal.append((pair[0][1], pair[1][1]))
    for side in (few, many):
        await side.database.close()
    result = {
        "per_second_few": ROUND / statistics.median(a for a, _ in took),
        "per_second_many": ROUND / statistics.median(b for _, b in took),
        "ratio": statistics.median(a / b for a, b in took),
        "wal_few": statistics.median(a for a, _ in wal) / ROUND,
        "wal_many": statistics.median(b for _, b in wal) / ROUND,
    }
    columns = ["keys", "none/s", "ten million/s", "ratio", "WAL bytes, none", "WAL bytes, ten million"]
    report(
        "capacity: dedupe keys",
        {k: round(v, 3) for k, v in result.items()},
        columns,
        [["", *result.values()]],
    )


async def _snapshot(server: PostgresServer, seconds: float) -> None:
    """Claims while a snapshot is held open, against claims of a database where none is. Both have the same work."""
    plain, held = await Side.open(server, "plain"), await Side.open(server, "held")
    reader = await asyncpg.connect(host=str(server.directory), user="postgres", database=held.name)
    await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    await reader.fetchval("SELECT count(*) FROM kanca.tasks")
    begun, done = time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        for side in (plain, held):
            await side.accept(10 * BATCH)
            await side.work_off(10 * BATCH)
        done += 10 * BATCH
    dead = int(
        server.execute("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'tasks'", held.name)
    )
    await reader.close()
    rows: list[list[object]] = []
    result: dict[str, float] = {"seconds": seconds, "events": done, "dead_rows": dead}
    for label, part in (("first tenth", _first), ("last tenth", _last)):
        values = [statistics.median(part(side.claims_ms)) for side in (plain, held)]
        rows.append([label, *values, values[1] / values[0]])
        result |= {f"{label.replace(' ', '_')}_ratio": round(values[1] / values[0], 2)}
    for side in (plain, held):
        await side.database.close()
    columns = [f"{done:,} events in {seconds:.0f} s", "claim ms", "with a snapshot held", "ratio"]
    report("capacity: a snapshot held open", result, columns, rows)


def _first(values: Sequence[float]) -> Sequence[float]:
    return values[: max(len(values) // 10, 1)]


def _last(values: Sequence[float]) -> Sequence[float]:
    return values[-max(len(values) // 10, 1) :]


async def _timed(server: PostgresServer, do: Callable[[], Awaitable[None]]) -> tuple[float, int]:
    """How long it took, and how much WAL was written."""
    wal, begun = _wal(server), time.perf_counter()
    await do()
    return time.perf_counter() - begun, _wal(server) - wal


def _wal(server: PostgresServer) -> int:
    return int(server.execute("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"))


def _sizes(server: PostgresServer, database: str) -> dict[str, int]:
    lines = server.execute(_SIZES, database).splitlines()
    return {name: int(size) for name, size in (line.split("|") for line in lines)}


def _event() -> NewEvent:
    now = datetime.now(UTC)
    return new_charge(ids.new(), 100, now, now + WINDOW)


def _done(task: Task) -> Completion:
    return Completion(
        task, Done(), Records(outcomes=(Outcome(task.ref, "handler:x", OutcomeStatus.SUCCEEDED),))
    )
