"""New ids follow the database's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kanca.app.clock import ClockCorrection, correction
from kanca.domain.ids import IdFactory, time_of
from kanca.storage.ports import Database
from tests.databases import ClockOffset


async def test_ids_are_of_the_databases_time(database: Database, clock_offset: ClockOffset) -> None:
    await clock_offset(3600)
    ids = IdFactory()
    await ClockCorrection(database, ids).run_once()
    assert abs(time_of(ids.new()) - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)


async def test_a_correction_that_is_no_longer_needed_goes(database: Database) -> None:
    ids = IdFactory()
    ids.correction_s = 3600
    await ClockCorrection(database, ids).run_once()
    assert abs(ids.correction_s) < 60


def test_an_offset_that_may_be_the_way_there_and_back_is_none() -> None:
    assert correction(offset_s=0.12, round_trip_s=0.3) == 0
    assert correction(offset_s=-0.12, round_trip_s=0.3) == 0
    assert correction(offset_s=0.12, round_trip_s=0.02) == 0.12
    assert correction(offset_s=-90, round_trip_s=0.3) == -90
