"""How this instance and what it stands on are doing: looked at no more than once a second, whoever asks how often."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from kanca.api.services import Services
from kanca.errors import KancaError
from kanca.storage import dead_letters, workers
from kanca.storage.workers import Worker
from kanca.workflows.nodes import BUILT_IN_NAMES

FRESH = timedelta(seconds=1)
PATIENCE = timedelta(seconds=3)
"""How long the database may take to answer before it counts as away."""
WARNINGS_FRESH = timedelta(minutes=1)
QUEUE_WARNING_PERCENT = 90

Condition = Literal["healthy", "warning", "unhealthy"]
Redis = Literal["not_configured", "ok", "unavailable"]


@dataclass(frozen=True, slots=True)
class Report:
    """What was found."""

    looked_at: datetime
    is_database_up: bool
    queue_size: int
    queue_maxsize: int
    dead_letters: int
    workers: tuple[Worker, ...]
    """Those that are alive."""
    unserved_handlers: int
    unserved_workflows: int
    closed_for: str | None
    """Why no webhooks are accepted, as the code of the refusals."""
    redis: Redis
    database_warnings: tuple[str, ...]

    @property
    def can_accept(self) -> bool:
        """Whether webhooks are taken."""
        return self.is_database_up and self.closed_for is None

    @property
    def queue_usage_percent(self) -> float:
        """How full the queue is."""
        return round(100 * self.queue_size / self.queue_maxsize, 2)

    @property
    def warnings(self) -> list[str]:
        """Sentences about what is not as it should be. They name nothing: anybody may read them."""
        if not self.is_database_up:
            return ["The database cannot be reached: webhooks are refused, and their senders try again."]
        found = list(self.database_warnings)
        if self.redis == "unavailable":
            found.append("Redis cannot be reached: rate limits go by KANCA_RATE_LIMIT_FALLBACK.")
        if self.closed_for:
            found.append(f"No webhooks are accepted: {self.closed_for}.")
        elif self.queue_usage_percent >= QUEUE_WARNING_PERCENT:
            found.append(f"The queue is {self.queue_usage_percent:.0f} % full.")
        if not self.workers:
            found.append("No worker is running: what is accepted waits.")
        if self.unserved_handlers and self.workers:
            found.append(f"Handlers that no running worker has: {self.unserved_handlers}. Their events wait.")
        if self.unserved_workflows and self.workers:
            found.append(
                f"Workflows that no running worker can run: {self.unserved_workflows}. Their runs wait."
            )
        return found

    @property
    def condition(self) -> Condition:
        """All of it in a word."""
        if not self.can_accept:
            return "unhealthy"
        return "warning" if self.warnings else "healthy"


@dataclass(frozen=True, slots=True)
class _Counted:
    """What the tables say."""

    dead_letters: int = 0
    workers: tuple[Worker, ...] = ()
    unserved_handlers: int = 0
    unserved_workflows: int = 0


class HealthCheck:
    """Looks, and remembers for a second: health is public, and asking costs queries."""

    def __init__(self, services: Services) -> None:
        self.patience = PATIENCE
        self._services = services
        self._lock = asyncio.Lock()
        self._report: Report | None = None
        self._warned_at: datetime | None = None
        self._warnings: Sequence[str] = ()

    async def report(self) -> Report:
        """What was found within the last second."""
        async with self._lock:
            now = self._services.now()
            if self._report is None or not _is_within(FRESH, self._report.looked_at, now):
                self._report = await self._look(now)
            return self._report

    async def _look(self, now: datetime) -> Report:
        try:
            async with asyncio.timeout(self.patience.total_seconds()):
                counted = await self._services.database.read(_counted)
                size = await self._queue_size()
                await self._look_for_warnings(now)
        except (KancaError, TimeoutError):
            return self._result(now, _Counted(), 0, is_up=False)
        return self._result(now, counted, size, is_up=True)

    def _result(self, now: datetime, counted: _Counted, size: int, *, is_up: bool) -> Report:
        return Report(
            looked_at=now,
            is_database_up=is_up,
            queue_size=size,
            queue_maxsize=self._services.queue_max_tasks,
            dead_letters=counted.dead_letters,
            workers=tuple(worker for worker in counted.workers if worker.is_alive),
            unserved_handlers=counted.unserved_handlers,
            unserved_workflows=counted.unserved_workflows,
            closed_for=self._services.closed_for(),
            redis=self._redis(),
            database_warnings=tuple(self._warnings),
        )

    def _redis(self) -> Redis:
        is_available = self._services.is_redis_available
        if is_available is None:
            return "not_configured"
        return "ok" if is_available() else "unavailable"

    async def _queue_size(self) -> int:
        if self._services.backlog is not None:
            return self._services.backlog()
        return await self._services.database.queue.backlog(self._services.queue_max_tasks)

    async def _look_for_warnings(self, now: datetime) -> None:
        if self._warned_at is None or not _is_within(WARNINGS_FRESH, self._warned_at, now):
            self._warnings = await self._services.database.warnings()
            self._warned_at = now


def _is_within(time: timedelta, then: datetime, now: datetime) -> bool:
    """Whether it was not longer ago. What is in the future was seen before the clock was set back: who knows when."""
    return timedelta(0) <= now - then < time


def _counted(connection: Connection) -> _Counted:
    return _Counted(
        dead_letters.count(connection),
        workers.running(connection),
        len(workers.unserved_handlers(connection)),
        len(workers.unserved_workflows(connection, BUILT_IN_NAMES)),
    )
