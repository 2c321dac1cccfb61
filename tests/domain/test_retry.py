"""What follows a failed attempt."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.retry import GiveUp, RetryAfter, RetryPolicy, after_failure

STEADY = RetryPolicy(jitter=0)


def test_delays_double_from_one_second_and_the_fifth_failure_is_the_last() -> None:
    decisions = [after_failure(number, STEADY, chance=0.5) for number in range(1, 6)]
    assert decisions == [*(RetryAfter(timedelta(seconds=s)) for s in (1, 2, 4, 8)), GiveUp()]


def test_delays_stop_growing_at_the_cap() -> None:
    assert after_failure(50, RetryPolicy(max_attempts=100, jitter=0), 0.0) == RetryAfter(
        timedelta(seconds=300)
    )


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(1, 10), st.floats(0, 1))
def test_a_delay_is_never_above_the_cap_nor_negative(
    number: int, chance: float, factor: float, jitter: float
) -> None:
    policy = RetryPolicy(max_attempts=20_000, backoff_factor=factor, jitter=jitter)
    decision = after_failure(number, policy, chance)
    assert isinstance(decision, RetryAfter)
    assert timedelta(0) <= decision.delay <= policy.max_delay


def test_jitter_only_shortens() -> None:
    policy = RetryPolicy(jitter=0.2)
    assert after_failure(1, policy, chance=0.0) == RetryAfter(timedelta(seconds=1))
    assert after_failure(1, policy, chance=1.0) == RetryAfter(timedelta(seconds=0.8))


def test_what_the_work_asked_for_replaces_the_delay_but_not_the_limit() -> None:
    asked = timedelta(hours=2)
    assert after_failure(1, STEADY, 0.0, asked) == RetryAfter(asked)
    assert after_failure(5, STEADY, 0.0, asked) == GiveUp()
    assert after_failure(1, STEADY, 0.0, timedelta(seconds=-5)) == RetryAfter(timedelta(0))


SCHEDULED = RetryPolicy(
    max_attempts=6, jitter=0, schedule=tuple(timedelta(seconds=s) for s in (5, 300, 7200))
)


def test_a_schedule_gives_the_delays_one_by_one_and_its_last_one_for_all_that_follow() -> None:
    decisions = [after_failure(number, SCHEDULED, chance=0.5) for number in range(1, 7)]
    assert decisions == [*(RetryAfter(timedelta(seconds=s)) for s in (5, 300, 7200, 7200, 7200)), GiveUp()]


def test_a_schedule_replaces_the_growing_delays_and_their_cap() -> None:
    policy = RetryPolicy(
        jitter=0,
        initial_delay=timedelta(seconds=1),
        max_delay=timedelta(seconds=2),
        schedule=(timedelta(days=1),),
    )
    assert after_failure(1, policy, 0.0) == RetryAfter(timedelta(days=1))


def test_jitter_shortens_a_schedule_too() -> None:
    policy = RetryPolicy(jitter=0.2, schedule=(timedelta(seconds=100),))
    assert after_failure(1, policy, chance=1.0) == RetryAfter(timedelta(seconds=80))


def test_what_the_work_asked_for_replaces_a_schedule_but_not_the_limit() -> None:
    asked = timedelta(seconds=30)
    assert after_failure(2, SCHEDULED, 0.0, asked) == RetryAfter(asked)
    assert after_failure(6, SCHEDULED, 0.0, asked) == GiveUp()
