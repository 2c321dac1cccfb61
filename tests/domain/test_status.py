"""An event's status is derived from the outcomes of its work."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.status import DeliveryStatus, EventStatus, OutcomeStatus, event_status

S, D, K, X = OutcomeStatus.SUCCEEDED, OutcomeStatus.DEAD, OutcomeStatus.SKIPPED, OutcomeStatus.EXPANDED
A = OutcomeStatus.ADDED
V, N, L = DeliveryStatus.DELIVERED, DeliveryStatus.DEAD, DeliveryStatus.SKIPPED


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


@pytest.mark.parametrize(
    ("outcomes", "deliveries", "status"),
    [
        ([(X, 2)], {V: 1}, "pending"),
        ([(X, 2)], {V: 2}, "succeeded"),
        ([(X, 3), (S, None)], {V: 1, N: 1}, "dead"),
        ([(X, 2)], {L: 2}, "skipped"),
        ([(X, 2), (S, None)], {L: 1}, "succeeded"),
        ([(S, 1), (A, 2)], {V: 1}, "pending"),
        ([(S, 1), (A, 2)], {V: 2}, "succeeded"),
        ([(X, 1), (S, 1)], {}, "succeeded"),
        ([(K, 0), (A, 1)], {}, "pending"),
        ([(K, 0), (A, 1)], {V: 1}, "succeeded"),
        ([(A, 2)], {V: 2}, "pending"),
    ],
)
def test_deliveries_are_pieces_of_work_too(
    outcomes: list[tuple[OutcomeStatus, int | None]], deliveries: dict[DeliveryStatus, int], status: str
) -> None:
    assert event_status(outcomes, deliveries) == status


@given(st.lists(st.sampled_from([S, D, K]), min_size=2, max_size=6).flatmap(st.permutations))
def test_the_order_of_outcomes_does_not_matter(statuses: list[OutcomeStatus]) -> None:
    rows: list[tuple[OutcomeStatus, int | None]] = [(status, None) for status in statuses]
    expanded: tuple[OutcomeStatus, int | None] = (X, len(statuses))
    assert event_status([expanded, *rows]) == event_status([*sorted(rows), expanded]) != EventStatus.PENDING
