"""Runs that wait, branch and loop come to what they would have come to, whatever was killed meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import pytest
from sqlalchemy import Connection, func, select

from kanca.domain.ids import CALL, show_id
from kanca.storage.dialects import open_database
from kanca.storage.tables import early_events, events, run_slots, runs, steps, tasks, waits
from tests.acceptance.crash_workflows import ITEMS, child, expected, parent, requests
from tests.acceptance.killing import Kill, kill_all, kill_one, restart
from tests.acceptance.processes import LIMIT_S, Client, KancaProcess, eventually
from tests.acceptance.recorder import Recorder, recording
from tests.servers.postgres import PostgresServer

SENDERS = 12
AGAIN_S = 0.1
EFFECTS = 8
"""Requests that one run makes."""
PUBLISHED = 0
ENVIRON = {"KANCA_PUBLIC_URL": "https://hooks.example.com", "KANCA_EGRESS_ALLOW": "127.0.0.1"}
LATEST_DELAY_S = 2.0

Endpoint = tuple[str, str]


class Shop:
    """Sends what starts and resumes runs, until it is taken."""

    def __init__(self, server: KancaProcess, start: Endpoint, paid: Endpoint, seed: int) -> None:
        self._server = server
        self._start, self._paid = start, paid
        self._chance = random.Random(seed)
        timeout = aiohttp.ClientTimeout(total=20)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        self._late: dict[str, str] = {}
        """Orders that are paid for once their run has asked the recorder for this."""

    async def order(self, order: str) -> None:
        """Start a run; its payment comes before it, right after it, or later."""
        when = self._chance.choice(("before", "after", "reserve", "label"))
        if when in ("reserve", "label"):
            self._late[order] = when
        if when == "before":
            await self._pay(order)
        items = [f"i{number}" for number in range(ITEMS)]
        delay = self._chance.uniform(0, LATEST_DELAY_S)
        data = {"order": order, "items": items, "delay": delay}
        await self._send(self._start, f"start-{order}", data)
        if when == "after":
            await self._pay(order)

    async def hear(self, what: str, body: dict[str, Any]) -> None:
        """Answer what the workflow asks, and pay what is paid for now."""
        if what == "ask":
            await self._post(urlsplit(body["approve_url"]).path, {}, {})
        elif self._late.get(body["order"]) == what:
            del self._late[body["order"]]
            await self._pay(body["order"])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def _pay(self, order: str) -> None:
        await self._send(self._paid, f"paid-{order}", {"order": order, "amount": int(order[1:])})

    async def _send(self, endpoint: Endpoint, event_id: str, data: dict[str, Any]) -> None:
        path, token = endpoint
        body = {"event_type": "crash.event", "event_id": event_id, "data": data}
        await self._post(path, body, {"Authorization": f"Bearer {token}"})

    async def _post(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> None:
        """Send until it is answered 2xx, as senders do."""
        while True:
            try:
                async with self._session.post(
                    self._server.url + path, json=body, headers=headers
                ) as response:
                    await response.read()
                    if response.status == 200:
                        return
                    assert response.status >= 500 or response.status == 429, response.status
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(AGAIN_S)


async def _prepare(server: KancaProcess, receiver: str, seed: int) -> Shop:
    async with Client(server) as client:
        for definition in (child(receiver), parent(receiver)):
            await client.ask("POST", "/api/workflows", definition)
            await client.ask("POST", f"/api/workflows/{definition['id']}/publish")
        made = []
        for node in ("start", "paid"):
            config = {"rate_limit_per_minute": 0}
            url, token = await client.endpoint(workflow_id="crash", node_id=node, config=config)
            made.append((urlsplit(url).path, token))
    return Shop(server, made[0], made[1], seed)


async def _kill_again_and_again(
    recorder: Recorder, ways: list[Kill], kills: int, gap: int, seed: int
) -> None:
    """After every so many requests, more or less, kill something."""
    chance = random.Random(seed)
    for number in range(kills):
        goal = recorder.count + chance.randint(gap // 2, gap * 3 // 2)

        async def is_reached(goal: int = goal) -> bool:
            return recorder.count >= goal

        await eventually(is_reached, f"there are {goal} requests")
        await asyncio.to_thread(ways[number % len(ways)])


async def _all_end(server: KancaProcess, limit_s: float) -> None:
    """Wait for the end of all work. What lost its workers three times by chance is given back, as people would."""
    async with Client(server) as client:

        async def is_over() -> bool:
            try:
                letters = await client.ask("GET", "/admin/dlq?limit=100")
                assert {each["code"] for each in letters["items"]} <= {"worker_lost"}, letters
                if letters["items"]:
                    await client.ask("POST", "/admin/dlq/retry", {})
                return await client.nothing_is_pending()
            except aiohttp.ClientError:
                return False  # the gateway was killed last

        await eventually(is_over, "all work has ended", limit_s)


async def _say_what_is_left(url: str, error: AssertionError) -> None:
    """Note at the error what is unfinished."""
    database = await open_database(url)

    def look(connection: Connection) -> list[Any]:
        unfinished = select(runs).where(runs.c.status.in_(("pending", "running", "waiting")))
        queries = [
            select(tasks),
            unfinished,
            select(waits).where(waits.c.status == "open"),
            select(early_events),
        ]
        return [row._asdict() for query in queries for row in connection.execute(query)]

    try:
        for row in (await database.read(look))[:60]:
            error.add_note(str(row))
    finally:
        await database.close()


async def _results_are_right(server: KancaProcess, orders: set[str]) -> None:
    outputs: dict[str, list[Any]] = {}
    async with Client(server) as client:
        cursor: str | None = ""
        while cursor is not None:
            more = f"&cursor={cursor}" if cursor else ""
            page = await client.ask("GET", f"/api/runs?workflow_id=crash&limit=100{more}")
            for run in page["items"]:
                assert run["status"] == "succeeded", run
                outputs.setdefault(run["output"]["order"], []).append(run["output"])
            cursor = page["next_cursor"]
    assert outputs == {order: [expected(order)] for order in orders}


def _each_effect_has_one_name(recorder: Recorder, orders: set[str]) -> None:
    wanted = set().union(*(requests(order) for order in orders))
    assert recorder.keys.keys() == wanted
    several = {name: keys for name, keys in recorder.keys.items() if len(set(keys)) > 1}
    assert not several, "a repeated request changed its key"


async def _what_is_stored_is_whole(url: str, recorder: Recorder, orders: set[str]) -> None:
    """Look into the database: one step of each name, one event of each run, nothing left over."""
    database = await open_database(url)

    def look(connection: Connection) -> dict[str, Any]:
        def count(table: Any) -> int:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

        names = select(steps.c.run_id, steps.c.node_id, steps.c.iteration)
        published = select(events.c.source_event_id).where(events.c.endpoint == PUBLISHED)
        return {
            "left": {table.name: count(table) for table in (tasks, early_events, run_slots)},
            "open": connection.execute(select(waits).where(waits.c.status == "open")).all(),
            "statuses": {row[0] for row in connection.execute(select(runs.c.status)).all()},
            "steps": Counter(tuple(row) for row in connection.execute(names).all()),
            "ids": {row[0] for row in connection.execute(select(steps.c.id)).all()},
            "published": Counter(row[0] for row in connection.execute(published).all()),
        }

    try:
        found = await database.read(look)
    finally:
        await database.close()
    assert found["left"] == {"tasks": 0, "early_events": 0, "run_slots": 0}
    assert (found["open"], found["statuses"]) == ([], {"succeeded"})
    assert set(found["steps"].values()) == {1}, "a step is there twice"
    assert found["published"] == dict.fromkeys(orders, 1)
    keys = {key for keys in recorder.keys.values() for key in keys}
    assert keys <= {show_id(CALL, step_id) for step_id in found["ids"]}, "a request belongs to no step"


async def _runs_survive(server: KancaProcess, count: int, kills: int, seed: int, more: list[Kill]) -> None:
    limit_s = LIMIT_S + count
    orders = {f"o{number}" for number in range(count)}
    waiting = sorted(orders)
    all_of_it = kill_all(server)
    async with recording(seed) as recorder, await _prepare(server, recorder.url, seed) as shop:
        recorder.listener = shop.hear

        async def sender() -> None:
            while waiting:
                await shop.order(waiting.pop())

        ways = [*more, all_of_it]
        gap = count * EFFECTS // (kills + 1)
        killing = _kill_again_and_again(recorder, ways, kills, gap * 2 // 3, seed)
        await asyncio.gather(killing, *(sender() for _ in range(SENDERS)))
        try:
            await _all_end(server, limit_s)
        except AssertionError as error:
            await _say_what_is_left(server.database_url, error)
            raise
        await recorder.end()
        await _results_are_right(server, orders)
        _each_effect_has_one_name(recorder, orders)
        before = recorder.count

        all_of_it()
        orders.add(f"o{count}")
        await shop.order(f"o{count}")
        await _all_end(server, limit_s)
        await recorder.end()
        await _results_are_right(server, orders)
        asked_since = sum(len(keys) for name, keys in recorder.keys.items() if name[1] == f"o{count}")
        assert recorder.count == before + asked_since, "what had ended was begun again"
        handled = {source for _, kind, source in server.calls() if kind == "crash.done"}
        assert handled == orders
        server.kill()
        await _what_is_stored_is_whole(server.database_url, recorder, orders)


SIZES = pytest.mark.parametrize(
    ("count", "kills"),
    [(60, 6), pytest.param(500, 40, marks=pytest.mark.torture)],
    ids=["short", "long"],
)


@SIZES
async def test_runs_survive_the_killing_of_sqlite_processes(tmp_path: Path, count: int, kills: int) -> None:
    url = f"sqlite:///{tmp_path}/kanca.db"
    with KancaProcess(url, tmp_path, app="tests.acceptance.crashing_app:hooks", environ=ENVIRON) as server:
        chance = random.Random(kills)
        ways = [kill_one(server, "worker", chance), kill_one(server, "gateway", chance)]
        await _runs_survive(server, count, kills, seed=kills, more=ways)


@SIZES
async def test_runs_survive_the_killing_of_processes_and_of_postgresql_itself(
    tmp_path: Path, count: int, kills: int
) -> None:
    with PostgresServer(fsync=True) as postgres:
        options = ("--gateways", "2", "--workers", "2")
        url = postgres.create_database("crash")
        app = "tests.acceptance.crashing_app:hooks"
        with KancaProcess(url, tmp_path, *options, app=app, environ=ENVIRON) as server:
            chance = random.Random(kills)
            ways = [
                kill_one(server, "worker", chance),
                kill_one(server, "gateway", chance),
                restart(postgres),
            ]
            await _runs_survive(server, count, kills, seed=kills, more=ways)
