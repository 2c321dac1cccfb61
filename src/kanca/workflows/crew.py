"""The nodes of a run that are at work."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from datetime import timedelta
from typing import Any, Generic, TypeVar

from kanca.workflows.progress import At

T = TypeVar("T")

PATIENCE = timedelta(seconds=1)
"""How long nodes that are stopped are waited for."""


class Crew(Generic[T]):
    """Tasks, each of which does one attempt of one node and gives how it ended."""

    def __init__(self) -> None:
        self.is_stopping = False
        self._at_work: dict[asyncio.Task[T], At] = {}
        self._dropped: set[asyncio.Task[T]] = set()
        """Those that nobody needs any more and that have not noticed it yet."""

    def __bool__(self) -> bool:
        """Whether a node is at work that is needed."""
        return bool(self._at_work)

    def __contains__(self, at: At) -> bool:
        """Whether that node is at work."""
        return at in self._at_work.values()

    def begin(self, at: At, attempt: Coroutine[Any, Any, T]) -> None:
        """Let a node begin."""
        self._at_work[asyncio.create_task(attempt)] = at

    def drop(self, at: At) -> bool:
        """Let a node end that nobody needs any more; whether it was at work."""
        dropped = [task for task, busy in self._at_work.items() if busy == at]
        for task in dropped:
            del self._at_work[task]
            self._dropped.add(task)
            task.cancel()
        return bool(dropped)

    async def wait(self, news: asyncio.Event, timeout_s: float | None) -> None:
        """Wait until a node ends, there is news, or the time is over."""
        notice: asyncio.Task[Any] = asyncio.create_task(news.wait())
        try:
            pending: set[asyncio.Task[Any]] = {*self._at_work, notice}
            await asyncio.wait(pending, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            notice.cancel()

    def ended(self) -> Iterator[T]:
        """How those ended that did, one after the other: the next may be dropped because of one."""
        for task in [task for task in self._at_work if task.done()]:
            if self._at_work.pop(task, None) is not None:
                yield task.result()

    async def stop(self) -> None:
        """Cancel all. Those that had something to say all the same are ``ended`` then."""
        leaving = {*self._at_work, *self._dropped}
        if not leaving:
            return
        self.is_stopping = True
        for task in self._at_work:
            task.cancel()
        await asyncio.wait(leaving, timeout=PATIENCE.total_seconds())
        self._at_work = {
            task: at for task, at in self._at_work.items() if task.done() and not task.cancelled()
        }
        self._dropped.clear()
        self.is_stopping = False
