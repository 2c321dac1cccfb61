from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kanca.domain import positions
from kanca.domain.positions import PositionClock
from kanca.domain.task import TaskKind


class Now:
    def __init__(self) -> None:
        self.us = 1_000_000

    def __call__(self) -> int:
        return self.us


def test_a_burst_is_spread_out_and_others_stand_among_it() -> None:
    now = Now()
    clock = PositionClock(now, spacing_us=1000)
    burst = [clock.next(TaskKind.DISPATCH, 1) for _ in range(100)]
    assert burst == [1_000_000 + 1000 * n for n in range(100)]
    now.us += 10_500
    assert clock.next(TaskKind.DISPATCH, 2) == 1_010_500
    assert clock.next(TaskKind.CALL, 1) == 1_010_500


def test_whoever_waited_long_enough_stands_at_the_present() -> None:
    now = Now()
    clock = PositionClock(now, spacing_us=1000)
    clock.next(TaskKind.DISPATCH, 1)
    now.us += 1000
    assert clock.next(TaskKind.DISPATCH, 1) == now.us


def test_a_clock_that_goes_back_does_not_break_the_order() -> None:
    now = Now()
    clock = PositionClock(now, spacing_us=1000)
    first = clock.next(TaskKind.DISPATCH, 1)
    now.us -= 500_000
    assert clock.next(TaskKind.DISPATCH, 1) == first + 1000


def test_targets_that_are_idle_are_forgotten() -> None:
    now = Now()
    clock = PositionClock(now, spacing_us=1)
    for target in range(10 * positions._SWEEP_AT):  # noqa: SLF001 - the bound is what this is about
        clock.next(TaskKind.DISPATCH, target)
        now.us += 1
    assert len(clock._next) <= positions._SWEEP_AT + 1  # noqa: SLF001 - there is no other way to see it


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-2000, 5000))))
def test_positions_of_a_target_always_grow(steps: list[tuple[int, int]]) -> None:
    now = Now()
    clock = PositionClock(now, spacing_us=1000)
    last: dict[int, int] = {}
    for target, step in steps:
        now.us += step
        position = clock.next(TaskKind.RUN, target)
        assert position >= now.us
        assert position >= last.get(target, 0) + 1000
        last[target] = position


def test_after_a_clock_that_was_a_day_ahead_nobody_waits_a_day() -> None:
    now = Now()
    clock = PositionClock(now, spacing_us=1000)
    now.us += 86_400_000_000
    clock.next(TaskKind.DISPATCH, 1)
    now.us -= 86_400_000_000
    assert clock.next(TaskKind.DISPATCH, 1) == now.us
