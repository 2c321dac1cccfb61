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
