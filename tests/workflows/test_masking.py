from __future__ import annotations

import html
import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.egress.masking import HIDDEN
from kanca.workflows.masking import Mask
from kanca.workflows.values import NotJson

SECRET = 'pa/ss "wörd" & more+'
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    "spelling",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        "pa%2fss%20%22w%c3%b6rd%22%20%26%20more%2b",
        html.escape(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(SECRET)[1:-1].replace("/", "\\/"),
    ],
)
def test_a_secret_is_found_in_the_usual_spellings(spelling: str) -> None:
    assert Mask([SECRET]).text(f"before {spelling} after") == f"before {HIDDEN} after"


@pytest.mark.parametrize("charset", ["utf-8", "utf-16-le", "utf-16-be"])
def test_bytes_are_looked_through_in_the_usual_charsets(charset: str) -> None:
    content = f"a {SECRET} b".encode(charset)
    masked = Mask([SECRET]).content(content)
    assert SECRET.encode(charset) not in masked
    assert HIDDEN.encode() in masked


def test_of_two_secrets_that_begin_alike_the_longer_one_goes_whole() -> None:
    assert Mask(["12345678", "123456789012"]).text("123456789012") == HIDDEN


@pytest.mark.parametrize(
    ("source", "masked"),
    [
        ('{"a": ["x 12345678 y"]}', {"a": ["x *** y"]}),
        ('{"12345678": 1}', {"***": 1}),
        ('{"a": 12345678, "b": 1234, "c": true}', {"a": "***", "b": 1234, "c": True}),
        ('{"a": 12345678.5}', {"a": "***"}),
        (r'"\u00312345678"', "***"),
    ],
)
def test_a_document_is_masked_whole(source: str, masked: Any) -> None:
    assert Mask(["12345678"]).document(source.encode(), json.loads(source)) == masked


def test_a_document_that_is_too_deep_to_look_through_is_not_let_through() -> None:
    document: Any = "12345678"
    for _ in range(100_000):
        document = [document]
    with pytest.raises(NotJson):
        Mask(["12345678"]).document(b"12345678", document)


@given(documents)
def test_without_secrets_everything_stays_as_it_is(document: Any) -> None:
    source = json.dumps(document)
    assert Mask().document(source.encode(), document) is document
    assert Mask().text(source) == source
    assert Mask().content(source.encode()) == source.encode()


@given(
    documents,
    st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="*"), min_size=8, max_size=20),
)
def test_nothing_is_left_of_a_secret_wherever_it_stands(document: Any, secret: str) -> None:
    mixed = {"a": [document, {secret: f"{document}{secret}"}]}
    source = json.dumps(mixed)
    assert secret not in json.dumps(
        Mask([secret]).document(source.encode(), json.loads(source)), ensure_ascii=False
    )
