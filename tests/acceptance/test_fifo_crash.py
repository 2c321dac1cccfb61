"""Deliveries with one key come one after the other, in the order of their events, whatever fails or is killed."""

from __future__ import annotations

import asyncio
import json
import random
import select
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.killing import kill_again_and_again, kill_one
from tests.acceptance.processes import LIMIT_S, Client, KancaProcess
from tests.acceptance.publishing import all_end, publish_all
from tests.acceptance.receiver import Answer, Receiver, Request, receiving
from tests.servers.postgres import PostgresServer

ENVIRON = {"KANCA_EGRESS_ALLOW": "127.0.0.1", "KANCA_WORKER_LEASE_SECONDS": "5"}
EVENT_TYPE = "fifo.test"
KEYED = 5
"""Subscriptions with a key, besides the one that gets all in one order."""
TAKES_S = (0.0, 0.01)

Key = tuple[str, str]
"""A subscription and what it orders by."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is of everything."""

    events: int
    keys: int
    kills: int
    limit_s: float


SIZES = pytest.mark.parametrize(
    "size",
    [
        pytest.param(Size(events=120, keys=12, kills=4, limit_s=LIMIT_S), id="short"),
        pytest.param(
            Size(events=2_000, keys=40, kills=20, limit_s=10 * LIMIT_S), marks=pytest.mark.torture, id="long"
        ),
    ],
)


class Watch:
    """What the receiver sees of each key."""

    def __init__(self, receiver: Receiver) -> None:
        receiver.on_request, receiver.on_answer = self._begun, self._answered
        self._in_flight: dict[Key, set[asyncio.Transport]] = defaultdict(set)
        self.overlaps: list[tuple[Key, str]] = []
        self.first_seen: dict[Key, dict[str, None]] = defaultdict(dict)
        self.succeeded: dict[Key, dict[str, None]] = defaultdict(dict)

    def _begun(self, request: Request, transport: asyncio.Transport) -> None:
        key = _key(request)
        if any(_is_alive(other) for other in self._in_flight[key]):
            self.overlaps.append((key, request.webhook_id))
        self._in_flight[key].add(transport)
        self.first_seen[key].setdefault(request.webhook_id)

    def _answered(self, request: Request, transport: asyncio.Transport, answer: Answer) -> None:
        key = _key(request)
        self._in_flight[key].discard(transport)
        if answer.status == 200:
            self.succeeded[key].setdefault(request.webhook_id)


def _key(request: Request) -> Key:
    return request.name, "" if request.name == "whole" else json.loads(request.body)["data"]["key"]


def _is_alive(transport: asyncio.Transport) -> bool:
    """Whether the other side is there: a killed worker's end may wait to be read behind the request of the next."""
    if transport.is_closing():
        return False
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
    return not poll.poll(0)


def _fails_once(webhook_id: str) -> bool:
    return int(webhook_id[-4:], 16) % 12 == 0


def _is_refused_once(webhook_id: str) -> bool:
    """It is dead then, and comes again when its dead letter is retried: all others go by."""
    return int(webhook_id[-4:], 16) % 12 == 1


def _behaviour(chance: random.Random, request: Request) -> Answer:
    status = 200
    if request.number == 1 and _fails_once(request.webhook_id):
        status = 500
    elif request.number == 1 and _is_refused_once(request.webhook_id):
        status = 422
    return Answer(status, after_s=chance.uniform(*TAKES_S))


async def _subscribe(server: KancaProcess, receiver: Receiver, chance: random.Random) -> list[str]:
    names = ["whole", *(f"keyed-{number}" for number in range(KEYED))]
    async with Client(server) as client:
        for name in names:
            asked = {
                "id": name,
                "url": f"{receiver.url}/{name}",
                "events": [EVENT_TYPE],
                "fifo": True,
                "fifo_key": None if name == "whole" else "event.data.key",
                "timeout": 5,
                "retry_config": {"schedule": [0.2] * 20},
            }
            made = await client.ask("POST", "/webhooks/subscriptions", asked)
            receiver.add(name, made["secret"], lambda request: _behaviour(chance, request))
    return names


async def _order_is_kept(server: KancaProcess, size: Size) -> None:
    chance = random.Random(size.kills)
    keys = [f"k{chance.randrange(size.keys)}" for _ in range(size.events)]
    asked = [
        {"event_type": EVENT_TYPE, "event_id": f"e{number}", "payload": {"key": key}}
        for number, key in enumerate(keys)
    ]
    async with receiving() as receiver:
        names = await _subscribe(server, receiver, chance)
        watch = Watch(receiver)

        async def publish() -> list[str]:
            published = [event for _, event in await publish_all(server, asked)]
            await all_end(
                server, size.limit_s
            )  # which has those that were refused come again, between the others
            return published

        total = size.events * len(names)
        kill = kill_one(server, "worker", chance)
        killing = kill_again_and_again([kill], size.kills, lambda: receiver.count, total, chance)
        published, _ = await asyncio.gather(publish(), killing)
        await all_end(server, size.limit_s)
        assert published == sorted(published)
        assert not receiver.faults, receiver.faults[:10]
        assert not watch.overlaps, f"{len(watch.overlaps)} in flight beside another: {watch.overlaps[:10]}"
        for name in names:
            of_key: dict[Key, list[str]] = defaultdict(list)
            for event, key in zip(published, keys, strict=True):
                of_key[name, "" if name == "whole" else key].append(event)
            for each, wanted in of_key.items():
                assert list(watch.first_seen[each]) == wanted, each
                assert watch.succeeded[each].keys() == set(wanted), each
                in_turn = [event for event in watch.succeeded[each] if not _is_refused_once(event)]
                assert in_turn == [event for event in wanted if not _is_refused_once(event)], each


@SIZES
async def test_the_order_of_events_outlives_workers_on_sqlite(tmp_path: Path, size: Size) -> None:
    url = f"sqlite:///{tmp_path}/kanca.db"
    with KancaProcess(url, tmp_path, "--workers", "3", app=None, environ=ENVIRON) as server:
        await _order_is_kept(server, size)


@SIZES
async def test_the_order_of_events_outlives_workers_on_postgresql(
    tmp_path: Path, size: Size, postgres: PostgresServer
) -> None:
    name = f"kanca_fifo_{size.kills}"
    url = postgres.create_database(name)
    with KancaProcess(url, tmp_path, "--workers", "3", app=None, environ=ENVIRON) as server:
        await _order_is_kept(server, size)
    postgres.drop_database(name)
