"""Measuring what all machines share, for whoever asks for metrics: no more often than is worth its price."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

from prometheus_client.metrics_core import Metric

from kanca.domain.status import UNFINISHED_RUNS
from kanca.domain.subscription import SubscriptionStatus
from kanca.domain.task import TaskKind, TaskState
from kanca.errors import KancaError
from kanca.storage import measuring
from kanca.storage.measuring import StorageReadings, WorkReadings
from kanca.storage.ports import Database
from kanca.telemetry import shared
from kanca.telemetry.shared import Readings

WORK_EVERY = timedelta(seconds=5)
STORAGE_EVERY = timedelta(minutes=1)
BUSY_SHARE = 20
"""Measuring takes at most one part in so many of the time: counting a million tasks takes a fifth of a second."""
PATIENCE = timedelta(seconds=3)
"""How long the database may take to answer before it counts as away."""


class Measurer:
    """Measures when asked, and remembers for a while."""

    def __init__(
        self,
        database: Database,
        queue_max_tasks: int,
        backlog: Callable[[], int] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``backlog``: how many inbound tasks are due, where somebody knows; else the database is asked."""
        self.patience = PATIENCE
        self._database = database
        self._queue_max_tasks = queue_max_tasks
        self._backlog = backlog
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._readings = Readings()
        self._storage: StorageReadings | None = None
        self._work_at = self._storage_at = float("-inf")

    async def families(self) -> list[Metric]:
        """The shared metrics. Without those of the database while it is away."""
        async with self._lock:
            if self._monotonic() >= self._work_at:
                self._readings = await self._measure()
            return self._readings.families()

    async def _measure(self) -> Readings:
        begun = self._monotonic()
        found = Readings()
        try:
            async with asyncio.timeout(self.patience.total_seconds()):
                note_work(found, await self._database.read(measuring.work))
                found.put(shared.QUEUE_SIZE, await self._queue_size())
                age = await self._database.oldest_snapshot_age()
                found.put(shared.SNAPSHOT_AGE, age.total_seconds() if age else 0)
                if begun >= self._storage_at:
                    self._storage = await self._database.measure()
                    self._storage_at = self._next(begun, STORAGE_EVERY)
        except (KancaError, TimeoutError):
            found = Readings()
        found.put(shared.DATABASE_UP, 1 if found.values else 0)
        found.put(shared.QUEUE_MAX, self._queue_max_tasks)
        if self._storage is not None:
            note_storage(found, self._storage)
        self._work_at = self._next(begun, WORK_EVERY)
        return found

    def _next(self, begun: float, every: timedelta) -> float:
        now = self._monotonic()
        return now + max(every.total_seconds(), BUSY_SHARE * (now - begun))

    async def _queue_size(self) -> int:
        if self._backlog is not None:
            return self._backlog()
        return await self._database.queue.backlog(self._queue_max_tasks)


def note_work(found: Readings, work: WorkReadings) -> None:
    """Note what there is to do. What is not there is 0, so that a graph of it does not break off."""
    oldest = dict.fromkeys(TaskKind, 0.0)
    for kind in TaskKind:
        for state in TaskState:
            found.put(shared.TASKS, 0, name_of(kind), name_of(state))
    for each in work.tasks:
        found.put(shared.TASKS, each.count, name_of(each.kind), name_of(each.state))
        if each.waiting_since is not None:
            age_s = (work.now - each.waiting_since).total_seconds()
            oldest[each.kind] = max(oldest[each.kind], age_s)
    for kind, age_s in oldest.items():
        found.put(shared.OLDEST_TASK, age_s, name_of(kind))
        found.put(shared.DEAD_LETTERS, work.dead_letters.get(kind, 0), name_of(kind))
    found.put(shared.DLQ_SIZE, sum(work.dead_letters.values()))
    found.put_each(shared.RUNS, work.runs, UNFINISHED_RUNS)
    found.put(shared.WAITS, work.waits)
    found.put_each(shared.SUBSCRIPTIONS, work.subscriptions, SubscriptionStatus)
    found.put(shared.WORKERS, work.workers)


def note_storage(found: Readings, storage: StorageReadings) -> None:
    """Note what the database says of itself."""
    found.put_each(shared.TABLE_BYTES, storage.table_bytes)
    found.put(shared.DATABASE_BYTES, storage.total_bytes)
    found.put(shared.DEDUPE_KEYS, storage.dedupe_keys)
    found.put(shared.FREE_BYTES, storage.free_bytes)
    found.put(shared.CONNECTIONS, storage.connections)
    found.put(shared.CONNECTIONS_MAX, storage.connections_max)


def name_of(member: TaskKind | TaskState) -> str:
    """What a kind or state of tasks is called in metrics and logs."""
    return member.name.lower()
