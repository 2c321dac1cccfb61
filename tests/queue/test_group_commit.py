"""Group commit: batches, limits, and every way in which a commit can end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from kanca.errors import CommitQueueFull, CommitTimeout, DatabaseUnavailable, ShuttingDown
from kanca.queue.group_commit import GroupCommit

LONG = timedelta(seconds=30)
SHORT = timedelta(milliseconds=20)


class Store:
    """A store whose commits end when the test says so; an even number comes back doubled."""

    def __init__(self, *, is_open: bool) -> None:
        self.batches: list[list[int]] = []
        self.stored: list[int] = []
        self.most_at_once = 0
        self._at_once = 0
        self._open = asyncio.Event()
        self._began = asyncio.Condition()
        if is_open:
            self._open.set()

    async def commit(self, batch: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(batch))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        async with self._began:
            self._began.notify_all()
        try:
            await self._open.wait()
        finally:
            self._at_once -= 1
        self.stored += batch
        return [item * 2 if item % 2 == 0 else ValueError(item) for item in batch]

    async def begun(self, count: int) -> None:
        async with self._began:
            await self._began.wait_for(lambda: len(self.batches) >= count)

    def open(self) -> None:
        self._open.set()


async def test_a_lone_item_is_committed_at_once() -> None:
    store = Store(is_open=True)
    assert await GroupCommit(store.commit, timeout=LONG).submit(2) == 4
    assert store.batches == [[2]]


async def test_items_of_one_turn_of_the_loop_share_a_commit() -> None:
    store = Store(is_open=True)
    commits = GroupCommit(store.commit, timeout=LONG)
    assert await asyncio.gather(*[commits.submit(n) for n in (2, 4, 6)]) == [4, 8, 12]
    assert store.batches == [[2, 4, 6]]


async def test_what_comes_during_a_commit_gathers_for_the_next() -> None:
    store = Store(is_open=False)
    commits = GroupCommit(store.commit, timeout=LONG)
    first = commits.submit(2)
    await store.begun(1)
    rest = [commits.submit(n) for n in (4, 6, 8)]
    assert commits.waiting == 3
    store.open()
    assert await asyncio.gather(first, *rest) == [4, 8, 12, 16]
    assert store.batches == [[2], [4, 6, 8]]


async def test_a_batch_is_never_larger_than_allowed() -> None:
    store = Store(is_open=True)
    commits = GroupCommit(store.commit, timeout=LONG, max_batch=2)
    await asyncio.gather(*[commits.submit(n) for n in (2, 4, 6, 8, 10)])
    assert store.batches == [[2, 4], [6, 8], [10]]


@pytest.mark.parametrize("parallel", [1, 2, 3])
async def test_no_more_commits_run_at_once_than_allowed(parallel: int) -> None:
    store = Store(is_open=False)
    commits = GroupCommit(store.commit, timeout=LONG, max_batch=2, parallel=parallel)
    answers = [commits.submit(n) for n in range(0, 20, 2)]
    await store.begun(parallel)
    store.open()
    assert await asyncio.gather(*answers) == [n * 2 for n in range(0, 20, 2)]
    assert store.most_at_once == parallel


async def test_an_error_in_the_results_is_raised_to_its_submitter_alone() -> None:
    commits = GroupCommit(Store(is_open=True).commit, timeout=LONG)
    good, bad = commits.submit(2), commits.submit(3)
    with pytest.raises(ValueError, match="3"):
        await bad
    assert await good == 4


async def test_an_error_of_the_commit_is_raised_to_all_and_the_next_batch_is_tried() -> None:
    answers = iter([DatabaseUnavailable("away"), None])

    async def commit(batch: Sequence[int]) -> list[int | Exception]:
        if (error := next(answers)) is not None:
            raise error
        return list(batch)

    commits = GroupCommit(commit, timeout=LONG)
    results = await asyncio.gather(commits.submit(1), commits.submit(2), return_exceptions=True)
    assert [type(result) for result in results] == [DatabaseUnavailable, DatabaseUnavailable]
    assert await commits.submit(3) == 3


async def test_a_wrong_number_of_results_is_an_error_for_all() -> None:
    async def commit(batch: Sequence[int]) -> list[int | Exception]:
        return [1]

    commits = GroupCommit(commit, timeout=LONG)
    results = await asyncio.gather(commits.submit(1), commits.submit(2), return_exceptions=True)
    assert [type(result) for result in results] == [RuntimeError, RuntimeError]


async def test_more_waiting_than_allowed_is_refused() -> None:
    store = Store(is_open=False)
    commits = GroupCommit(store.commit, timeout=LONG, max_waiting=2)
    first = commits.submit(2)
    await store.begun(1)
    waiting = [commits.submit(4), commits.submit(6)]
    with pytest.raises(CommitQueueFull):
        commits.submit(8)
    store.open()
    assert await asyncio.gather(first, *waiting) == [4, 8, 12]
    assert await commits.submit(8) == 16


async def test_a_commit_that_hangs_is_given_up_and_the_next_goes_on() -> None:
    store = Store(is_open=False)
    commits = GroupCommit(store.commit, timeout=SHORT)
    first = commits.submit(2)
    await store.begun(1)
    second = commits.submit(4)
    for answer in (first, second):
        with pytest.raises(CommitTimeout):
            await answer
    store.open()
    assert await commits.submit(6) == 12
    assert store.stored == [6]


async def test_nobody_waits_for_longer_than_the_timeout() -> None:
    store = Store(is_open=False)
    commits = GroupCommit(store.commit, timeout=timedelta(milliseconds=200))
    loop = asyncio.get_running_loop()
    begun_at = loop.time()
    under_way = [commits.submit(n) for n in (2, 4, 6)]
    await store.begun(1)
    waiting = commits.submit(8)
    results = await asyncio.gather(*under_way, waiting, return_exceptions=True)
    assert [type(result) for result in results] == [CommitTimeout] * 4
    assert 0.19 <= loop.time() - begun_at < 1


async def test_an_item_whose_submitter_left_before_its_commit_is_not_stored() -> None:
    store = Store(is_open=False)
    commits = GroupCommit(store.commit, timeout=LONG)
    first = commits.submit(2)
    await store.begun(1)
    left, stayed = commits.submit(4), commits.submit(6)
    left.cancel()
    store.open()
    assert list(await asyncio.gather(first, stayed)) == [4, 12]
    assert store.stored == [2, 6]


async def test_a_submitter_that_leaves_during_its_commit_disturbs_nobody() -> None:
    store = Store(is_open=False)
    commits = GroupCommit(store.commit, timeout=LONG)
    left, stayed = commits.submit(2), commits.submit(4)
    await store.begun(1)
    left.cancel()
    store.open()
    assert await stayed == 8
    assert store.stored == [2, 4]


async def test_closing_finishes_what_is_at_hand_and_takes_no_more() -> None:
    store = Store(is_open=False)
    commits = GroupCommit(store.commit, timeout=LONG, max_batch=2, parallel=2)
    answers = [commits.submit(n) for n in range(0, 20, 2)]
    await store.begun(2)
    closing = asyncio.create_task(commits.close(LONG))
    await asyncio.sleep(0)
    with pytest.raises(ShuttingDown):
        commits.submit(2)
    store.open()
    assert await closing == 0
    assert await asyncio.gather(*answers) == [n * 2 for n in range(0, 20, 2)]


async def test_closing_answers_the_rest_when_its_limit_is_over() -> None:
    store = Store(is_open=False)
    commits = GroupCommit(store.commit, timeout=LONG)
    first = commits.submit(2)
    await store.begun(1)
    second = commits.submit(4)
    assert await commits.close(SHORT) == 2
    for answer in (first, second):
        with pytest.raises(ShuttingDown):
            await answer
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_closing_an_idle_one_is_immediate() -> None:
    commits = GroupCommit(Store(is_open=True).commit, timeout=LONG)
    assert await commits.submit(2) == 4
    assert await commits.close(LONG) == 0
    assert await commits.close(LONG) == 0
