"""Every order that was committed has one event, and no other has any: whatever was killed, at whatever moment."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select

from kanca.outbound.outbox.install import install
from tests.acceptance.ordering import orders
from tests.acceptance.processes import LEASHED, ROOT, SOURCES, Client, KancaProcess, eventually
from tests.outbound.outbox.moving import look
from tests.outbound.outbox.places import Place
from tests.servers.mariadb import MariadbServer
from tests.servers.postgres import PostgresServer


class Ordering:
    """The application, started again and again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._runs = 0

    def run_until_killed(self, after: int, also: Callable[[], None]) -> None:
        """Start it, wait for so many transactions, do ``also`` while it goes on, and kill it amid the next ones."""
        self._runs += 1
        process = subprocess.Popen(
            [*LEASHED, sys.executable, "-m", "tests.acceptance.ordering", self._url, f"run{self._runs}"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": SOURCES},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            for _ in range(after):
                assert process.stdout.readline(), "the application ended by itself"
            also()
            for _ in range(after):
                assert process.stdout.readline(), "the application ended by itself"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
            process.stdin.close()


async def _crash(place: Place, url: str, server: KancaProcess, rounds: int, per_round: int) -> None:
    chance = random.Random(rounds)
    engine = create_engine(url)
    with engine.begin() as connection:
        orders.create(connection)
        install(connection)
    ordering = Ordering(url)

    def kill_worker() -> None:
        for pid in server.children("worker"):
            os.kill(pid, signal.SIGKILL)

    def restart_server() -> None:
        server.kill()
        server.start()

    for number in range(rounds):
        way = (kill_worker, restart_server)[number % 2]
        await asyncio.to_thread(ordering.run_until_killed, chance.randint(per_round // 3, per_round), way)

    await eventually(lambda: _is_empty(place), "the outbox is empty")
    with engine.connect() as connection:
        committed = set(connection.execute(select(orders.c.id)).scalars())
    engine.dispose()
    assert len(committed) > rounds * per_round // 3
    async with Client(server) as client:
        await eventually(client.nothing_is_pending, "all work has ended")
        events = await client.events(event_type="order.created")
    published = Counter(str(event["payload"]["data"]["id"]) for event in events)
    assert committed - published.keys() == set(), "a committed order has no event"
    assert published.keys() - committed == set(), "an order that was never committed has an event"
    assert set(published.values()) == {1}, "an order has several events"
    assert {event["status"] for event in events} == {"succeeded"}
    assert {order for _, _, order in server.calls()} == committed


async def _is_empty(place: Place) -> bool:
    return bool((await look(place))["waiting"] == 0)


often = pytest.mark.parametrize(
    ("rounds", "per_round"),
    [(3, 100), pytest.param(30, 600, marks=pytest.mark.torture)],
    ids=["short", "long"],
)


def _server(url: str, tmp_path: Path, *outboxes: str, workers: int = 1) -> KancaProcess:
    environ = {"KANCA_OUTBOX_URLS": ",".join(outboxes)}
    options = ("--workers", str(workers))
    return KancaProcess(url, tmp_path, *options, app="tests.acceptance.outbox_app:hooks", environ=environ)


@often
async def test_orders_and_their_events_commit_together_in_kancas_own_sqlite(
    tmp_path: Path, rounds: int, per_round: int
) -> None:
    url = f"sqlite:///{tmp_path}/kanca.db"
    with _server(url, tmp_path) as server:
        await _crash(Place("sqlite", url), url, server, rounds, per_round)


@often
async def test_orders_and_their_events_commit_together_in_kancas_own_postgresql(
    tmp_path: Path, postgres: PostgresServer, rounds: int, per_round: int
) -> None:
    url = postgres.create_database(f"outbox_crash_{rounds}")
    theirs = url.replace("postgresql://", "postgresql+psycopg://")
    with _server(url, tmp_path, workers=2) as server:
        await _crash(Place("postgresql", url), theirs, server, rounds, per_round)
    postgres.drop_database(f"outbox_crash_{rounds}")


@often
async def test_orders_in_a_mariadb_and_events_in_a_postgresql_commit_together(
    tmp_path: Path, postgres: PostgresServer, mariadb: MariadbServer, rounds: int, per_round: int
) -> None:
    own, name = postgres.create_database(f"outbox_far_{rounds}"), mariadb.create_database()
    theirs = mariadb.url(name)
    with _server(own, tmp_path, theirs, workers=2) as server:
        await _crash(Place("mariadb", theirs), theirs, server, rounds, per_round)
    postgres.drop_database(f"outbox_far_{rounds}")
    mariadb.drop_database(name)
