"""Forms."""

from __future__ import annotations

import tracemalloc
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.bodies import Unreadable
from kanca.bodies.form import MAX_FORM_BYTES, MOST_FIELDS, read_form

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=8))
def test_every_field_comes_back_and_repeated_ones_in_their_order(fields: list[tuple[str, str]]) -> None:
    found = read_form(urlencode(fields).encode(), None)
    for name in {name for name, _ in fields}:
        values = [value for key, value in fields if key == name]
        assert found[name] == (values[0] if len(values) == 1 else values)
    assert len(found) == len({name for name, _ in fields})


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (b"a=&b", {"a": "", "b": ""}),
        (b"a=1&&b=2&", {"a": "1", "b": "2"}),
        (b"a=x+y%20z%2B", {"a": "x y z+"}),
        (b"a=1=2", {"a": "1=2"}),
        (b"a=%zz%", {"a": "%zz%"}),
        (b"a=%00", {"a": "\x00"}),
        (b"a=1\r\n", {"a": "1"}),
        ("ş=ğ".encode(), {"ş": "ğ"}),
        (b"name=Jos%E9", {"name": "José"}),
        (b"name=Jos\xe9", {"name": "José"}),
    ],
)
def test_forms_are_read_as_browsers_write_them(body: bytes, form: dict[str, str]) -> None:
    assert read_form(body, None) == form


def test_a_form_is_in_the_charset_that_it_says() -> None:
    assert read_form(b"a=%FE", "iso-8859-9") == {"a": "ş"}
    with pytest.raises(Unreadable) as caught:
        read_form(b"a=%FE", "utf-8")
    assert caught.value.code == "invalid_form"


def test_a_form_has_so_many_bytes_and_fields_and_no_more() -> None:
    with pytest.raises(Unreadable) as caught:
        read_form(b"a" * (MAX_FORM_BYTES + 1), None)
    assert caught.value.code == "payload_too_large"
    assert len(read_form(b"a&" * (MOST_FIELDS - 1) + b"b", None)["a"]) == MOST_FIELDS - 1
    with pytest.raises(Unreadable) as caught:
        read_form(b"a&" * MOST_FIELDS + b"b", None)
    assert caught.value.code == "too_many_parts"


def test_a_form_of_percent_signs_costs_little_more_than_itself() -> None:
    body = b"a=" + b"%" * 400_000
    tracemalloc.start()
    try:
        assert read_form(body, None) == {"a": "%" * 400_000}
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 5 * len(body)
