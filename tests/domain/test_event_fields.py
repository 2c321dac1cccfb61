from __future__ import annotations

import pytest

from kanca.domain.event_fields import HASHED, LONGEST_VALUE, read_wanted, stored_value


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("C-1", "C-1"),
        (42, "42"),
        (4.5, "4.5"),
        (True, "true"),
        ("", ""),
        (None, None),
        ([1], None),
        ({}, None),
    ],
)
def test_text_numbers_and_booleans_are_values(value: object, stored: str | None) -> None:
    assert stored_value(value) == stored


@pytest.mark.parametrize("text", ["x" * (LONGEST_VALUE + 1), "\0", "\ud800", "a\nb"])
def test_what_is_long_or_no_column_takes_becomes_a_hash(text: str) -> None:
    stored = stored_value(text)
    assert stored is not None
    assert stored.startswith(HASHED)
    assert read_wanted(f"a:{text}") == ("a", stored)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("data.id:42", ("data.id", "42")),
        ("$.data.id:42", ("data.id", "42")),
        ("url:http://x", ("url", "http://x")),
        ("id:", ("id", "")),
        ("id", None),
        (":42", None),
        ("$.:42", None),
    ],
)
def test_a_path_stands_before_the_first_colon(text: str, wanted: tuple[str, str] | None) -> None:
    assert read_wanted(text) == wanted
