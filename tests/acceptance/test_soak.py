"""Days of real traffic in minutes: nothing grows but what is kept, and what is kept has an end.

The database's clock is moved by a day again and again while senders send, handlers run and receivers receive (some of
them badly); partitions come and go, dedupe keys and dead letters end. Memory, open files and tables stay as they were.
``make soak`` runs it and prints a line a day.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from zlib import crc32

import aiohttp
import pytest

from tests.acceptance.load import Senders
from tests.acceptance.processes import ADMIN_KEY, Client, KancaProcess, eventually
from tests.acceptance.receiver import Answer, Behaviour, Misbehaviour, Request, receiving
from tests.acceptance.sampling import HEADINGS, Sample, grown, sample
from tests.servers.postgres import PostgresServer

DAYS = 10
DAY_S = 32.0
"""As long as it takes until gateways have measured the database's clock again."""
RETENTION_DAYS = 2
STEADY_FROM = 5
"""Days until as much goes as comes: retention, and what processes learn when they start."""
MAY_VARY = 1.5
MAY_GROW = 1.15
"""Times: what later days may take more than earlier ones."""
PATIENCE_S = 0.25

SETTINGS = {
    "autovacuum_naptime": "5s",
    "autovacuum_vacuum_threshold": "500",
    "autovacuum_vacuum_insert_threshold": "5000",
}
ENVIRON = {
    "KANCA_RETENTION_DAYS": str(RETENTION_DAYS),
    "KANCA_EGRESS_ALLOW": "127.0.0.1",
    "KANCA_WORKER_LEASE_SECONDS": "10",
}
BEHAVIOURS: dict[str, Behaviour] = {
    "well": lambda _: Answer(),
    "flaps": lambda request: Answer(500 if _is_one_in(4, request) else 200),
    "refuses": lambda _: Answer(422),
    "resets": lambda request: Misbehaviour.RESET if _is_one_in(8, request) else Answer(),
}


def _is_one_in(many: int, request: Request) -> bool:
    """Whether this is one of those that go wrong, which are so many but not in a row: a breaker would open."""
    return crc32(f"{request.webhook_id}{request.number}".encode()) % many == 0


async def _others(server: KancaProcess, is_over: asyncio.Event) -> None:
    """What people and bad senders do meanwhile."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with aiohttp.ClientSession(base_url=server.url, headers=headers) as session:
        while not is_over.is_set():
            for path in (
                "/api/events?limit=50",
                "/api/deliveries?limit=50",
                "/admin/dlq",
                "/metrics",
                "/health",
            ):
                async with session.get(path) as response:
                    await response.read()
            for body in ("no JSON", "{}"):
                async with session.post("/webhooks/receive", data=body) as response:
                    assert response.status in {400, 401}
            event = {"event_type": "soak.published", "payload": {"at": time.time()}}
            async with session.post("/events/trigger", json=event) as response:
                assert response.status == 202, await response.text()
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await is_over.wait()
            except TimeoutError:
                continue


def _move_clock(postgres: PostgresServer, days: int) -> None:
    postgres.execute(
        "CREATE OR REPLACE FUNCTION kanca.now() RETURNS timestamptz LANGUAGE sql STABLE"
        f" AS $$ SELECT clock_timestamp() + interval '{days} days' $$",
        "soak",
    )


def _stays_flat(samples: list[Sample]) -> None:
    steady = samples[STEADY_FROM:]
    before, after = steady[: len(steady) // 2], steady[len(steady) // 2 :]
    for kind in ("gateway", "worker"):
        assert grown([s.memory_mb[kind] for s in before], [s.memory_mb[kind] for s in after]) < MAY_GROW, kind
        # Some more or fewer, as connections to receivers come and go; a leak would add some each day.
        assert grown([s.files[kind] for s in before], [s.files[kind] for s in after]) < MAY_VARY, kind
    assert max(s.partitions for s in after) <= max(s.partitions for s in before)
    # The busier the machine, the fewer events: what is kept is to be in proportion to those that are kept.
    events = [
        sum(s.events for s in samples[n - RETENTION_DAYS : n + 1]) for n in range(STEADY_FROM, len(samples))
    ]
    for sizes in ([s.by_day_mb for s in steady], [sum(s.rest_mb.values()) for s in steady]):
        shares = [size / count for size, count in zip(sizes, events, strict=True)]
        assert grown(shares[: len(before)], shares[len(before) :]) < MAY_GROW


@pytest.mark.soak
async def test_days_of_traffic_leave_memory_files_and_tables_as_they_were(tmp_path: Path) -> None:
    with (
        PostgresServer(settings=SETTINGS) as postgres,
        KancaProcess(
            postgres.create_database("soak"), tmp_path, app="tests.acceptance.soak_app:hooks", environ=ENVIRON
        ) as server,
    ):
        samples: list[Sample] = []
        is_over = asyncio.Event()
        async with receiving() as receiver, Client(server) as client:
            for name, behaviour in BEHAVIOURS.items():
                asked = {
                    "id": name,
                    "url": f"{receiver.url}/{name}",
                    "events": ["soak.*"],
                    "retry_config": {"schedule": [0.2]},
                }
                made = await client.ask("POST", "/webhooks/subscriptions", asked)
                receiver.add(name, made["secret"], behaviour)
            others = asyncio.create_task(_others(server, is_over))
            sys.stdout.write(f"\n{HEADINGS}\n")
            async with Senders([server.url]) as senders:
                for day in range(DAYS):
                    _move_clock(postgres, day)
                    await asyncio.sleep(DAY_S)  # a day
                    took = [answer.took_s for answer in senders.answers if answer.is_well]
                    assert all(answer.status in {200, 503} for answer in senders.answers)
                    senders.answers.clear()
                    samples.append(sample(server, postgres, "soak", took))
                    sys.stdout.write(f"{day:>4} {samples[-1].line()}\n")
                    sys.stdout.flush()
            is_over.set()
            await others
            await eventually(client.nothing_is_pending, "all work has ended")
        _stays_flat(samples)
