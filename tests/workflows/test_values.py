from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from kanca.workflows.values import MAX_VALUE_BYTES, NotJson, read_json, write_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class Invoice(BaseModel):
    number: int
    total: Decimal


@dataclass
class Line:
    product: str


@given(JSON)
def test_what_json_can_say_comes_back_as_it_was(value: Any) -> None:
    assert read_json(write_json(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Invoice(number=7, total=Decimal("1.50")), b'{"number":7,"total":"1.50"}'),
        ([Line("pen")], b'[{"product":"pen"}]'),
        ({"at": datetime(2026, 1, 2, tzinfo=UTC)}, b'{"at":"2026-01-02T00:00:00Z"}'),
        ("\ud800", b'"\\ud800"'),
        ({"text": "\ud800", "invoice": Invoice(number=7, total=Decimal(1))}, None),
        (2**70, b"1180591620717411303424"),
    ],
)
def test_python_values_have_a_form_in_json(value: Any, text: bytes | None) -> None:
    written = write_json(value)
    assert text is None or written == text
    read_json(written)


@pytest.mark.parametrize("beside", ["", "\ud800"])
def test_a_number_that_is_none_is_null_whatever_stands_beside_it(beside: str) -> None:
    assert read_json(write_json([float("nan"), float("inf"), beside])) == [None, None, beside]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "of type object has no form"),
        ({(1, 2): 3}, "of type tuple"),
        ("x" * MAX_VALUE_BYTES, "larger than 8 MB"),
    ],
)
def test_a_value_without_a_form_in_json_is_refused(value: Any, words: str) -> None:
    with pytest.raises(NotJson, match=words):
        write_json(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotJson, match="nested"):
        write_json(value)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 5000, b"NaN"])
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(NotJson):
        read_json(text)
