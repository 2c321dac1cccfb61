from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import DBAPIError

from kanca.domain.ids import id_at
from kanca.storage import events
from kanca.storage.clock import now
from kanca.storage.ports import Database
from kanca.storage.tables import versions
from tests.databases import ClockOffset
from tests.factories import new_event


def _count(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(versions)) or 0


def _add(connection: Connection, subject: str, fail: bool = False) -> None:
    connection.execute(insert(versions).values(subject=subject, version=1))
    if fail:
        raise ValueError("after all, no")


async def test_what_was_written_can_be_read(database: Database) -> None:
    await database.write(_add, "things")
    assert await database.read(_count) == 1


async def test_a_change_that_raises_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(ValueError, match="after all"):
        await database.write(_add, "things", fail=True)
    assert await database.read(_count) == 0


async def test_what_belongs_to_days_that_nobody_has_made_room_for_is_stored(database: Database) -> None:
    now_at = datetime.now(UTC)
    days = [now_at + timedelta(days=ahead) for ahead in (-400, 40, 41)]
    new = [new_event(id=id_at(day)) for day in days]
    await database.write(events.add_to_dispatch, new, now_at)
    assert (await database.read(events.read_events, [each.id for each in new])).keys() == {
        each.id for each in new
    }


async def test_an_error_does_not_repeat_the_values(database: Database) -> None:
    def twice(connection: Connection) -> None:
        for _ in range(2):
            connection.execute(insert(versions).values(subject="what a sender sent", version=1))

    with pytest.raises(DBAPIError) as raised:
        await database.write(twice)
    assert "parameters" in str(raised.value)
    assert "[parameters: (" not in str(raised.value)
    assert "[parameters: {" not in str(raised.value)


async def test_the_clock_is_the_present_and_moves_with_its_offset(
    database: Database, clock_offset: ClockOffset
) -> None:
    assert abs(await database.now() - datetime.now(UTC)) < timedelta(seconds=5)
    await clock_offset(3600)
    moved = await database.now()
    assert timedelta(minutes=59) < moved - datetime.now(UTC) < timedelta(minutes=61)
    in_sql = await database.read(lambda connection: connection.scalar(select(now)))
    assert in_sql is not None
    assert abs(in_sql - moved) < timedelta(seconds=5)
