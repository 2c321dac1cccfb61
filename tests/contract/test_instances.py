"""Gateways and workers are listed with what they say of themselves, for as long as they give signs of life."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from kanca.storage import instances, workers
from kanca.storage.instances import Description, InstanceKind, InstanceState
from kanca.storage.ports import Database
from tests.databases import ClockOffset

LEASE = timedelta(seconds=15)
SAID = Description("1.2.3", "0008_instances", InstanceState.RUNNING, 14, -250)


async def test_a_gateway_is_listed_until_it_signs_off(database: Database) -> None:
    start = await database.now()
    number = await database.write(instances.enter_gateway, "here", 7, "http://here:8000", LEASE, SAID)
    (gateway,) = await database.read(instances.running)
    assert (gateway.kind, gateway.id, gateway.hostname, gateway.pid) == (
        InstanceKind.GATEWAY,
        number,
        "here",
        7,
    )
    assert (gateway.address, gateway.version, gateway.revision) == (
        "http://here:8000",
        "1.2.3",
        SAID.revision,
    )
    assert (gateway.connections, gateway.clock_ahead_ms, gateway.state) == (14, -250, InstanceState.RUNNING)
    assert gateway.is_alive
    assert start <= gateway.started_at
    assert gateway.expires_at - gateway.started_at == LEASE
    await database.write(instances.leave_gateway, number)
    assert await database.read(instances.running) == ()


async def test_a_gateway_lives_as_long_as_it_gives_signs(
    database: Database, clock_offset: ClockOffset
) -> None:
    number = await database.write(instances.enter_gateway, "here", 7, None, LEASE, SAID)
    await clock_offset(10)
    stopping = replace(SAID, state=InstanceState.STOPPING)
    assert await database.write(instances.extend_gateway, number, LEASE, stopping)
    await clock_offset(20)
    (gateway,) = await database.read(instances.running)
    assert (gateway.is_alive, gateway.state) == (True, InstanceState.STOPPING)
    await clock_offset(26)
    (gateway,) = await database.read(instances.running)
    assert not gateway.is_alive


async def test_a_gateway_that_died_is_listed_for_a_while_and_then_forgotten(
    database: Database, clock_offset: ClockOffset
) -> None:
    dead = await database.write(instances.enter_gateway, "here", 7, None, LEASE, SAID)
    await clock_offset(60)
    await database.write(instances.enter_gateway, "here", 8, None, LEASE, SAID)
    assert [(each.pid, each.is_alive) for each in await database.read(instances.running)] == [
        (7, False),
        (8, True),
    ]
    await clock_offset(60 + instances.KEPT_DEAD.total_seconds())
    await database.write(instances.enter_gateway, "here", 9, None, LEASE, SAID)
    assert [each.pid for each in await database.read(instances.running)] == [8, 9]
    assert not await database.write(instances.extend_gateway, dead, LEASE, SAID)


async def test_a_worker_of_a_version_that_says_nothing_of_itself_is_listed_all_the_same(
    database: Database,
) -> None:
    number = await database.queue.register("there", 8, "shop:hooks", 10, LEASE)
    (worker,) = await database.read(instances.running)
    assert (worker.kind, worker.id, worker.app, worker.concurrency) == (
        InstanceKind.WORKER,
        number,
        "shop:hooks",
        10,
    )
    assert (worker.version, worker.connections, worker.state) == (None, None, InstanceState.RUNNING)


async def test_what_a_worker_says_of_itself_does_not_extend_its_lease(database: Database) -> None:
    number = await database.queue.register("there", 8, "shop:hooks", 10, LEASE)
    (before,) = await database.read(instances.running)
    assert await database.write(instances.describe_worker, number, SAID)
    (after,) = await database.read(instances.running)
    assert after == replace(
        before, version="1.2.3", revision=SAID.revision, connections=14, clock_ahead_ms=-250
    )
    await database.queue.leave(number)
    assert not await database.write(instances.describe_worker, number, SAID)


async def test_gateways_take_no_lanes_of_workers(database: Database) -> None:

    await database.write(instances.enter_gateway, "here", 7, None, LEASE, SAID)
    assert await database.read(workers.living) == []
