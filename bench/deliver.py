"""Deliveries per second to a sink on this machine, signed and with every attempt stored, by one worker process.

The events are in the database beforehand and are let go at once: fan-out, claims, requests and records are all in. The
denominator is the same HTTP client in a bare loop, with as many requests at once, measured between the rounds. And how
long one event to 10,000 subscriptions takes, from its dispatch to the last delivery that is stored.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, func, select

from bench.cpu import cpu_seconds
from bench.ingest import databases
from bench.report import Report
from bench.servers import ROOT, SECRET_KEY, bare, workers
from bench.site import Site, opened
from kanca.domain.endpoint import Secret
from kanca.domain.published import PUBLISHED
from kanca.domain.subscription import Subscription, SubscriptionConfig
from kanca.storage import subscriptions
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import deliveries

ROUNDS = 3
SUBSCRIPTIONS = 50
AT_ONCE = 100
"""Bare requests at once."""
PER_SECOND = 1_500
WARM_UP = 500
WIDE = 10_000
COLUMNS = ("", "deliveries/s", "requests/s", "ratio", "worker µs", "database µs", "10,000 subscriptions s")


def main(seconds: float) -> None:
    """Measure and print."""
    report = Report("deliver", COLUMNS)
    with tempfile.TemporaryDirectory(prefix="kanca-bench-") as name:
        directory = Path(name)
        with databases(directory) as stores, bare(directory) as sink:
            for label, (url, database_pid) in stores.items():
                report.add(label, asyncio.run(_measure(url, database_pid, sink.url, directory, seconds)))
    report.show()


async def _measure(
    url: str, database_pid: int, sink: str, directory: Path, seconds: float
) -> dict[str, float]:
    """Interleaved rounds of both; medians."""
    size = max(int(PER_SECOND * seconds / ROUNDS), WARM_UP)
    async with opened(url) as site:
        await subscribe(site, sink, "order", SUBSCRIPTIONS, one_each=True)
        await subscribe(site, sink, "wide", WIDE, one_each=False)
        lots = {
            f"lot-{number}": await _put(site, f"lot-{number}", size if number else WARM_UP)
            for number in range(ROUNDS + 1)
        }
        [wide] = await site.put("wide", PUBLISHED, [{"order": 1}], "wide.one")
        options = {"KANCA_EGRESS_ALLOW": "127.0.0.1", "KANCA_WORKER_POLL_SECONDS": "0.05"}
        rates, bares, worker_us, database_us = [], [], [], []
        with workers(url, directory, 1, **options) as pid:
            await site.has_workers(1)
            for number, (lot, event_ids) in enumerate(lots.items()):
                before, of_database = cpu_seconds(pid), cpu_seconds(database_pid) if database_pid else 0.0
                began_at = await site.let_go(lot)
                ended_at = await site.until(partial(_have_ended, event_ids=event_ids))
                if number:
                    rates.append(len(event_ids) / (ended_at - began_at))
                    worker_us.append((cpu_seconds(pid) - before) / len(event_ids) * 1e6)
                    spent = cpu_seconds(database_pid) - of_database if database_pid else 0.0
                    database_us.append(spent / len(event_ids) * 1e6)
                    bares.append(_bare_requests(sink, size))
            began_at = await site.let_go("wide")
            ended_at = await site.until(partial(_has_all, event_id=wide))
    return {
        "per_second": statistics.median(rates),
        "requests_per_second": statistics.median(bares),
        "ratio": statistics.median(rate / plain for rate, plain in zip(rates, bares, strict=True)),
        "worker_us": statistics.median(worker_us),
        "database_us": statistics.median(database_us),
        "wide_seconds": ended_at - began_at,
    }


async def subscribe(site: Site, sink: str, kind: str, count: int, *, one_each: bool) -> None:
    """Add subscriptions: each wants a type of its own, or all want the same one."""
    now, box = datetime.now(UTC), SecretBox([SECRET_KEY])

    def add(connection: Connection) -> None:
        for number in range(count):
            name = f"{kind}-{number}"
            subscription = Subscription(
                number=0,
                id=name,
                tenant="default",
                name=name,
                url=f"{sink}/{name}",
                events=(f"{kind}.{number}" if one_each else f"{kind}.one",),
                sources=(),
                config=SubscriptionConfig(),
                secrets=(Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),),
                is_active=True,
                is_verified=True,
                disabled_reason=None,
                disabled_at=None,
                created_at=now,
                updated_at=now,
            )
            subscriptions.create(connection, box, subscription)

    await site.database.write(add)


async def _put(site: Site, lot: str, size: int) -> list[UUID]:
    """Events of all types in turn."""
    events = [(f"order.{n % SUBSCRIPTIONS}", {"order": n, "amount": 100 + n}) for n in range(size)]
    return await site.put_each(lot, PUBLISHED, events)


def _have_ended(connection: Connection, event_ids: list[UUID]) -> bool:
    query = select(func.count()).where(deliveries.c.event_id.between(min(event_ids), max(event_ids)))
    return (connection.scalar(query) or 0) >= len(event_ids)


def _has_all(connection: Connection, event_id: UUID) -> bool:
    query = select(func.count()).where(deliveries.c.event_id == event_id)
    return (connection.scalar(query) or 0) >= WIDE


def _bare_requests(sink: str, requests: int) -> float:
    """Requests per second of a bare client."""
    command = [sys.executable, "-m", "bench.bare_client", f"{sink}/", str(requests), str(AT_ONCE)]
    path = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(
        command, cwd=ROOT, env=path, stdout=subprocess.PIPE, text=True, check=True, timeout=120
    )
    return float(done.stdout)
