"""How a receiver is follows from how its attempts ended, and what is done about it from that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kanca.domain.subscription_health import (
    FAILING_AFTER,
    NOTED_EVERY,
    Condition,
    Health,
    condition,
    is_worth_noting,
)

NOW = datetime(2026, 5, 4, tzinfo=UTC)
DAYS_5 = timedelta(days=5)
SECOND = timedelta(seconds=1)


def test_it_fails_since_the_first_failure_after_the_last_success() -> None:
    health = Health(7).after_success(NOW).after_failure(NOW + SECOND, "timeout")
    health = health.after_failure(NOW + 2 * SECOND, "receiver_error")
    assert health == Health(
        7,
        failing_since=NOW + SECOND,
        last_success_at=NOW,
        last_failure_at=NOW + 2 * SECOND,
        last_error="receiver_error",
    )


def test_a_success_ends_it_and_the_last_failure_is_still_known() -> None:
    health = Health(7).after_failure(NOW, "timeout").after_success(NOW + SECOND)
    assert health == Health(
        7, failing_since=None, last_success_at=NOW + SECOND, last_failure_at=NOW, last_error="timeout"
    )


@pytest.mark.parametrize(
    ("failing_for", "expected"),
    [
        (None, Condition.WELL),
        (timedelta(0), Condition.WELL),
        (FAILING_AFTER - SECOND, Condition.WELL),
        (FAILING_AFTER, Condition.FAILING),
        (DAYS_5 - SECOND, Condition.FAILING),
        (DAYS_5, Condition.LOST),
        (10 * DAYS_5, Condition.LOST),
    ],
)
def test_people_are_told_after_ten_minutes_and_after_days_it_is_disabled(
    failing_for: timedelta | None, expected: Condition
) -> None:
    health = Health(7, failing_since=None if failing_for is None else NOW - failing_for)
    assert condition(health, NOW, DAYS_5) is expected


def test_where_it_is_disabled_soon_people_are_told_before_that() -> None:
    soon = timedelta(minutes=4)
    found = [
        condition(Health(7, failing_since=NOW - minutes * timedelta(minutes=1)), NOW, soon)
        for minutes in range(5)
    ]
    assert found == [
        Condition.WELL,
        Condition.WELL,
        Condition.FAILING,
        Condition.FAILING,
        Condition.LOST,
    ]


def test_every_change_between_well_and_failing_is_noted_at_once() -> None:
    well, ill = Health(7).after_success(NOW), Health(7).after_failure(NOW, "timeout")
    assert is_worth_noting(well, well.after_failure(NOW, "timeout"))
    assert is_worth_noting(ill, ill.after_success(NOW))


def test_what_goes_on_as_it_did_is_noted_once_a_minute() -> None:
    stored = Health(7).after_success(NOW)
    assert is_worth_noting(Health(7), stored)
    assert not is_worth_noting(stored, stored)
    assert not is_worth_noting(stored, stored.after_success(NOW + NOTED_EVERY - SECOND))
    assert is_worth_noting(stored, stored.after_success(NOW + NOTED_EVERY))
    ill = stored.after_failure(NOW, "timeout")
    assert not is_worth_noting(ill, ill.after_failure(NOW + NOTED_EVERY - SECOND, "timeout"))
    assert is_worth_noting(ill, ill.after_failure(NOW + NOTED_EVERY, "timeout"))
