"""News for runs that are being worked on: who waits beside a node at work has to be told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kanca.domain.task import Task
from kanca.errors import Unavailable
from kanca.storage.ports import Database
from kanca.storage.signals import signals_of

EVERY_S = 1.0
"""Most runs are not at work for so long; for those that are, one look serves all."""


class SignalWatch:
    """Looks every so often whether there is news for tasks in hand."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watched: dict[int, tuple[Task, Callable[[], None]]] = {}

    @contextmanager
    def watch(self, task: Task, notice: Callable[[], None]) -> Iterator[None]:
        """Have ``notice`` called when there is news for a task, as long as the context lasts.

        The task then says how many signals there were: it is as if it had been claimed with them.
        """
        self._watched[task.id] = task, notice
        try:
            yield
        finally:
            del self._watched[task.id]

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            known = set(self._watched)
            await asyncio.sleep(EVERY_S)
            await self.look(known & self._watched.keys())

    async def look(self, task_ids: set[int] | None = None) -> None:
        """Look once, for all or for these."""
        wanted = self._watched.keys() if task_ids is None else task_ids
        if not wanted:
            return
        try:
            found = await self._database.read(signals_of, list(wanted))
        except Unavailable:
            return  # the next time
        for task_id, signals in found.items():
            task, notice = self._watched.get(task_id, (None, None))
            if task is not None and notice is not None and signals > task.signals:
                task.signals = signals
                notice()
