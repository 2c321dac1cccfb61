"""A worker's lease: the sign of life that lets it keep what it claimed.

The heart beats in a thread with an event loop and a connection of its own, so that a handler which keeps the process
busy does not cost the worker its lease. (Code that holds Python's lock for longer than a lease still does.)
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import structlog

from kanca.errors import DatabaseUnavailable, KancaError, Unavailable
from kanca.storage.instances import Description
from kanca.storage.ports import Database
from kanca.telemetry.metrics import LEASES_LOST

log = structlog.get_logger(__name__)

T = TypeVar("T")

BEATS = 3
"""Signs of life in the time of one lease: two may fail."""


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """What a worker says of itself."""

    hostname: str
    pid: int
    app: str | None
    concurrency: int
    describe: Callable[[], Description] | None = None
    """What it is at the moment, said as it is entered."""


class Lease:
    """Keeps a worker's lease, and says when it is lost.

    ``register`` gives the worker its number. ``on_lost`` means that whatever was claimed under that number belongs to
    others: cancel it, and ``register`` again. After ``close`` all that was still held is ready for others.
    """

    def __init__(
        self,
        open_database: Callable[[], Awaitable[Database]],
        identity: WorkerIdentity,
        lease: timedelta,
        on_lost: Callable[[], None],
        active: Callable[[], int] = lambda: 0,
    ) -> None:
        """``on_lost`` is called in the loop that registered. ``active`` says, in the thread, how much is in hand."""
        self._open_database = open_database
        self._identity = identity
        self._lease = lease
        self._pause_s = lease.total_seconds() / BEATS
        self._on_lost = on_lost
        self._active = active
        self.worker: int | None = None
        """The worker's number; None when it has none, or lost its lease."""
        self._home: asyncio.AbstractEventLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        # Only the thread uses these.
        self._database: Database | None = None
        self._beating: asyncio.Task[None] | None = None

    async def register(self, limit: timedelta = timedelta(seconds=30)) -> int:
        """Enter the worker (anew) and give its number. Raises DatabaseUnavailable, also after ``limit``."""
        self._home = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_run, args=(self._loop,), name="kanca-lease", daemon=True)
            self._thread.start()
        number, until = await self._in_thread(self._loop, self._register(), limit)
        self.worker = number
        # Only now: a lease that is over as soon as it has begun could not be said to be lost before it is had.
        self._loop.call_soon_threadsafe(self._start_beating, number, until)
        return number

    async def close(self, limit: timedelta = timedelta(seconds=5)) -> None:
        """Sign off and end the thread. When the database does not answer in time, the lease just runs out."""
        if self._loop is None or self._thread is None:
            return
        try:
            await self._in_thread(self._loop, self._leave(self.worker), limit)
        except KancaError as error:
            log.warning("lease_not_given_back", worker=self.worker, code=error.code)
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join, limit.total_seconds())
        self.worker = self._loop = self._thread = None

    async def _in_thread(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], limit: timedelta
    ) -> T:
        try:
            async with asyncio.timeout(limit.total_seconds()):
                return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))
        except TimeoutError as error:
            raise DatabaseUnavailable("The database does not answer") from error

    # In the heart's thread.

    async def _register(self) -> tuple[int, float]:
        """Give the worker's number, and until when its lease lasts at least."""
        self._stop_beating()
        if self._database is None:
            self._database = await self._open_database()
        begun = time.monotonic()
        who = self._identity
        said = None if who.describe is None else who.describe()
        number = await self._database.queue.register(
            who.hostname, who.pid, who.app, who.concurrency, self._lease, said
        )
        return number, begun + self._lease.total_seconds()

    def _start_beating(self, worker: int, until: float) -> None:
        if self._database is not None:
            self._beating = asyncio.get_running_loop().create_task(self._beat(self._database, worker, until))

    async def _leave(self, worker: int | None) -> None:
        self._stop_beating()
        if self._database is not None:
            database, self._database = self._database, None
            try:
                if worker is not None:
                    await database.queue.leave(worker)
            finally:
                await database.close()

    def _stop_beating(self) -> None:
        if self._beating is not None:
            self._beating.cancel()

    async def _beat(self, database: Database, worker: int, until: float) -> None:
        """Extend the lease again and again, until that fails for good: by then others may have the worker's tasks."""
        while True:
            # Late, for the database or this process was slow, the database is still asked whose the tasks are.
            await asyncio.sleep(max(0.0, min(self._pause_s, until - time.monotonic())))
            begun = time.monotonic()
            try:
                async with asyncio.timeout(self._pause_s):
                    is_alive = await database.queue.heartbeat(worker, self._lease, self._active())
            except Unavailable:  # the database says in the log that it is away
                if time.monotonic() >= until:
                    break
                continue
            except Exception as error:  # noqa: BLE001 - a heart that stopped in silence would leave a worker without work
                log.warning("heartbeat_failed", worker=worker, error=str(error) or type(error).__name__)
                if time.monotonic() >= until:
                    break
                continue
            if not is_alive:
                break
            until = begun + self._lease.total_seconds()
        log.warning("lease_lost", worker=worker)
        LEASES_LOST.inc()
        if self._home is not None and not self._home.is_closed():
            self._home.call_soon_threadsafe(self._lose, worker)

    def _lose(self, worker: int) -> None:
        if self.worker == worker:
            self.worker = None
            self._on_lost()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()
