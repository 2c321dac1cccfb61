from __future__ import annotations

from datetime import timedelta

import pytest

from kanca.domain.task import Done, Retry, Task, TaskKind
from kanca.queue.scheduler import BATCH, LONGEST_PAUSE, SHORTEST_PAUSE, Scheduler, pause_after
from kanca.storage.ports import Promoted
from tests.queueing import Bell, call, new_id, said

NONE = timedelta(0)
MS = timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("promoted", "took", "idle_turns", "pause"),
    [
        pytest.param(Promoted(0, False, None), MS, 3, LONGEST_PAUSE, id="nothing waits"),
        pytest.param(Promoted(BATCH, False, NONE), MS, 0, NONE, id="there is more"),
        pytest.param(Promoted(3, False, 300 * MS), MS, 0, 300 * MS, id="until the next is due"),
        pytest.param(Promoted(3, False, timedelta(hours=1)), MS, 0, LONGEST_PAUSE, id="others may be sooner"),
        pytest.param(Promoted(0, False, -MS), MS, 1, 2 * SHORTEST_PAUSE, id="somebody else moves it"),
        pytest.param(Promoted(1, True, None), MS, 0, SHORTEST_PAUSE, id="a turn may come soon"),
        pytest.param(Promoted(0, True, None), MS, 3, 8 * SHORTEST_PAUSE, id="it does not come soon"),
        pytest.param(Promoted(0, True, None), MS, 99, LONGEST_PAUSE, id="it takes long"),
        pytest.param(Promoted(1, True, None), 50 * MS, 0, 500 * MS, id="looking is expensive"),
    ],
)
def test_the_pause_fits_what_waits(
    promoted: Promoted, took: timedelta, idle_turns: int, pause: timedelta
) -> None:
    assert pause_after(promoted, took, idle_turns) == pause


class Promotions:
    """A queue that promotes as it was told to."""

    def __init__(self, *promotions: Promoted) -> None:
        self._promotions = iter(promotions)

    async def promote(self, limit: int) -> Promoted:
        return next(self._promotions)


def scheduler_of(bell: Bell, *promotions: Promoted) -> Scheduler:
    return Scheduler(Promotions(*promotions), bell, lambda: 0.0)  # type: ignore[arg-type]  # just enough of a queue


async def test_workers_are_woken_for_what_was_moved() -> None:
    bell = Bell()
    scheduler = scheduler_of(bell, Promoted(0, False, None), Promoted(2, False, None))
    await scheduler.run_once()
    assert bell.rung == 0
    await scheduler.run_once()
    assert bell.rung == 1


async def test_a_turn_that_does_not_come_is_looked_for_less_and_less() -> None:
    waits = Promoted(0, True, None)
    scheduler = scheduler_of(Bell(), waits, waits, Promoted(1, True, None), waits)
    pauses = [await scheduler.run_once() for _ in range(4)]
    assert pauses == [2 * SHORTEST_PAUSE, 4 * SHORTEST_PAUSE, SHORTEST_PAUSE, 2 * SHORTEST_PAUSE]


def task_of(kind: TaskKind, order_key: int | None = None) -> Task:
    return Task(1, kind, new_id(), 1, None, order_key, 0, 0, 1)


async def test_only_completions_that_let_something_go_or_come_concern_the_scheduler() -> None:
    scheduler = scheduler_of(Bell(), Promoted(0, True, None))
    plain, ordered, first = task_of(TaskKind.CALL), task_of(TaskKind.CALL, 7), task_of(TaskKind.DISPATCH)
    assert not scheduler.concerns(said(plain, Done()))
    assert not scheduler.concerns(said(first, Done(), tasks=(call(),)))
    assert scheduler.concerns(said(plain, Retry(MS, 1)))
    assert scheduler.concerns(said(ordered, Done()))
    assert scheduler.concerns(said(first, Done(), tasks=(call(key="k"),)))
    await scheduler.run_once()
    assert scheduler.concerns(said(first, Done()))
