"""From bytes to a document, or to a refusal."""

from __future__ import annotations

import pytest

from kanca.bodies import Body, Kind
from kanca.ingest.parsing import parse, parse_json, parse_signed
from kanca.ingest.refusal import RULES, Refusal
from kanca.providers import SignedRequest


def saying(body: bytes, content_type: bytes | None) -> SignedRequest:
    headers = {} if content_type is None else {b"content-type": content_type}
    return SignedRequest("POST", "", headers, body)


def test_a_body_gives_its_document() -> None:
    assert parse(saying(b"a=1", b"application/x-www-form-urlencoded")) == Body(Kind.FORM, {"a": "1"})
    assert parse(saying(b'{"a":1}', None)) == Body(Kind.JSON, {"a": 1})
    assert parse_json(b'{"a":1}') == {"a": 1}


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        (b"text/plain", b"", "empty_body"),
        (b"application/json", b"{", "invalid_json"),
        (b"application/json", b'"\xff"', "invalid_utf8"),
        (b"application/json", b"[" * 300 + b"]" * 300, "nested_too_deeply"),
        (b"application/json; charset=none", b"{}", "unsupported_charset"),
        (b"text/plain; charset=ascii", b"\xff", "invalid_text"),
        (b"application/x-www-form-urlencoded; charset=ascii", b"\xff", "invalid_form"),
        (b"multipart/form-data; boundary=b", b"a=1", "invalid_multipart"),
        (b"text/xml", b"a=1", "invalid_xml"),
        (b"application/x-www-form-urlencoded", b"&" * 10_000, "too_many_parts"),
    ],
)
def test_every_body_that_cannot_be_read_has_its_refusal(content_type: bytes, body: bytes, code: str) -> None:
    refusal = parse(saying(body, content_type))
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
    assert refusal.rule is RULES[code]
    assert refusal.detail


def test_a_refusal_says_where() -> None:
    refusal = parse_json(b'{"a":01}')
    assert isinstance(refusal, Refusal)
    assert refusal.detail == "The body is not valid JSON: Expecting ',' delimiter (character 6)."


@pytest.mark.parametrize(
    "content_type", ["application/x-ndjson", "text/plain; charset=utf-16", "image/png", ""]
)
def test_a_signed_json_text_is_that_whatever_the_header_says(content_type: str) -> None:
    said = parse_signed(saying(b'\n{"id": "evt_1"}', content_type.encode()))
    assert isinstance(said, Body)
    assert (said.kind, said.document) == (Kind.JSON, {"id": "evt_1"})


def test_what_is_signed_and_no_json_is_what_the_header_says() -> None:
    for content_type, body, kind in (
        (b"application/x-ndjson", b'{"a": 1}\n{"a": 2}', Kind.NDJSON),
        (b"text/plain", b"[a template", Kind.TEXT),
        (b"application/x-www-form-urlencoded", b"a=1", Kind.FORM),
    ):
        said = parse_signed(saying(body, content_type))
        assert isinstance(said, Body)
        assert said.kind is kind
