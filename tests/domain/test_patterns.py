"""Event types and the patterns that match them."""

from __future__ import annotations

import pytest

from kanca.domain.patterns import is_pattern, matches


@pytest.mark.parametrize(
    ("pattern", "event_type", "fits"),
    [
        ("order.created", "order.created", True),
        ("order.created", "order.createdx", False),
        ("order.created", "orderXcreated", False),
        ("order.*", "order.created", True),
        ("order.*", "order.item.added", True),
        ("order.*", "order", False),
        ("order.*", "orders.created", False),
        ("*.created", "order.created", True),
        ("*.created", "order.item.created", True),
        ("*", "anything at all\nreally", True),
        ("push", "pushed", False),
    ],
)
def test_a_pattern_fits_what_it_says(pattern: str, event_type: str, fits: bool) -> None:
    assert matches(pattern, event_type) is fits


@pytest.mark.parametrize(
    "text", ["order.created", "order.*", "*.created", "*", "orders/create", "pull_request.opened"]
)
def test_these_are_patterns(text: str) -> None:
    assert is_pattern(text)


@pytest.mark.parametrize("text", ["", "order.**", "or*der", "order created", "*.*", "**", "order.*.created"])
def test_these_are_not(text: str) -> None:
    assert not is_pattern(text)
