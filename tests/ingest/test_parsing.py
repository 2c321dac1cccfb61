"""From bytes to a document."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.ingest.parsing import MAX_DEPTH, OPAQUE, parse, parse_json
from kanca.ingest.refusal import Refusal

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
    body = json.dumps(value).encode()
    assert parse(body, b"application/json") == json.loads(body)


@given(st.binary(max_size=200), st.sampled_from([None, b"application/json", b"text/plain", b"\xff"]))
def test_no_body_makes_parsing_fail(body: bytes, content_type: bytes | None) -> None:
    parse(body, content_type)


@given(st.binary(min_size=1, max_size=200))
def test_what_is_taken_as_json_is_what_pythons_json_takes(body: bytes) -> None:
    document = parse_json(body)
    try:
        expected = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse)
    except ValueError:
        assert isinstance(document, Refusal)
    else:
        assert document == expected


def _refuse(name: str) -> None:
    raise ValueError(name)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("beside", [b"", b"," + b"[]," * MAX_DEPTH + b"[]"])
def test_nesting_is_taken_up_to_a_depth_and_no_deeper(opening: bytes, closing: bytes, beside: bytes) -> None:
    def nested(levels: int) -> bytes:
        inner = opening * levels + b"1" + closing * levels
        return b"[" + inner + beside + b"]"

    assert not isinstance(parse_json(nested(MAX_DEPTH - 1)), Refusal)
    refusal = parse_json(nested(MAX_DEPTH))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "nested_too_deeply"


def test_brackets_within_text_are_no_nesting() -> None:
    assert parse_json(b'"' + b"[" * 10_000 + b'"') == "[" * 10_000


def test_a_number_beyond_a_float_is_infinite() -> None:
    assert parse_json(b"1e999") == math.inf


@pytest.mark.parametrize(
    ("content_type", "is_claim"),
    [
        (None, True),
        (b"application/json", True),
        (b"Application/JSON; charset=utf-8", True),
        (b"text/json", True),
        (b"application/cloudevents+json", True),
        (b"application/x-ndjson", False),
        (b"text/plain", False),
        (b"", False),
        (b"\xff\x00;", False),
    ],
)
def test_a_body_that_claims_to_be_json_must_be(content_type: bytes | None, is_claim: bool) -> None:
    document = parse(b"{not json", content_type)
    assert isinstance(document, Refusal) == is_claim
    assert (document is OPAQUE) == (not is_claim)
    assert parse(b' \n{"a":1}', content_type) == {"a": 1}


@pytest.mark.parametrize("body", [b"1", b'"a"', b"null", b"[" * 100_000, b"[" * 500 + b"]" * 500])
def test_a_body_of_another_kind_is_opaque_unless_it_is_an_object_or_a_list(body: bytes) -> None:
    assert parse(body, b"text/plain") is OPAQUE


def test_a_refusal_says_where() -> None:
    refusal = parse_json(b'{"a":01}')
    assert isinstance(refusal, Refusal)
    assert refusal.detail == "The body is not valid JSON: Expecting ',' delimiter (character 6)."
    refusal = parse_json(b'"abc\xff"')
    assert isinstance(refusal, Refusal)
    assert refusal.detail == "The body is JSON, but not UTF-8 (byte 4)."
