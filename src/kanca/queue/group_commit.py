"""Group commit: everybody who waits shares one transaction.

An idle GroupCommit commits at once, so a lone item never waits for company. While a commit is under way
the next batch gathers, so batches grow with the load, and all who wait share the cost of one commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Generic, NamedTuple, TypeVar

from kanca.errors import CommitQueueFull, CommitTimeout, ShuttingDown

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Entry(NamedTuple, Generic[Item, Result]):
    item: Item
    answer: asyncio.Future[Result]
    deadline: float
    """In the event loop's time."""


class GroupCommit(Generic[Item, Result]):
    """Collects the items of concurrent submitters into batches, and gives each submitter its own result."""

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        timeout: timedelta,
        max_batch: int = 500,
        max_waiting: int = 2_000,
        parallel: int = 1,
    ) -> None:
        """Commit nothing yet.

        ``commit`` stores a batch and gives one result for each item, in order. An Exception among the
        results is raised to its submitter alone; one that ``commit`` raises is raised to all of the batch.
        ``timeout`` is the longest that a submitter waits, and that a commit may take. ``max_waiting`` counts
        items that no commit has taken yet. Up to ``parallel`` commits run at once.
        """
        self._commit = commit
        self._timeout_s = timeout.total_seconds()
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._parallel = parallel
        self._waiting: deque[_Entry[Item, Result]] = deque()
        self._under_way: dict[asyncio.Task[None], list[_Entry[Item, Result]]] = {}
        self._is_starting = False
        self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many items no commit has taken yet."""
        return len(self._waiting)

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """Hand in an item; await what comes back for its result.

        The wait raises CommitTimeout when its time is over: the item may or may not have been stored. One
        that is cancelled before a commit takes the item withdraws the item. Raises CommitQueueFull or
        ShuttingDown at once; then the item was not taken.
        """
        if self._is_closed:
            raise ShuttingDown
        if len(self._waiting) >= self._max_waiting:
            raise CommitQueueFull
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = loop.create_future()
        self._waiting.append(_Entry(item, answer, loop.time() + self._timeout_s))
        self._start_if_free()
        if self._timer is None:
            # One timer, for the oldest: a timer for each item would cost more than the rest of this method.
            self._timer = loop.call_at(self._waiting[0].deadline, self._expire)
        return answer

    async def close(self, limit: timedelta) -> int:
        """Take no more items and finish those at hand within ``limit``; the rest is answered ShuttingDown.

        Gives how many were left. What was under way then may or may not have been stored.
        """
        self._is_closed = True
        try:
            async with asyncio.timeout(limit.total_seconds()):
                while self._under_way:
                    await asyncio.wait(list(self._under_way))
        except TimeoutError:
            pass
        tasks = list(self._under_way)
        entries = [entry for batch in self._under_way.values() for entry in batch] + list(self._waiting)
        left = [entry.answer for entry in entries if not entry.answer.done()]
        self._waiting.clear()
        for answer in left:
            answer.set_exception(ShuttingDown())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        return len(left)

    def _start_if_free(self) -> None:
        # The task takes its batch when it first runs: all that is submitted in this turn of the loop goes
        # along. Until it has, there is no need for a second one.
        if not self._is_starting and len(self._under_way) < self._parallel:
            self._is_starting = True
            self._under_way[asyncio.create_task(self._work())] = []

    async def _work(self) -> None:
        self._is_starting = False
        me = asyncio.current_task()
        assert me is not None  # noqa: S101 - a coroutine that runs is in a task; mypy does not know
        try:
            while batch := self._take():
                self._under_way[me] = batch
                await self._store(batch)
        finally:
            del self._under_way[me]

    def _take(self) -> list[_Entry[Item, Result]]:
        batch: list[_Entry[Item, Result]] = []
        while self._waiting and len(batch) < self._max_batch:
            entry = self._waiting.popleft()
            if not entry.answer.done():
                batch.append(entry)
        if self._waiting:
            self._start_if_free()
        return batch

    async def _store(self, batch: list[_Entry[Item, Result]]) -> None:
        results: Sequence[Result | Exception]
        try:
            async with asyncio.timeout(self._timeout_s):
                results = await self._commit([entry.item for entry in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(results)} results for {len(batch)} items")
        except TimeoutError:
            results = [CommitTimeout()] * len(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait
            results = [error] * len(batch)
        for (_, answer, _), result in zip(batch, results, strict=True):
            if answer.done():
                continue
            if isinstance(result, Exception):
                answer.set_exception(result)
            else:
                answer.set_result(result)

    def _expire(self) -> None:
        """Answer those whose time is over, and come back when that of the next one is."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._waiting and (self._waiting[0].deadline <= now or self._waiting[0].answer.done()):
            _give_up(self._waiting.popleft())
        deadlines = [self._waiting[0].deadline] if self._waiting else []
        for batch in self._under_way.values():
            for entry in batch:
                if entry.deadline <= now:
                    _give_up(entry)
                elif not entry.answer.done():
                    deadlines.append(entry.deadline)
        self._timer = loop.call_at(min(deadlines), self._expire) if deadlines else None


def _give_up(entry: _Entry[Item, Result]) -> None:
    if not entry.answer.done():
        entry.answer.set_exception(CommitTimeout())
