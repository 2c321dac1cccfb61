from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from kanca.errors import DatabaseUnavailable
from kanca.queue.lease import BEATS, Lease, WorkerIdentity
from kanca.storage import instances
from kanca.storage.dialects import open_database
from kanca.storage.instances import Description, InstanceState
from kanca.storage.ports import Database
from kanca.storage.tables import workers
from tests.queueing import LEASE, claim, dispatch, register, rows

SAID = Description("1.2.3", "0010", InstanceState.RUNNING, connections=14, clock_ahead_ms=-250)
IDENTITY = WorkerIdentity("host", 42, "shop.hooks:hooks", 10, lambda: SAID)
SHORT = timedelta(milliseconds=900)


@pytest.fixture
def opener(database_url: str) -> Callable[[], Awaitable[Database]]:
    return lambda: open_database(database_url, connections=1)


def worker_of(lease: Lease) -> int | None:
    return lease.worker


def never() -> None:
    raise AssertionError("the lease was lost")


async def test_a_worker_is_entered_with_what_it_says_of_itself(
    database: Database, opener: Callable[[], Awaitable[Database]]
) -> None:
    lease = Lease(opener, IDENTITY, LEASE, never)
    number = await lease.register()
    (row,) = await rows(database, workers)
    assert (row.id, row.hostname, row.pid, row.app, row.concurrency) == (
        number,
        "host",
        42,
        "shop.hooks:hooks",
        10,
    )
    assert worker_of(lease) == number
    (listed,) = await database.read(instances.running)
    assert (listed.version, listed.revision, listed.state) == (SAID.version, SAID.revision, SAID.state)
    assert (listed.connections, listed.clock_ahead_ms) == (SAID.connections, SAID.clock_ahead_ms)
    await lease.close()
    assert worker_of(lease) is None
    assert await rows(database, workers) == []


async def test_what_is_still_held_at_the_end_is_ready_for_others(
    database: Database, opener: Callable[[], Awaitable[Database]]
) -> None:
    lease = Lease(opener, IDENTITY, LEASE, never)
    await database.queue.enqueue([dispatch()])
    await claim(database.queue, await lease.register())
    await lease.close()
    (task,) = await claim(database.queue, await register(database.queue))
    assert task.crashes == 0


async def test_a_handler_that_keeps_the_process_busy_does_not_cost_the_lease(
    database: Database, opener: Callable[[], Awaitable[Database]]
) -> None:
    lease = Lease(opener, IDENTITY, SHORT, never, active=lambda: 3)
    number = await lease.register()
    until = time.monotonic() + 1.5 * SHORT.total_seconds()
    while time.monotonic() < until:
        sum(range(10_000))
    await database.queue.rescue(await register(database.queue), 3)
    assert {row.id: row.active for row in await rows(database, workers)}[number] == 3
    await lease.close()


async def test_a_lost_lease_is_told_in_the_loop_of_the_worker_which_may_register_anew(
    database: Database, opener: Callable[[], Awaitable[Database]]
) -> None:
    lost = asyncio.Event()
    told_in: list[threading.Thread] = []

    def tell() -> None:
        told_in.append(threading.current_thread())
        lost.set()

    lease = Lease(opener, IDENTITY, timedelta(milliseconds=300), tell)
    first = await lease.register()
    await database.queue.leave(first)
    async with asyncio.timeout(10):
        await lost.wait()
    assert told_in == [threading.current_thread()]
    assert worker_of(lease) is None
    second = await lease.register()
    assert second > first
    assert worker_of(lease) == second
    await lease.close()


class Away:
    """A database that registers a worker and then does not answer any more."""

    def __init__(self) -> None:
        self.queue = self
        self.beats = 0

    async def register(self, *_: object) -> int:
        return 7

    async def heartbeat(self, *_: object) -> bool:
        self.beats += 1
        if self.beats % 2:
            raise DatabaseUnavailable
        return bool(await asyncio.Event().wait())

    async def leave(self, worker: int) -> int:
        await asyncio.Event().wait()
        return worker

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_database_that_is_away_longer_than_the_lease_costs_it() -> None:
    away, lost = Away(), asyncio.Event()

    async def open_away() -> Database:
        return away  # type: ignore[return-value]  # just enough of a database

    lease = Lease(open_away, IDENTITY, timedelta(milliseconds=300), lost.set)
    assert await lease.register() == 7
    async with asyncio.timeout(10):
        await lost.wait()
    assert 1 < away.beats <= 2 * BEATS
    # Nothing to give back, so closing does not ask; and it would not wait for ever.
    await lease.close(timedelta(seconds=1))


class Slow(Away):
    """A database that takes longer to register a worker than the lease lasts."""

    def __init__(self, *, is_alive: bool) -> None:
        super().__init__()
        self.is_alive = is_alive
        self.beaten = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def register(self, *_: object) -> int:
        await asyncio.to_thread(threading.Event().wait, 0.2)
        return 7

    async def heartbeat(self, *_: object) -> bool:
        self.beats += 1
        if self.beats > BEATS:
            self._loop.call_soon_threadsafe(self.beaten.set)
        return self.is_alive

    async def leave(self, worker: int) -> int:
        return worker


async def test_a_lease_that_is_over_when_it_is_had_is_told_to_be_lost() -> None:
    slow, lost = Slow(is_alive=False), asyncio.Event()

    async def open_slow() -> Database:
        return slow  # type: ignore[return-value]  # just enough of a database

    lease = Lease(open_slow, IDENTITY, timedelta(milliseconds=50), lost.set)
    assert await lease.register() == 7
    async with asyncio.timeout(10):
        await lost.wait()
    assert worker_of(lease) is None
    await lease.close()


async def test_a_slow_registration_does_not_cost_the_lease_while_nobody_took_the_tasks() -> None:
    slow = Slow(is_alive=True)

    async def open_slow() -> Database:
        return slow  # type: ignore[return-value]  # just enough of a database

    lease = Lease(open_slow, IDENTITY, timedelta(milliseconds=50), never)
    assert await lease.register() == 7
    async with asyncio.timeout(10):
        await slow.beaten.wait()
    assert worker_of(lease) == 7
    await lease.close()


class Odd(Away):
    """A database whose heartbeat fails as nobody expected."""

    async def heartbeat(self, *_: object) -> bool:
        raise LookupError("nobody expected this")


async def test_a_heart_does_not_stop_in_silence() -> None:
    lost = asyncio.Event()

    async def open_odd() -> Database:
        return Odd()  # type: ignore[return-value]  # just enough of a database

    lease = Lease(open_odd, IDENTITY, timedelta(milliseconds=300), lost.set)
    await lease.register()
    async with asyncio.timeout(10):
        await lost.wait()
    await lease.close(timedelta(seconds=1))


async def test_closing_does_not_wait_for_a_database_that_does_not_answer() -> None:
    async def open_away() -> Database:
        return Away()  # type: ignore[return-value]  # just enough of a database

    lease = Lease(open_away, IDENTITY, LEASE, never)
    await lease.register()
    async with asyncio.timeout(5):
        await lease.close(timedelta(milliseconds=50))
    assert not [thread for thread in threading.enumerate() if thread.name == "kanca-lease"]


async def test_without_a_database_there_is_no_lease() -> None:
    async def refuse() -> Database:
        raise DatabaseUnavailable

    lease = Lease(refuse, IDENTITY, LEASE, never)
    with pytest.raises(DatabaseUnavailable):
        await lease.register()
    await lease.close()


async def test_registering_does_not_wait_for_ever() -> None:
    async def hang() -> Database:
        await asyncio.Event().wait()
        raise AssertionError

    lease = Lease(hang, IDENTITY, LEASE, never)
    with pytest.raises(DatabaseUnavailable):
        await lease.register(timedelta(milliseconds=50))
    await lease.close()
