"""The one reader of JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.bodies import MAX_DEPTH, Unreadable, read_json

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec=None)),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=30,
)


@given(JSON_VALUES)
def test_whatever_json_can_say_is_read_as_pythons_json_reads_it(value: Any) -> None:
    text = json.dumps(value).encode()
    assert read_json(text) == json.loads(text)


@given(JSON_VALUES, st.sampled_from(["utf-8-sig", "utf-16", "utf-32"]))
def test_a_byte_order_mark_says_what_json_is_written_in(value: Any, charset: str) -> None:
    assert read_json(json.dumps(value).encode(charset)) == value


@given(st.binary(min_size=1, max_size=200).filter(lambda text: text[0] not in b"\xef\xfe\xff\x00"))
def test_what_is_taken_as_json_is_what_pythons_json_takes(text: bytes) -> None:
    try:
        expected = json.loads(text.decode(), parse_constant=_refuse)
    except ValueError:
        with pytest.raises(Unreadable):
            read_json(text)
    else:
        assert read_json(text) == expected


def _refuse(name: str) -> None:
    raise ValueError(name)


def code_of(text: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        read_json(text)
    return caught.value.code


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("beside", [b"", b"," + b"[]," * MAX_DEPTH + b"[]"])
def test_nesting_is_taken_up_to_a_depth_and_no_deeper(opening: bytes, closing: bytes, beside: bytes) -> None:
    def nested(levels: int) -> bytes:
        inner = opening * levels + b"1" + closing * levels
        return b"[" + inner + beside + b"]"

    read_json(nested(MAX_DEPTH - 1))
    assert code_of(nested(MAX_DEPTH)) == "nested_too_deeply"
    assert read_json(nested(MAX_DEPTH), max_depth=None)


def test_whatever_its_reader_allows_no_nesting_exhausts_the_stack() -> None:
    for text in (b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000):
        with pytest.raises(Unreadable) as caught:
            read_json(text, max_depth=None)
        assert caught.value.code == "nested_too_deeply"


def test_brackets_within_text_are_no_nesting() -> None:
    assert read_json(b'"' + b"[" * 10_000 + b'"') == "[" * 10_000


def test_a_number_beyond_a_float_is_infinite() -> None:
    assert read_json(b"1e999") == math.inf


@pytest.mark.parametrize(
    ("text", "code", "detail"),
    [
        (b"", "empty_body", "The body is empty."),
        (b'{"a":01}', "invalid_json", "The body is not valid JSON: Expecting ',' delimiter (character 6)."),
        (b'"abc\xff"', "invalid_utf8", "The body is JSON, but not UTF-8 (byte 4)."),
        (b"\xff\xfea", "invalid_utf8", "The body is JSON, but not UTF-16 (byte 2)."),
        (b"[NaN]", "invalid_json", "The body cannot be read as JSON: JSON has no NaN."),
        (b"[-Infinity]", "invalid_json", "The body cannot be read as JSON: JSON has no -Infinity."),
        (b"{} {}", "invalid_json", "The body is not valid JSON: Extra data (character 3)."),
    ],
)
def test_what_is_not_json_is_refused_and_it_is_said_where(text: bytes, code: str, detail: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_json(text)
    assert (caught.value.code, caught.value.detail) == (code, detail)


def test_a_number_too_long_to_read_is_refused() -> None:
    assert code_of(b"1" * 5000) == "invalid_json"
