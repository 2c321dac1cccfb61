"""Reading a body by its content type."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.bodies import Body, Kind, Unreadable, decode_content, read_body, read_document

CONTENT_TYPES = [
    "application/json",
    "application/problem+json; charset=iso-8859-9",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=shift_jis",
    "multipart/form-data; boundary=b",
    "multipart/form-data",
    "application/xml",
    "text/xml; charset=utf-16",
    "image/svg+xml",
    "text/plain; charset=windows-1254",
    "text/html; charset=nonsense",
    "application/octet-stream",
    'a/b; charset="; boundary=;;=',
    "",
]
CODES = {
    "empty_body",
    "invalid_json",
    "invalid_utf8",
    "invalid_form",
    "invalid_multipart",
    "invalid_xml",
    "invalid_text",
    "unsupported_charset",
    "too_many_parts",
    "nested_too_deeply",
}
FRAGMENTS = [
    b"--b\r\n",
    b"--b--\r\n",
    b"Content-Disposition: form-data; name=a",
    b"\r\n\r\n",
    b"<a>",
    b"</a>",
]
FRAGMENTS += [
    b"<?xml version='1.0' encoding='x'?>",
    b"<!DOCTYPE a>",
    b"&amp;",
    b"&x;",
    b"a=%ff",
    b"[",
    b"{",
    b'"',
]
FRAGMENTS += [b"\xff\xfe", b"\xef\xbb\xbf", b"\x00", b"\xfe\xff\x00{", b"<![CDATA[", b"]]>", b"\xc3", b"&"]
BODIES = st.binary(max_size=200) | st.lists(
    st.sampled_from(FRAGMENTS) | st.binary(max_size=5), max_size=20
).map(b"".join)


def code_of(body: bytes, content_type: str | None) -> str:
    with pytest.raises(Unreadable) as caught:
        read_body(body, content_type)
    return caught.value.code


@given(
    BODIES, st.none() | st.sampled_from(CONTENT_TYPES) | st.text(max_size=60).map(lambda t: t.encode("utf-8"))
)
def test_arbitrary_bytes_of_any_content_type_are_read_or_refused(
    body: bytes, content_type: bytes | str | None
) -> None:
    try:
        document, code = read_body(body, content_type).document, None
    except Unreadable as error:
        document, code = None, error.code
    assert code is None or code in CODES
    assert repr(read_document(body, content_type)) == repr(document)
    json.dumps(document)


@given(BODIES, st.sampled_from(CONTENT_TYPES), st.sampled_from(["gzip", "deflate", "br"]))
def test_that_holds_for_what_claims_to_be_encoded_too(body: bytes, content_type: str, coding: str) -> None:
    code = "empty_body"
    try:
        read_body(decode_content(body, (coding,), 1024), content_type)
    except Unreadable as error:
        code = error.code
    assert code in CODES | {"invalid_encoding", "payload_too_large"}


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        (None, b'{"a":1}', Body(Kind.JSON, {"a": 1})),
        ("application/json", b"null", Body(Kind.JSON, None)),
        ("Application/JSON; Charset=UTF-8", b"1", Body(Kind.JSON, 1)),
        ("text/json", b"[]", Body(Kind.JSON, [])),
        ("application/cloudevents+json", b'"a"', Body(Kind.JSON, "a")),
        ("application/json; charset=windows-1254", b'"\xde"', Body(Kind.JSON, "Ş")),
        ("application/json; charset=utf-16", '"Ş"'.encode("utf-16-le"), Body(Kind.JSON, "Ş")),
        ("application/json", '"Ş"'.encode("utf-16"), Body(Kind.JSON, "Ş")),
        ("application/x-ndjson", b'{"a":1}\r\n\n2', Body(Kind.NDJSON, [{"a": 1}, 2])),
        ("application/jsonl", b'{"a":1}', Body(Kind.NDJSON, [{"a": 1}])),
        ("application/x-www-form-urlencoded", b"a=1&b=2&a=3", Body(Kind.FORM, {"a": ["1", "3"], "b": "2"})),
        ("application/xml", b"<a>1</a>", Body(Kind.XML, {"a": "1"})),
        ("application/soap+xml", b"<a/>", Body(Kind.XML, {"a": ""})),
        ("text/plain", b"hello", Body(Kind.TEXT, "hello")),
        ("text/plain", "Şişli".encode(), Body(Kind.TEXT, "Şişli")),
        ("text/plain", "café".encode("latin-1"), Body(Kind.TEXT, "café")),
        ("text/csv; charset=iso-8859-9", "Şişli".encode("iso-8859-9"), Body(Kind.TEXT, "Şişli")),
        ("text/plain; charset=us-ascii", b"\xef\xbb\xbfa", Body(Kind.TEXT, "a")),
        ("application/octet-stream", b"\x00\xff", Body(Kind.BINARY, None)),
        ("image/png", b"text", Body(Kind.BINARY, None)),
        ("", b"text", Body(Kind.BINARY, None)),
    ],
)
def test_each_kind_gives_its_document(content_type: str | None, body: bytes, expected: Body) -> None:
    assert read_body(body, content_type) == expected
    if content_type is not None:
        assert read_body(body, content_type.encode()) == expected


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "text/plain; charset=UTF-8",
        "application/octet-stream",
        "application/xml",
    ],
)
@pytest.mark.parametrize("body", [b'{"a":1}', b' \n[{"a":1}]'])
def test_a_json_object_or_list_is_read_as_such_whatever_it_says(content_type: str, body: bytes) -> None:
    assert read_body(body, content_type) == Body(Kind.JSON, json.loads(body))


@pytest.mark.parametrize("body", [b"1", b'"a"', b"null", b"[" * 100_000, b"[" * 500 + b"]" * 500, b"{NaN}"])
def test_what_is_neither_is_what_it_says(body: bytes) -> None:
    assert read_body(body, "text/plain") == Body(Kind.TEXT, body.decode())


def test_a_form_may_begin_like_json() -> None:
    assert read_document(b"[a]=1&{b}", "application/x-www-form-urlencoded") == {"[a]": "1", "{b}": ""}


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        (None, b"a=1", "invalid_json"),
        (None, b"", "empty_body"),
        ("text/plain", b"", "empty_body"),
        ("application/json", b"{", "invalid_json"),
        ("application/json; charset=nonsense", b"{}", "unsupported_charset"),
        ("application/json; charset=ascii", b'"\xff"', "invalid_text"),
        ("application/x-ndjson", b"1\n{\n", "invalid_json"),
        ("application/x-ndjson", b"\n" * 50_001, "too_many_parts"),
        ("application/x-www-form-urlencoded; charset=utf-8", b"a=%ff", "invalid_form"),
        ("application/x-www-form-urlencoded", b"&" * 10_000, "too_many_parts"),
        ("multipart/form-data", b"--b", "invalid_multipart"),
        ("application/xml", b"a=1", "invalid_xml"),
        ("text/plain; charset=utf-8", b"\xff", "invalid_text"),
        ("text/plain; charset=idna", b"a", "unsupported_charset"),
    ],
)
def test_what_is_not_what_it_says_is_refused(content_type: str | None, body: bytes, code: str) -> None:
    assert code_of(body, content_type) == code


def test_the_line_that_is_no_json_is_named() -> None:
    with pytest.raises(Unreadable, match="Line 3: The body is not valid JSON"):
        read_body(b"1\n\n{\n", "application/x-ndjson")


ENVELOPE = {"event_type": "a", "data": {"x": 1}}


@pytest.mark.parametrize(
    ("content_type", "body", "data"),
    [
        ("application/json", json.dumps(ENVELOPE).encode(), {"x": 1}),
        ("text/plain", json.dumps(ENVELOPE).encode(), {"x": 1}),
        ("application/x-www-form-urlencoded", b"event_type=a", {"event_type": "a"}),
        ("application/x-ndjson", json.dumps(ENVELOPE).encode(), [ENVELOPE]),
    ],
)
def test_only_json_is_an_envelope(content_type: str, body: bytes, data: Any) -> None:
    assert read_body(body, content_type).data == data


MULTIPART = b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n--b--\r\n'


@pytest.mark.parametrize("name", ["payload", "json"])
def test_a_form_that_only_carries_an_object_is_that_object(name: str) -> None:
    form = f"{name}=%7B%22action%22%3A%22opened%22%2C%22n%22%3A%5B1%5D%7D".encode()
    document = {"action": "opened", "n": [1]}
    assert read_body(form, "application/x-www-form-urlencoded") == Body(Kind.FORM, document)
    sent = MULTIPART % (name.encode(), b' {"action": "opened", "n": [1]}')
    assert read_body(sent, "multipart/form-data; boundary=b") == Body(Kind.MULTIPART, document)


@pytest.mark.parametrize(
    ("form", "document"),
    [
        ("payload=%7B%22a%22%3A1%7D&b=2", {"payload": '{"a":1}', "b": "2"}),
        ("payload=%7B%22a%22%3A1%7D&payload=%7B%7D", {"payload": ['{"a":1}', "{}"]}),
        ("other=%7B%22a%22%3A1%7D", {"other": '{"a":1}'}),
        ("payload=%5B1%5D", {"payload": "[1]"}),
        ("payload=%7Bno", {"payload": "{no"}),
        ("payload=7", {"payload": "7"}),
        ("json=%7B%22a%22%3A%22" + "%5C" + "ud800%22%7D", {"a": "\ud800"}),
        ("json=" + "%7B%22a%22%3A" * 300 + "1" + "%7D" * 300, {"json": '{"a":' * 300 + "1" + "}" * 300}),
    ],
)
def test_any_other_form_is_its_fields(form: str, document: object) -> None:
    assert read_document(form.encode(), "application/x-www-form-urlencoded") == document


def test_a_file_of_json_stays_a_file() -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="json"; filename="a.json"\r\n'
    document = read_document(head + b"\r\n{}\r\n--b--\r\n", "multipart/form-data; boundary=b")
    assert document["json"]["filename"] == "a.json"


@pytest.mark.parametrize("charset", ["gbk", "shift_jis", "big5", "johab", "iso-8859-9", "utf-16"])
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/octet-stream"])
def test_a_charset_makes_nothing_else_of_json_in_utf_8(kind: str, charset: str) -> None:
    """Somebody else may have chosen the name. In GBK the backslash behind it would be half of a character."""
    document = {"id": "evt_1", "name": '\u20ac","id":"evt_2","x":"'}
    body = json.dumps(document, ensure_ascii=False).encode()
    assert read_body(body, f"{kind}; charset={charset}") == Body(Kind.JSON, document)
