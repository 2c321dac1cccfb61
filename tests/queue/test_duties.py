from __future__ import annotations

import asyncio
from datetime import timedelta

from kanca.errors import DatabaseUnavailable
from kanca.queue.duties import Duties

HOUR = timedelta(hours=1)


class Counting:
    """A duty that counts its turns, and can be waited for."""

    def __init__(self, pause: timedelta = HOUR, error: Exception | None = None) -> None:
        self.turns = 0
        self._pause = pause
        self._error = error
        self._changed = asyncio.Condition()

    async def run_once(self) -> timedelta:
        async with self._changed:
            self.turns += 1
            self._changed.notify_all()
        if self._error is not None:
            raise self._error
        return self._pause

    async def reached(self, turns: int) -> None:
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: self.turns >= turns)


async def test_every_duty_is_done_at_once_and_again_after_its_pause() -> None:
    often, rarely = Counting(timedelta(0)), Counting()
    duties = Duties({"often": often, "rarely": rarely})
    duties.start()
    await often.reached(5)
    await rarely.reached(1)
    await duties.stop()
    assert rarely.turns == 1


async def test_a_duty_that_is_hurried_does_not_wait() -> None:
    duty = Counting()
    duties = Duties({"duty": duty})
    duties.start()
    for turns in (1, 2, 3):
        await duty.reached(turns)
        await asyncio.sleep(0)
        duties.hurry("duty")
    await duty.reached(4)
    await duties.stop()


async def test_a_duty_that_fails_is_done_again_and_disturbs_no_other() -> None:
    away = Counting(error=DatabaseUnavailable())
    broken = Counting(error=ValueError("a mistake"))
    fine = Counting(timedelta(0))
    duties = Duties({"away": away, "broken": broken, "fine": fine})
    duties.start()
    await fine.reached(3)
    for duty, name in ((away, "away"), (broken, "broken")):
        await duty.reached(1)
        await asyncio.sleep(0)
        duties.hurry(name)
        await duty.reached(2)
    await duties.stop()


async def test_a_turn_that_takes_too_long_is_ended() -> None:
    class Hanging:
        turns = 0

        async def run_once(self) -> timedelta:
            self.turns += 1
            await asyncio.Event().wait()
            return HOUR

    hanging, beside = Hanging(), Counting(timedelta(milliseconds=1))
    duties = Duties({"hanging": hanging, "beside": beside}, limit=timedelta(milliseconds=5))
    duties.start()
    async with asyncio.timeout(5):
        while hanging.turns < 2:
            await beside.reached(beside.turns + 1)
            duties.hurry("hanging")
    await duties.stop()


async def test_stopping_ends_a_turn_under_way() -> None:
    begun = asyncio.Event()

    class Long:
        async def run_once(self) -> timedelta:
            begun.set()
            await asyncio.Event().wait()
            return HOUR

    duties = Duties({"long": Long()})
    duties.start()
    async with asyncio.timeout(5):
        await begun.wait()
        await duties.stop()
