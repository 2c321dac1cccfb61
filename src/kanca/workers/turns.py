"""Who tells runs that it is their turn."""

from __future__ import annotations

from datetime import timedelta

from kanca.domain.status import UNFINISHED_RUNS
from kanca.domain.task import Completion
from kanca.storage import turns
from kanca.storage.ports import Database, Waker

PAUSE = timedelta(seconds=2)
"""Between two looks, where no run of this process has just ended."""


class TurnGiver:
    """Signals runs that wait for their turn when others have ended.

    Hurry it after a completion that ``concerns`` it.
    """

    def __init__(self, database: Database, waker: Waker) -> None:
        self._database = database
        self._waker = waker
        self._is_waited = False

    def concerns(self, completion: Completion) -> bool:
        """Whether a turn may have become free."""
        return self._is_waited and any(run.status not in UNFINISHED_RUNS for run in completion.records.runs)

    async def run_once(self) -> timedelta:
        """Give the turns that are free. Raises DatabaseUnavailable."""
        self._is_waited = await self._database.read(turns.is_anybody_waiting)
        if self._is_waited:
            given = await self._database.write(turns.give, await self._database.now())
            if given:
                self._waker.wake()
        return PAUSE
