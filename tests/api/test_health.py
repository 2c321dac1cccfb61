from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from kanca.api.app import create_api
from kanca.api.services import Services
from kanca.errors import DatabaseUnavailable
from kanca.storage import claimed_work
from kanca.storage.ports import Database
from tests.api.conftest import Clock, speaking_to
from tests.api.rows import accept, store
from tests.factories import a_dead_letter

LEASE = timedelta(seconds=30)


class Away:
    """A database that cannot be reached; ``hangs``: that does not even say so."""

    def __init__(self, *, hangs: bool = False) -> None:
        self._hangs = hangs

    async def read(self, *_args: Any, **_kwargs: Any) -> Any:
        if self._hangs:
            await asyncio.Event().wait()
        raise DatabaseUnavailable


class Warned:
    """A database, and what it warns of: that of the tests itself does without fsync."""

    def __init__(self, database: Database, *sentences: str) -> None:
        self.read = database.read
        self.queue = database.queue
        self._sentences = sentences

    async def warnings(self) -> list[str]:
        return list(self._sentences)


def with_warnings(services: Services, *sentences: str) -> Services:
    database: Any = Warned(services.database, *sentences)
    return replace(services, database=database)


async def get(app: FastAPI, path: str) -> httpx.Response:
    async with speaking_to(app) as client:
        return await client.get(path)


async def test_all_is_well_with_a_worker_at_work(services: Services) -> None:
    await services.database.queue.register("host", 1, None, 10, LEASE)
    app = create_api(with_warnings(services))

    whole = await get(app, "/health")
    processor = (await get(app, "/health/processor")).json()

    assert whole.status_code == 200
    assert whole.json()["warnings"] == []
    assert whole.json()["status"] == "healthy"
    assert whole.json()["components"] == {
        "database": "healthy",
        "redis": "not_configured",
        "queue": "healthy",
        "dlq_count": 0,
    }
    assert processor == {
        "status": "healthy",
        "stats": {"queue_size": 0, "queue_maxsize": 1_000_000, "num_workers": 10, "active_workers": 0},
        "queue_usage_percent": 0,
    }
    assert (await get(app, "/health/live")).json() == {"status": "ok"}
    assert (await get(app, "/health/ready")).json() == {"status": "ok"}


async def test_work_that_nobody_can_do_is_warned_of(services: Services, clock: Clock) -> None:
    database = services.database
    await database.write(claimed_work.announce_handlers, "shop:hooks", {"shop.order_created": "{}"})
    app = create_api(with_warnings(services))

    nobody = (await get(app, "/health")).json()
    await database.queue.register("host", 1, "other:hooks", 10, LEASE)
    clock.advance(seconds=2)
    somebody_else = (await get(app, "/health")).json()
    await database.queue.register("host", 2, "shop:hooks", 10, LEASE)
    clock.advance(seconds=2)
    all_there = (await get(app, "/health")).json()

    assert (nobody["status"], nobody["stats"]["workers"]) == ("warning", 0)
    assert "No worker is running" in nobody["warnings"][0]
    assert "no running worker has: 1" in somebody_else["warnings"][0]
    assert (all_there["status"], all_there["warnings"]) == ("healthy", [])
    assert (await get(app, "/health/processor")).json()["stats"]["num_workers"] == 20


async def test_redis_being_away_is_warned_of_and_refuses_nothing(services: Services, clock: Clock) -> None:
    await services.database.queue.register("host", 1, None, 10, LEASE)
    states = {"is_available": True}
    shared = replace(with_warnings(services), is_redis_available=lambda: states["is_available"])
    app = create_api(shared)

    there = await get(app, "/health")
    states["is_available"] = False
    clock.advance(seconds=2)
    away = await get(app, "/health")

    assert (there.status_code, there.json()["components"]["redis"]) == (200, "ok")
    assert there.json()["status"] == "healthy"
    assert (away.status_code, away.json()["components"]["redis"]) == (200, "unavailable")
    assert away.json()["status"] == "warning"
    assert "KANCA_RATE_LIMIT_FALLBACK" in away.json()["warnings"][0]
    assert (await get(app, "/health/ready")).status_code == 200


async def test_dead_letters_and_the_queue_are_counted(services: Services) -> None:
    event = await accept(services.database)
    await store(services.database, a_dead_letter(event))
    app = create_api(services)

    found = (await get(app, "/health")).json()
    families = {
        family.name: family.samples[0].value
        for family in text_string_to_metric_families((await get(app, "/metrics")).text)
        if family.name in {"webhook_queue_size", "webhook_dlq_size"}
    }

    assert found["components"]["dlq_count"] == 1
    assert found["stats"]["queue_size"] == 1
    assert families == {"webhook_queue_size": 1, "webhook_dlq_size": 1}


async def test_a_full_queue_is_said_before_the_door_closes(services: Services) -> None:
    await services.database.queue.register("host", 1, None, 10, LEASE)

    async def at(size: int, closed_for: str | None = None) -> tuple[dict[str, Any], dict[str, Any], int]:
        app = create_api(
            replace(services, queue_max_tasks=100, backlog=lambda: size, closed_for=lambda: closed_for)
        )
        whole = await get(app, "/health")
        return whole.json(), (await get(app, "/health/processor")).json(), whole.status_code

    calm, calm_processor, _ = await at(80)
    busy, busy_processor, _ = await at(81)
    warned, _, warned_status = await at(90)
    closed, _, closed_status = await at(95, "backlog_full")
    _, full_processor, _ = await at(100, "backlog_full")

    assert (calm["components"]["queue"], calm_processor["status"]) == ("healthy", "healthy")
    assert (busy["components"]["queue"], busy_processor["status"]) == ("healthy", "warning")
    assert (warned["components"]["queue"], warned["status"], warned_status) == ("warning", "warning", 200)
    assert (closed["components"]["queue"], closed["status"], closed_status) == ("full", "unhealthy", 503)
    assert (full_processor["status"], full_processor["queue_usage_percent"]) == ("critical", 100)


async def test_a_closed_door_takes_the_instance_out_of_traffic(services: Services) -> None:
    app = create_api(replace(services, closed_for=lambda: "shutting_down"))

    assert (await get(app, "/health")).status_code == 503
    assert "shutting_down" in (await get(app, "/health")).text
    assert (await get(app, "/health/ready")).status_code == 503
    assert (await get(app, "/health/live")).status_code == 200


async def test_a_database_that_is_away_is_unhealthy_and_nothing_fails(services: Services) -> None:
    away: Any = Away()
    app = create_api(replace(services, database=away))

    whole = await get(app, "/health")
    assert (whole.status_code, whole.json()["status"]) == (503, "unhealthy")
    assert whole.json()["components"]["database"] == "unhealthy"
    assert (await get(app, "/health/ready")).json() == {"status": "unavailable"}
    assert (await get(app, "/health/processor")).status_code == 503
    assert (await get(app, "/health/live")).status_code == 200
    assert (await get(app, "/metrics")).status_code == 200
    listing = await get(app, "/api/events")
    assert (listing.status_code, listing.json()["code"]) == (503, "database_unavailable")
    assert listing.headers["retry-after"] == "5"


async def test_a_database_that_does_not_answer_is_not_waited_for(services: Services) -> None:
    hanging: Any = Away(hangs=True)
    app = create_api(replace(services, database=hanging))
    app.state.health.patience = timedelta(milliseconds=10)

    assert (await get(app, "/health")).status_code == 503


async def test_health_is_looked_at_once_a_second_whoever_asks(services: Services, clock: Clock) -> None:
    looks = 0

    def backlog() -> int:
        nonlocal looks
        looks += 1
        return 0

    app = create_api(replace(services, backlog=backlog))
    await asyncio.gather(*(get(app, path) for path in ("/health", "/health/ready", "/health/processor") * 5))
    assert looks == 1

    clock.advance(seconds=1)
    await get(app, "/health")
    assert looks == 2

    clock.advance(seconds=-3_600)  # it was an hour fast: what was seen then is not true for an hour
    await get(app, "/health")
    assert looks == 3


async def test_the_database_s_own_warnings_are_passed_on(services: Services) -> None:
    app = create_api(with_warnings(services, "fsync is off"))

    found = (await get(app, "/health")).json()

    assert found["components"]["database"] == "warning"
    assert found["warnings"][0] == "fsync is off"
