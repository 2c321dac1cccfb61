from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.task import Task, TaskKind
from kanca.workers.workbench import Held, Workbench


def held(lane: int, number: int = 0) -> Held:
    task = Task(number, TaskKind.DISPATCH, UUID(int=number), lane, None, None, 0, 0, 1)
    return Held(task, None, None, None, None, None, lane)


def bench_of(lanes: Sequence[int]) -> Workbench:
    bench = Workbench()
    for number, lane in enumerate(lanes):
        bench.put(held(lane, number))
    return bench


def begin_all(bench: Workbench, slots: int) -> list[Held]:
    begun = []
    while (one := bench.next(slots)) is not None:
        begun.append(one)
    return begun


def test_tasks_of_a_lane_begin_in_their_order() -> None:
    begun = begin_all(bench_of([1] * 5), slots=100)
    assert [each.task.id for each in begun] == [0, 1, 2, 3, 4]


def test_lanes_take_turns() -> None:
    begun = begin_all(bench_of([1, 1, 1, 2, 2, 3]), slots=100)
    assert [each.lane for each in begun] == [1, 2, 3, 1, 2, 1]


def test_the_last_slot_is_for_a_lane_that_has_none() -> None:
    bench = bench_of([1] * 10)
    alone = begin_all(bench, slots=4)
    assert 0 < len(alone) < 4
    bench.put(held(2, 99))
    assert [each.lane for each in begin_all(bench, slots=4)] == [2]


def test_what_is_done_makes_room() -> None:
    bench = bench_of([1, 1])
    first = bench.next(1)
    assert first is not None
    assert bench.next(1) is None
    bench.done(first)
    assert bench.next(1) is not None


def test_what_waits_can_be_taken_back() -> None:
    bench = bench_of([1, 2, 2])
    bench.next(1)
    assert [each.task.id for each in bench.clear()] == [1, 2]
    assert (bench.waiting, bench.active) == (0, 1)


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 12))
def test_everything_begins_once_and_never_more_than_there_are_slots(lanes: list[int], slots: int) -> None:
    bench = bench_of(lanes)
    begun: list[Held] = []
    at_work: list[Held] = []
    while bench.waiting or at_work:
        at_work += begin_all(bench, slots)
        assert 0 < len(at_work) == bench.active <= slots
        begun.append(at_work.pop(0))
        bench.done(begun[-1])
    assert sorted(each.task.id for each in begun) == list(range(len(lanes)))
