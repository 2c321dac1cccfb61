"""After so many failures in a row nothing is sent for a while, then one attempt tries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.outbound.breaker import EARLY_S, FIRST_BREAK_S, LONGEST_BREAK_S, Breaker


def opened(threshold: int = 3, at: float = 100.0) -> Breaker:
    breaker = Breaker(threshold)
    for _ in range(threshold):
        breaker.begun(at)
        breaker.failed(at)
    return breaker


def tried(breaker: Breaker, at: float) -> None:
    """One attempt tries, and fails."""
    assert breaker.lets_through(at)
    breaker.begun(at)
    breaker.failed(at)


def test_it_opens_at_so_many_failures_in_a_row_and_not_before() -> None:
    breaker = Breaker(3)
    for _ in range(2):
        breaker.failed(100.0)
    assert breaker.lets_through(100.0)
    breaker.failed(100.0)
    assert breaker.is_open
    assert not breaker.lets_through(100.0 + FIRST_BREAK_S - 0.001)
    assert breaker.lets_through(100.0 + FIRST_BREAK_S)


def test_a_success_between_failures_begins_the_count_anew() -> None:
    breaker = Breaker(3)
    for _ in range(10):
        breaker.failed(100.0)
        breaker.failed(100.0)
        breaker.succeeded()
    assert not breaker.is_open


def test_while_one_attempt_tries_no_other_is_made() -> None:
    breaker = opened(at=100.0)
    now = breaker.opens_at
    assert breaker.lets_through(now)
    breaker.begun(now)
    assert not breaker.lets_through(now + 1_000)


def test_every_attempt_that_tries_in_vain_doubles_the_break_up_to_five_minutes() -> None:
    breaker = opened(at=100.0)
    breaks = [breaker.break_s]
    for _ in range(8):
        now = breaker.opens_at
        tried(breaker, now)
        assert breaker.opens_at == now + breaker.break_s
        breaks.append(breaker.break_s)
    assert breaks == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert breaks[-1] == LONGEST_BREAK_S


def test_an_attempt_that_succeeds_closes_it_and_the_next_break_is_a_short_one() -> None:
    breaker = opened(at=100.0)
    tried(breaker, breaker.opens_at)
    breaker.begun(breaker.opens_at)
    breaker.succeeded()
    assert not breaker.is_open
    assert breaker.lets_through(0.0)
    for _ in range(3):
        breaker.failed(1_000.0)
    assert breaker.break_s == FIRST_BREAK_S


def test_what_began_before_it_opened_does_not_make_the_break_longer() -> None:
    breaker = Breaker(3)
    for _ in range(50):
        breaker.begun(100.0)
    for second in range(50):
        breaker.failed(100.0 + second / 10)
    assert breaker.break_s == FIRST_BREAK_S
    assert breaker.opens_at == pytest.approx(100.2 + FIRST_BREAK_S)


def test_an_attempt_that_was_cut_short_makes_room_for_another_at_once() -> None:
    breaker = opened(at=100.0)
    now = breaker.opens_at
    breaker.begun(now)
    breaker.left()
    assert breaker.is_open
    assert breaker.lets_through(now)


def test_a_delivery_that_was_tried_before_may_try_early_once_in_each_break() -> None:
    breaker = opened(at=100.0)
    tried(breaker, breaker.opens_at)
    begins_at, ends_at = breaker.opens_at - breaker.break_s, breaker.opens_at
    assert not breaker.lets_retry_through(begins_at + EARLY_S - 0.001)
    early = begins_at + EARLY_S
    assert breaker.lets_retry_through(early)
    assert not breaker.lets_through(early)

    breaker.begun(early)
    assert not breaker.lets_retry_through(early)
    breaker.failed(early)

    assert (breaker.opens_at, breaker.lets_retry_through(ends_at - 0.001)) == (ends_at, False)
    tried(breaker, ends_at)
    assert breaker.break_s == 4 * FIRST_BREAK_S
    assert breaker.lets_retry_through(ends_at + EARLY_S)
    breaker.begun(ends_at + EARLY_S)
    breaker.succeeded()
    assert breaker.lets_through(ends_at + EARLY_S)


@given(st.lists(st.sampled_from(["well", "ill", "cut"])), st.integers(1, 5))
def test_whatever_happens_it_lets_something_through_in_the_end(ends: list[str], threshold: int) -> None:
    breaker, now = Breaker(threshold), 0.0
    for end in ends:
        now = max(now, breaker.opens_at) if breaker.is_open else now
        assert breaker.lets_through(now)
        breaker.begun(now)
        match end:
            case "well":
                breaker.succeeded()
            case "ill":
                breaker.failed(now)
            case _:
                breaker.left()
        assert breaker.opens_at <= now + LONGEST_BREAK_S
    assert breaker.lets_through(now + LONGEST_BREAK_S)
