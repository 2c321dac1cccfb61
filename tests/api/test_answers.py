from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from kanca.api.answers import Json, error_message, readable, stored_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Inner(BaseModel):
    payload: object


class Outer(BaseModel):
    items: list[Inner]


@given(JSON, st.booleans())
def test_stored_json_is_passed_on_byte_for_byte(value: object, escaped: bool) -> None:
    try:
        text = json.dumps(value, ensure_ascii=escaped, allow_nan=False).encode()
    except ValueError:
        return  # infinity, or a lone surrogate that is not escaped: that is no JSON
    answer = Json(Outer(items=[Inner(payload=stored_json(text))]))
    assert answer.body == b'{"items":[{"payload":' + text + b"}]}"


@given(st.binary())
def test_an_answer_with_any_stored_bytes_is_json(text: bytes) -> None:
    json.loads(bytes(Json(Inner(payload=stored_json(text))).body))


@pytest.mark.parametrize(
    "text",
    [b'"\\ud800"', b"1e999", b"1" * 5000, b'{"a":1,"a":2}', b"[" * 900 + b"]" * 900, b'"\\u0000"'],
    ids=lambda text: repr(text[:20]),
)
def test_unusual_json_is_json(text: bytes) -> None:
    assert Json({"it": stored_json(text)}).body == b'{"it":' + text + b"}"


@pytest.mark.parametrize(
    "text",
    [None, b"", b" ", b"NaN", b"[-Infinity]", b"\xff", b'"\xed\xa0\x80"', b"{} {}", b"[" * 100_000, b"nul"],
    ids=lambda text: repr(text)[:20],
)
def test_what_is_no_json_is_left_out(text: bytes | None) -> None:
    assert stored_json(text) is None


def test_a_byte_order_mark_is_no_part_of_the_document() -> None:
    assert Json({"it": stored_json(b'\xef\xbb\xbf {"a": 1} \n')}).body == b'{"it":{"a": 1}}'


def test_what_utf8_cannot_say_is_replaced() -> None:
    assert readable("a\ud800b") == "a?b"


@pytest.mark.parametrize("cause", [b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000])
def test_a_cause_that_cannot_be_read_says_so(cause: bytes) -> None:
    assert error_message(cause) == "The cause cannot be read."


def test_a_cause_says_its_message() -> None:
    assert error_message(b'{"code":"x","message":"it is \\ud800 late"}') == "it is ? late"
