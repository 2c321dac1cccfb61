"""Duties that one instance does for all: whoever finds it due first. No leader is elected, and none has to be."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from kanca.errors import Unavailable
from kanca.queue.duties import Duty
from kanca.storage import duties
from kanca.storage.ports import Database

AGAIN_AFTER = timedelta(seconds=30)
"""When a duty that failed is tried again."""


class OneForAll:
    """Does a duty once in ``every``, however many instances have it.

    It must be one that can wait: when its instance dies in the middle, the next turn is a whole ``every`` later.
    """

    def __init__(self, database: Database, name: str, duty: Duty, every: timedelta) -> None:
        """``name`` is what all instances call it."""
        self._database = database
        self._name = name
        self._duty = duty
        self._every = every

    async def run_once(self) -> timedelta:
        """Do it if it is due and nobody else does; gives when to look again. Raises what the duty raises."""
        left = await self._database.read(duties.due_in, self._name, self._every)
        if left > timedelta(0):
            return left
        if await self._database.write(duties.take, self._name, self._every):
            await self._do()
        return await self._database.read(duties.due_in, self._name, self._every)

    async def _do(self) -> None:
        try:
            await self._duty.run_once()
        except BaseException:
            with suppress(Unavailable):
                await self._database.write(duties.give_back, self._name, AGAIN_AFTER)
            raise
