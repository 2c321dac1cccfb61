"""Gateways and workers keep themselves in the list of instances."""

from __future__ import annotations

import os
import socket
from datetime import timedelta

from kanca import __version__
from kanca.app.presence import (
    GATEWAY_BEAT,
    WORKER_BEAT,
    WORKER_LOOK,
    GatewayPresence,
    WorkerPresence,
    describe,
)
from kanca.domain.ids import IdFactory
from kanca.settings import Settings
from kanca.storage import instances
from kanca.storage.instances import InstanceState
from kanca.storage.ports import Database
from kanca.storage.revisions import newest_revision
from tests.databases import ClockOffset

SETTINGS = Settings(database_url="postgresql://me@there/kanca", database_connections=20)


async def test_a_gateway_says_what_it_is_and_signs_off(database: Database) -> None:
    ids = IdFactory()
    ids.correction_s = -0.25
    presence = GatewayPresence(database, describe(SETTINGS, ids), "http://here:8000")
    assert await presence.run_once() == GATEWAY_BEAT
    (found,) = await database.read(instances.running)
    assert (found.hostname, found.pid, found.address) == (
        socket.gethostname(),
        os.getpid(),
        "http://here:8000",
    )
    assert (found.version, found.revision) == (__version__, newest_revision())
    assert (found.connections, found.clock_ahead_ms) == (20, 250)
    presence.stopping()
    await presence.run_once()
    (again,) = await database.read(instances.running)
    assert (again.id, again.state) == (found.id, InstanceState.STOPPING)
    await presence.leave()
    assert await database.read(instances.running) == ()


async def test_a_gateway_that_was_taken_for_dead_and_forgotten_comes_back(
    database: Database, clock_offset: ClockOffset
) -> None:
    describing = describe(SETTINGS, IdFactory())
    one, other = GatewayPresence(database, describing), GatewayPresence(database, describing)
    await one.run_once()
    await clock_offset(2 * instances.KEPT_DEAD.total_seconds())
    await other.run_once()
    assert len(await database.read(instances.running)) == 1
    await one.run_once()
    assert [each.is_alive for each in await database.read(instances.running)] == [True, True]


async def test_a_worker_says_what_it_is_whenever_its_number_or_state_is_another(database: Database) -> None:
    numbers: list[int | None] = [None]
    stopping = [False]
    presence = WorkerPresence(
        database, describe(SETTINGS, IdFactory()), lambda: numbers[-1], lambda: stopping[-1]
    )
    assert await presence.run_once() == WORKER_LOOK
    for _ in range(2):
        numbers.append(await database.queue.register("here", 1, None, 10, timedelta(minutes=1)))
        await presence.run_once()
    assert [each.version for each in await database.read(instances.running)] == [__version__] * 2
    stopping.append(True)
    await presence.run_once()
    states = [each.state for each in await database.read(instances.running)]
    assert states == [InstanceState.RUNNING, InstanceState.STOPPING]


async def test_a_worker_says_how_its_clock_is_every_so_often(database: Database) -> None:
    number = await database.queue.register("here", 1, None, 10, timedelta(minutes=10))
    ids = IdFactory()
    presence = WorkerPresence(database, describe(SETTINGS, ids), lambda: number, lambda: False)
    await presence.run_once()
    ids.correction_s = 3.0
    for _ in range(WORKER_BEAT // WORKER_LOOK):
        await presence.run_once()
    (found,) = await database.read(instances.running)
    assert found.clock_ahead_ms == -3000
