"""A duty that many instances have is done by one of them, again and again, whoever is there."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from kanca.errors import DatabaseUnavailable
from kanca.queue.one_for_all import AGAIN_AFTER, OneForAll
from kanca.storage.ports import Database
from tests.databases import ClockOffset

EVERY = timedelta(minutes=10)


class Cleaning:
    """A duty that counts its turns, and may fail."""

    def __init__(self) -> None:
        self.turns = 0
        self.error: Exception | None = None

    async def run_once(self) -> timedelta:
        self.turns += 1
        if self.error is not None:
            raise self.error
        return timedelta(0)


async def test_of_many_that_find_it_due_at_once_one_does_it(database: Database) -> None:
    cleaning = Cleaning()
    many = [OneForAll(database, "cleaner", cleaning, EVERY) for _ in range(20)]
    pauses = await asyncio.gather(*(each.run_once() for each in many))
    assert cleaning.turns == 1
    assert all(timedelta(0) < pause <= EVERY for pause in pauses)


async def test_the_next_turn_is_anybody_s(database: Database, clock_offset: ClockOffset) -> None:
    one, other = Cleaning(), Cleaning()
    await OneForAll(database, "cleaner", one, EVERY).run_once()
    await clock_offset(EVERY.total_seconds() - 60)
    assert await OneForAll(database, "cleaner", other, EVERY).run_once() <= timedelta(seconds=60)
    assert (one.turns, other.turns) == (1, 0)
    await clock_offset(EVERY.total_seconds())
    await OneForAll(database, "cleaner", other, EVERY).run_once()
    assert (one.turns, other.turns) == (1, 1)


async def test_duties_of_different_names_do_not_wait_for_each_other(database: Database) -> None:
    one, other = Cleaning(), Cleaning()
    await OneForAll(database, "cleaner", one, EVERY).run_once()
    await OneForAll(database, "ended secrets", other, EVERY).run_once()
    assert (one.turns, other.turns) == (1, 1)


async def test_what_failed_is_done_again_soon_by_whoever(
    database: Database, clock_offset: ClockOffset
) -> None:
    one, other = Cleaning(), Cleaning()
    one.error = DatabaseUnavailable()
    with pytest.raises(DatabaseUnavailable):
        await OneForAll(database, "cleaner", one, EVERY).run_once()
    await clock_offset(AGAIN_AFTER.total_seconds())
    await OneForAll(database, "cleaner", other, EVERY).run_once()
    assert (one.turns, other.turns) == (1, 1)


async def test_a_clock_that_was_set_back_puts_it_off_for_no_longer_than_a_period(
    database: Database, clock_offset: ClockOffset
) -> None:
    cleaning = Cleaning()
    await clock_offset(timedelta(days=30).total_seconds())
    await OneForAll(database, "cleaner", cleaning, EVERY).run_once()
    await clock_offset(0)
    await OneForAll(database, "cleaner", cleaning, EVERY).run_once()
    assert cleaning.turns == 2
