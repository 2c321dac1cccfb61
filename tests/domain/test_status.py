"""An event's status is derived from the outcomes of its work."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.status import EventStatus, OutcomeStatus, event_status

S, D, K, X = OutcomeStatus.SUCCEEDED, OutcomeStatus.DEAD, OutcomeStatus.SKIPPED, OutcomeStatus.EXPANDED


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([], "pending"),
        ([(S, 1)], "succeeded"),
        ([(D, 1)], "dead"),
        ([(K, 0)], "skipped"),
        ([(X, 2)], "pending"),
        ([(X, 2), (S, None)], "pending"),
        ([(X, 2), (S, None), (D, None)], "dead"),
        ([(X, 2), (S, None), (K, None)], "succeeded"),
        ([(X, 2), (K, None), (K, None)], "skipped"),
        ([(S, None)], "pending"),
    ],
)
def test_the_status_follows_from_the_outcomes(
    outcomes: list[tuple[OutcomeStatus, int | None]], status: str
) -> None:
    assert event_status(outcomes) == status


@given(st.lists(st.sampled_from([S, D, K]), min_size=2, max_size=6).flatmap(st.permutations))
def test_the_order_of_outcomes_does_not_matter(statuses: list[OutcomeStatus]) -> None:
    rows: list[tuple[OutcomeStatus, int | None]] = [(status, None) for status in statuses]
    expanded: tuple[OutcomeStatus, int | None] = (X, len(statuses))
    assert event_status([expanded, *rows]) == event_status([*sorted(rows), expanded]) != EventStatus.PENDING
