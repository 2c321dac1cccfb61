"""Every delivery ends as its receiver deserves, and no receiver misses one, whatever was killed meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from kanca.domain.ids import EVENT, show_id
from kanca.domain.status import DeliveryStatus
from kanca.domain.task import TaskKind
from kanca.storage.dialects import open_database
from kanca.storage.tables import dead_letters, deliveries, subscriptions, tasks
from tests.acceptance.delivery_ways import FEW, MANY, Way, ways
from tests.acceptance.killing import Kill, kill_again_and_again, kill_all, kill_one, restart
from tests.acceptance.processes import LIMIT_S, Client, KancaProcess, eventually
from tests.acceptance.publishing import all_end, publish_all
from tests.acceptance.receiver import Receiver, receiving
from tests.servers.postgres import PostgresServer

ENVIRON = {"KANCA_EGRESS_ALLOW": "127.0.0.1", "KANCA_DELIVERY_CONCURRENCY": "200"}
FEW_EVENTS = 2
MADE_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is of everything."""

    many: int
    """Events for the five receivers of many."""
    copies: int
    """Receivers of each kind that gets few."""
    kills: int
    limit_s: float
    """For the end of all work, once all is killed that is."""


SIZES = pytest.mark.parametrize(
    "size",
    [
        pytest.param(Size(many=200, copies=5, kills=5, limit_s=LIMIT_S), id="short"),
        pytest.param(
            Size(many=3_000, copies=320, kills=30, limit_s=10 * LIMIT_S), marks=pytest.mark.torture, id="long"
        ),
    ],
)


class Site:
    """A server, the receivers that subscribed to its events, and who publishes them."""

    def __init__(self, server: KancaProcess, receiver: Receiver, size: Size) -> None:
        self.server = server
        self.receiver = receiver
        self.size = size
        self.ways: dict[str, Way] = {}
        """By the subscription's id."""
        self.published: dict[str, set[str]] = defaultdict(set)
        """Ids of events, by type."""

    async def subscribe(self) -> None:
        """Make the subscriptions."""
        for name, way in ways(self.receiver).items():
            copies = 1 if way.event_type == MANY else self.size.copies
            self.ways |= {f"{name}-{number}": way for number in range(copies)}
        names = list(self.ways)
        async with Client(self.server) as client:

            async def make() -> None:
                while names:
                    await self._subscribe(client, names.pop())

            await asyncio.gather(*(make() for _ in range(MADE_AT_ONCE)))

    async def publish(self) -> None:
        """Publish all events, each once whatever happens."""
        types = [MANY] * self.size.many
        for number in range(FEW_EVENTS):
            types.insert(self.size.many * number // FEW_EVENTS, FEW)
        asked = [
            {"event_type": kind, "event_id": f"e{number}", "payload": {"number": number}}
            for number, kind in enumerate(types)
        ]
        for kind, event in await publish_all(self.server, asked):
            self.published[kind].add(event)

    def deliveries(self) -> set[tuple[str, str]]:
        """What there is to deliver: events and subscriptions."""
        return {(event, name) for name, way in self.ways.items() for event in self.published[way.event_type]}

    def requests(self) -> int:
        """How many requests come at least."""
        counts = {MANY: self.size.many, FEW: FEW_EVENTS}
        return sum(
            counts[way.event_type] * way.requests for way in self.ways.values() if way.reason != "gone"
        )

    async def _subscribe(self, client: Client, name: str) -> None:
        way = self.ways[name]
        asked = {
            "id": name,
            "url": f"{self.receiver.url}/{name}",
            "events": [way.event_type],
            "timeout": way.timeout_s,
            "retry_config": {"schedule": list(way.schedule)},
        }
        made = await client.ask("POST", "/webhooks/subscriptions", asked)
        self.receiver.add(name, made["secret"], way.behaviour)


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database has in the end."""

    deliveries: dict[tuple[str, str], Any]
    letters: Counter[tuple[str, str]]
    open: list[Any]
    disabled: dict[str, str]


async def _stored(url: str) -> Stored:
    database = await open_database(url)

    def look(connection: Connection) -> Stored:
        ids = {row.number: row.id for row in connection.execute(select(subscriptions)).all()}

        def key(event: Any, number: int) -> tuple[str, str]:
            return show_id(EVENT, event), ids[number]

        rows = connection.execute(select(deliveries)).all()
        letters = connection.execute(select(dead_letters.c.ref, dead_letters.c.target)).all()
        named = select(subscriptions.c.id, subscriptions.c.disabled_reason)
        return Stored(
            {key(row.event_id, row.subscription): row for row in rows},
            Counter(key(row.ref, row.target) for row in letters),
            [row._asdict() for row in connection.execute(select(tasks)).all()],
            {row.id: row.disabled_reason for row in connection.execute(named).all() if row.disabled_reason},
        )

    try:
        return await database.read(look)
    finally:
        await database.close()


def _all_ended_as_deserved(site: Site, stored: Stored) -> None:
    wrong = []
    for (event, name), row in stored.deliveries.items():
        way = site.ways[name]
        is_right = (row.status, row.reason) == (way.status, way.reason)
        if way.reason == "gone":
            is_right |= (row.status, row.reason) == (DeliveryStatus.SKIPPED, "subscription_disabled")
        elif way.attempts is not None:
            is_right &= row.attempts == way.attempts
        if not is_right:
            wrong.append((event, name, row.status, row.reason, row.attempts, site.receiver.log[name][event]))
    assert not wrong, f"{len(wrong)} ended otherwise: {wrong[:10]}"


def _who_is_gone_is_left_alone(site: Site, stored: Stored) -> None:
    gone = {name for name, way in site.ways.items() if way.reason == "gone"}
    assert stored.disabled == dict.fromkeys(gone, "gone")
    for name in gone:
        # It is asked once; again only by the next worker where one was killed before it could write this down.
        assert 1 <= sum(site.receiver.log[name].values()) <= 1 + 2 * site.size.kills


def _the_log_is_complete(site: Site) -> None:
    assert not site.receiver.faults, site.receiver.faults[:10]
    for name, way in site.ways.items():
        if way.reason == "gone":
            continue
        seen = site.receiver.log[name]
        assert seen.keys() == site.published[way.event_type], name
        assert min(seen.values()) >= way.requests, (name, seen)


async def _the_api_says_the_same(site: Site) -> None:
    async with Client(site.server) as client:
        for name, way in site.ways.items():
            if not name.endswith("-0") or way.event_type == MANY:
                continue
            page = await client.ask("GET", f"/api/deliveries?subscription_id={name}")
            assert [item["status"] for item in page["items"]] == [way.status] * FEW_EVENTS
            for item in page["items"]:
                found = await client.ask("GET", f"/api/deliveries/{item['id']}")
                attempts = found["attempts"]
                assert len(attempts) == found["attempt_count"], found


async def _deliveries_survive(
    server: KancaProcess, size: Size, more: Callable[[random.Random], list[Kill]]
) -> None:
    chance = random.Random(size.kills)
    async with receiving() as receiver:
        site = Site(server, receiver, size)
        await site.subscribe()
        kinds = [*more(chance), kill_all(server)]
        killing = kill_again_and_again(kinds, size.kills, lambda: receiver.count, site.requests(), chance)
        try:
            await asyncio.gather(killing, site.publish())
            await all_end(server, size.limit_s, code="worker_lost")
        except AssertionError as error:
            for task in (await _stored(server.database_url)).open[:60]:
                error.add_note(str(task))
            raise
        await _the_api_says_the_same(site)
        server.kill()
        stored = await _stored(server.database_url)
        assert not [task for task in stored.open if task["kind"] == TaskKind.DELIVER]
        assert stored.deliveries.keys() == site.deliveries()
        _all_ended_as_deserved(site, stored)
        dead = {key for key, row in stored.deliveries.items() if row.status == DeliveryStatus.DEAD}
        assert stored.letters == dict.fromkeys(dead, 1)
        _who_is_gone_is_left_alone(site, stored)
        _the_log_is_complete(site)

        async def are_closed() -> bool:
            return not receiver.unfinished

        await eventually(are_closed, "no connection is left to a receiver that never ends")


@SIZES
async def test_deliveries_survive_the_killing_of_sqlite_processes(tmp_path: Path, size: Size) -> None:
    url = f"sqlite:///{tmp_path}/kanca.db"
    with KancaProcess(url, tmp_path, "--workers", "2", app=None, environ=ENVIRON) as server:
        await _deliveries_survive(
            server,
            size,
            lambda chance: [kill_one(server, kind, chance) for kind in ("worker", "worker", "gateway")],
        )


@SIZES
async def test_deliveries_survive_the_killing_of_processes_and_of_postgresql_itself(
    tmp_path: Path, size: Size
) -> None:
    with PostgresServer(fsync=True) as postgres:
        url = postgres.create_database("crash")
        options = ("--gateways", "1", "--workers", "2")
        with KancaProcess(url, tmp_path, *options, app=None, environ=ENVIRON) as server:
            await _deliveries_survive(
                server,
                size,
                lambda chance: [
                    kill_one(server, "worker", chance),
                    restart(postgres),
                    kill_one(server, "worker", chance),
                    kill_one(server, "gateway", chance),
                ],
            )
