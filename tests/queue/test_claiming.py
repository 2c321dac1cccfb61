"""The Claimer against a queue in memory; ``tests/contract/test_queue_fairness.py`` has it against the databases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from kanca.domain.task import SUSPECT_LANE, Task, TaskKind, lane_of
from kanca.errors import DatabaseUnavailable
from kanca.queue.claiming import FIRST_PATIENCE, SWEEP_EVERY, Claimer
from kanca.storage.ports import Capabilities, LaneAsk, QueueStore
from tests.queueing import EVERYTHING, new_id


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Lanes:
    """Just enough of a queue: tasks by lane, in order."""

    def __init__(self, clock: Clock) -> None:
        self.tasks: dict[int, list[Task]] = {}
        self.asked: list[Sequence[LaneAsk]] = []
        self.clock = clock
        self.takes_s = 0.0
        self.fails_after = 1_000_000
        self._numbers = iter(range(1, 10**9))

    def add(self, target: int, count: int = 1, lane: int | None = None) -> None:
        kind = TaskKind.CALL
        where = lane_of(kind, target) if lane is None else lane
        self.tasks.setdefault(where, []).extend(
            Task(next(self._numbers), kind, new_id(), target, None, None, 0, 0, 1) for _ in range(count)
        )

    async def has_suspects(self, capabilities: Capabilities) -> bool:
        return bool(self.tasks.get(SUSPECT_LANE))

    async def claim(
        self, worker: int, limit: int, capabilities: Capabilities, asks: Sequence[LaneAsk]
    ) -> list[tuple[Task, int]]:
        if len(self.asked) >= self.fails_after:
            raise DatabaseUnavailable
        self.asked.append(asks)
        self.clock.now += self.takes_s
        found: list[Task] = []
        for ask in asks:
            of_lane = self.tasks.get(ask.lane, [])
            share = min(ask.share, limit - len(found))
            found += of_lane[:share]
            del of_lane[:share]
        return [(task, task.id) for task in found]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lanes(clock: Clock) -> Lanes:
    return Lanes(clock)


def claimer_of(lanes: Lanes, slots: int, **more: Any) -> Claimer:
    return Claimer(cast(QueueStore, lanes), 1, slots, EVERYTHING, monotonic=lanes.clock, **more)


async def test_a_burst_for_one_target_is_claimed_at_once_as_far_as_one_target_may(lanes: Lanes) -> None:
    lanes.add(1, 100)
    claimer = claimer_of(lanes, 10)
    assert len(await claimer.claim()) == 7
    assert await claimer.claim() == []
    assert claimer.in_hand == 7


async def test_what_a_claim_gave_is_done_although_asking_for_more_fails(lanes: Lanes) -> None:
    lanes.add(1, 100)
    lanes.add(2, 100)
    lanes.fails_after = 1
    claimer = claimer_of(lanes, 200)
    assert len(await claimer.claim()) == claimer.in_hand > 0


async def test_hanging_work_of_one_target_leaves_room_for_others(lanes: Lanes) -> None:
    lanes.add(1, 100)
    claimer = claimer_of(lanes, 10)
    await claimer.claim()
    for target in (2, 3, 4, 5):
        lanes.add(target)
        (task,) = await claimer.claim()
        assert task.target == target
        claimer.release(task)


async def test_what_is_released_makes_room_once(lanes: Lanes) -> None:
    lanes.add(1, 10)
    claimer = claimer_of(lanes, 2)
    (first,) = await claimer.claim()
    claimer.release(first)
    claimer.release(first)
    assert claimer.in_hand == 0
    (second,) = await claimer.claim()
    assert second.id == first.id + 1


async def test_every_target_gets_its_turn_before_the_burst_goes_on(lanes: Lanes) -> None:
    lanes.add(1, 1_000)
    claimer = claimer_of(lanes, 8)
    for task in await claimer.claim():
        claimer.release(task)
    others = [
        target for target in range(2, 30) if lane_of(TaskKind.CALL, target) != lane_of(TaskKind.CALL, 1)
    ]
    for target in others:
        lanes.add(target)
    seen: list[int] = []
    while len(set(seen)) < len(others) + 1:
        for task in await claimer.claim():
            seen.append(task.target)
            claimer.release(task)
    assert len(seen) < 5 * len(others)


async def test_a_claim_looks_below_the_floors_only_now_and_then(lanes: Lanes, clock: Clock) -> None:
    claimer = claimer_of(lanes, 10)
    await claimer.claim()
    await claimer.claim()
    clock.now += SWEEP_EVERY.total_seconds()
    await claimer.claim()
    assert [{ask.floor == 0 for ask in asks} for asks in lanes.asked] == [{True}, {False}, {True}]


async def test_sweeps_that_are_slow_become_rare(lanes: Lanes, clock: Clock) -> None:
    claimer = claimer_of(lanes, 10)
    lanes.takes_s = 0.2
    await claimer.claim()
    for _ in range(15):
        await claimer.claim()
    sweeps = [all(ask.floor == 0 for ask in asks) for asks in lanes.asked]
    assert sweeps == [True] + [False] * 15


async def test_a_suspect_runs_alone(lanes: Lanes, clock: Clock) -> None:
    claimer = claimer_of(lanes, 10)
    lanes.add(1, 3)
    held = await claimer.claim()
    lanes.add(9, lane=SUSPECT_LANE)
    lanes.add(2, 5)
    clock.now += 2
    assert await claimer.claim() == []
    for task in held:
        claimer.release(task)
    (suspect,) = await claimer.claim()
    assert suspect.target == 9
    assert await claimer.claim() == []
    claimer.release(suspect)
    assert {task.target for task in await claimer.claim()} == {2}


async def test_a_suspect_that_somebody_else_took_is_not_waited_for(lanes: Lanes, clock: Clock) -> None:
    claimer = claimer_of(lanes, 10)
    lanes.add(1)
    await claimer.claim()
    lanes.add(9, lane=SUSPECT_LANE)
    lanes.add(2)
    clock.now += 2
    assert await claimer.claim() == []
    lanes.tasks[SUSPECT_LANE].clear()
    clock.now += 2
    assert len(await claimer.claim()) == 1


async def test_long_work_is_not_waited_for_forever_but_longer_each_time(lanes: Lanes, clock: Clock) -> None:
    claimer = claimer_of(lanes, 10)
    lanes.add(1)
    await claimer.claim()
    lanes.add(9, lane=SUSPECT_LANE)
    lanes.add(2, 5)
    clock.now += 2
    assert await claimer.claim() == []
    clock.now += FIRST_PATIENCE.total_seconds()
    held = await claimer.claim()
    assert {task.target for task in held} == {2}
    for task in held:
        claimer.release(task)
    clock.now += FIRST_PATIENCE.total_seconds()
    lanes.add(3, 5)
    assert await claimer.claim() == []
    clock.now += 1.5 * FIRST_PATIENCE.total_seconds()
    assert await claimer.claim() == []


async def test_a_full_worker_asks_nobody(lanes: Lanes) -> None:
    claimer = claimer_of(lanes, 1)
    lanes.add(1)
    await claimer.claim()
    asked = len(lanes.asked)
    assert await claimer.claim() == []
    assert len(lanes.asked) == asked
