from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, func, select

from kanca.storage import statistics
from kanca.storage.ports import Database
from kanca.storage.statistics import Counted, Counts, EndpointStatistics
from kanca.storage.tables import statistics as table

NOW = datetime(2026, 5, 5, 12, 30, 40, tzinfo=UTC)


def _rows(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def _clear(connection: Connection) -> None:
    connection.execute(delete(table))


async def _read(database: Database, endpoint: int, now: datetime = NOW) -> EndpointStatistics:
    return (await database.read(statistics.of_endpoints, [endpoint], now))[endpoint]


async def _roll_up(database: Database, now: datetime) -> int:
    merged = 0
    while step := await database.write(statistics.roll_up, now):
        merged += step
    return merged


async def test_an_endpoint_that_nobody_called_has_zeros(database: Database) -> None:
    empty = await _read(database, 100)
    assert empty == EndpointStatistics()
    assert empty.total.average_response_ms == 0


async def test_what_several_writers_count_adds_up(database: Database) -> None:
    counted = Counted(100, NOW, 3, 1, 2, 1, 8000, NOW)
    await database.write(statistics.add, "a", [counted, counted, Counted(101, NOW, accepted=1)])
    await database.write(statistics.add, "b", [counted])
    await database.write(statistics.add, "a", [counted])
    await database.write(statistics.add, "a", [])
    read = await _read(database, 100)
    assert read.total == read.last_hour == read.last_day == Counts(12, 4, 8, 4, 32000)
    assert read.total.average_response_ms == 2.0
    assert read.last_accepted_at == NOW
    assert await database.read(_rows) == 3


async def test_the_last_hour_and_day_forget_what_is_older(database: Database) -> None:
    for ago in (
        timedelta(0),
        timedelta(minutes=59),
        timedelta(hours=1),
        timedelta(hours=23),
        timedelta(days=2),
    ):
        await database.write(
            statistics.add, "a", [Counted(100, NOW - ago, accepted=1, last_accepted_at=NOW - ago)]
        )
    read = await _read(database, 100)
    assert (read.last_hour.accepted, read.last_day.accepted, read.total.accepted) == (2, 4, 5)
    assert read.last_accepted_at == NOW


async def test_minutes_become_hours_and_hours_the_total_without_losing_a_count(database: Database) -> None:
    start = NOW - timedelta(days=62)
    for minute in range(0, 180, 7):
        moment = start + timedelta(minutes=minute)
        for writer in ("a", "b"):
            await database.write(
                statistics.add, writer, [Counted(100, moment, accepted=2, dead=1, last_accepted_at=moment)]
            )
    newest = start + timedelta(minutes=175)
    rows = await database.read(_rows)
    before = await _read(database, 100)
    assert before.total.accepted == 4 * 26

    assert await _roll_up(database, start + timedelta(hours=1)) == 0
    assert await _roll_up(database, start + timedelta(days=2)) == rows
    assert await database.read(_rows) == 4
    assert (await _read(database, 100)).total == before.total
    await database.write(statistics.add, "a", [Counted(100, NOW, accepted=1)])
    assert await _roll_up(database, NOW) == 4
    assert await database.read(_rows) == 2
    after = await _read(database, 100)
    assert after.total.accepted == before.total.accepted + 1
    assert after.total.dead == before.total.dead
    assert after.last_accepted_at == newest


async def test_two_who_roll_up_at_once_count_nothing_twice(database: Database) -> None:
    for minute in range(30):
        moment = NOW - timedelta(days=3, minutes=minute)
        await database.write(statistics.add, "a", [Counted(100, moment, accepted=1)])
    merged = await asyncio.gather(*(_roll_up(database, NOW) for _ in range(4)))
    assert sum(merged) == 30
    assert (await _read(database, 100)).total.accepted == 30


@given(
    counted=st.lists(
        st.tuples(
            st.integers(1, 2), st.integers(0, 100 * 24 * 60), st.sampled_from("ab"), st.integers(0, 2**40)
        ),
        max_size=8,
    ),
    now_days=st.integers(0, 200),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_totals_do_not_depend_on_when_buckets_are_merged(
    database: Database, counted: list[tuple[int, int, str, int]], now_days: int
) -> None:
    await database.write(_clear)
    expected = dict.fromkeys((1, 2), 0)
    for endpoint, minute, writer, response_us in counted:
        moment = NOW + timedelta(minutes=minute)
        await database.write(statistics.add, writer, [Counted(endpoint, moment, 1, response_us=response_us)])
        expected[endpoint] += response_us
    await _roll_up(database, NOW + timedelta(days=now_days))
    for endpoint, response_us in expected.items():
        assert (await _read(database, endpoint)).total.response_us == response_us
