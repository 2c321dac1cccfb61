from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, update

from kanca.domain.endpoint import EndpointConfig
from kanca.domain.event import NewEvent
from kanca.domain.expunged import expunged_at
from kanca.domain.status import RunStatus
from kanca.queue.payload_cleaner import PayloadCleaner
from kanca.storage import endpoints, events, rejections
from kanca.storage.payload_retention import AT_ONCE, sweep
from kanca.storage.ports import Database
from kanca.storage.rejections import Rejection
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import outcomes, payloads_in_use, runs
from tests.databases import ClockOffset
from tests.factories import an_outcome, new_endpoint, new_event
from tests.planted import execute, id_at, places_of_marker, plant

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=5)
DAY_S = 86_400
BOX = SecretBox(["a key of the tests"])


async def endpoint(database: Database, **config: Any) -> int:
    made = new_endpoint(config=EndpointConfig(**config))
    return (await database.write(endpoints.create, BOX, made)).number


async def is_expunged(database: Database, event: NewEvent) -> bool:
    found = await database.read(events.get, event.id)
    assert found is not None
    return expunged_at(found.request) is not None


def cleaner(database: Database, default_days: int | None = None) -> PayloadCleaner:
    return PayloadCleaner(database, None if default_days is None else timedelta(days=default_days))


async def test_payloads_go_after_the_days_of_their_endpoint_and_records_stay(database: Database) -> None:
    three, ten = (
        await endpoint(database, payload_retention_days=3),
        await endpoint(database, payload_retention_days=10),
    )
    silent = await endpoint(database)
    of = {
        name: await plant(database, moment, endpoint=number)
        for name, number, moment in (
            ("due", three, OLD),
            ("young", three, NOW - timedelta(days=2)),
            ("not due", ten, OLD),
            ("silent", silent, OLD),
        )
    }

    await cleaner(database).run_once()

    assert [name for name, event in of.items() if await is_expunged(database, event)] == ["due"]
    await cleaner(database, default_days=4).run_once()
    assert [name for name, event in of.items() if await is_expunged(database, event)] == ["due", "silent"]


async def test_no_copy_is_left_of_what_was_due_on_any_day(
    database: Database, clock_offset: ClockOffset
) -> None:
    number = await endpoint(database, payload_retention_days=3)
    for days in range(3):
        await plant(database, NOW - timedelta(days=days), endpoint=number)
    await cleaner(database).run_once()
    assert await places_of_marker(database) != set()

    await clock_offset(3 * DAY_S + 1)
    await cleaner(database).run_once()

    assert await places_of_marker(database) == set()
    remaining = await database.read(lambda connection: connection.scalar(select(func.count(runs.c.id))))
    assert remaining == 6


async def test_what_is_in_use_loses_its_payload_once_its_work_has_ended(database: Database) -> None:
    number = await endpoint(database, payload_retention_days=3)
    event = await plant(database, OLD, is_open=True, endpoint=number)
    await cleaner(database).run_once()
    assert not await is_expunged(database, event)

    ended = insert(outcomes).values(vars_of(an_outcome(event, works=1)))
    await database.write(execute, ended)
    await cleaner(database).run_once()

    assert await is_expunged(database, event)
    left = await database.read(
        lambda connection: connection.scalar(select(func.count(payloads_in_use.c.event_id)))
    )
    assert left == 0


def vars_of(outcome: Any) -> dict[str, Any]:
    return {name: getattr(outcome, name) for name in outcome.__dataclass_fields__}


async def test_each_event_is_looked_at_once_some_at_a_time(database: Database) -> None:
    number = await endpoint(database, payload_retention_days=3)
    young = [await plant(database, endpoint=number) for _ in range(2)]
    batch = [new_event(endpoint=number) for _ in range(AT_ONCE)]
    await database.accepting.append(batch)
    later = datetime.now(UTC) + timedelta(minutes=1)

    assert await database.write(sweep, number, later, NOW) == AT_ONCE
    assert await database.write(sweep, number, later, NOW) == 2
    assert await database.write(sweep, number, later, NOW) == 0
    assert [await is_expunged(database, event) for event in young] == [True, True]


async def test_refused_requests_go_with_the_payloads(database: Database) -> None:
    number = await endpoint(database, payload_retention_days=3)
    refused = [
        Rejection(id_at(at), number, at, 401, "bad_signature", "no", "198.51.100.7", b'{"body":"x"}')
        for at in (OLD, NOW)
    ]
    await database.write(rejections.add, refused)
    await plant(database, OLD, endpoint=number)

    await cleaner(database).run_once()

    assert [each.id for each in (await database.read(rejections.page, number)).items] == [refused[1].id]


async def test_an_unfinished_run_keeps_its_event_s_payload(database: Database) -> None:
    number = await endpoint(database, payload_retention_days=3)
    event = await plant(database, OLD, endpoint=number)
    waiting = update(runs).where(runs.c.event_id == event.id).values(status=RunStatus.WAITING)
    await database.write(execute, waiting)

    await cleaner(database).run_once()

    assert not await is_expunged(database, event)
