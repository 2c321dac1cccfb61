"""Headers are read as people have them."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.cli.header_dumps import folded, read_header, read_headers
from kanca.errors import InvalidInput

DUMPS = {
    "lines": "X-Signature: sha256=ab\nContent-Type: application/json\n",
    "lines of windows": "X-Signature: sha256=ab\r\nContent-Type: application/json\r\n",
    "a whole request": "POST /hooks HTTP/1.1\nX-Signature: sha256=ab\nContent-Type: application/json\n",
    "curl -v": (
        "* Connected to here (127.0.0.1) port 80\n> POST /hooks?a=b HTTP/1.1\n> X-Signature: sha256=ab\n"
        "> Content-Type: application/json\n>\n< HTTP/1.1 200 OK\n< Server: there\n* Connection closed\n"
    ),
    "options of curl": "  -H 'X-Signature: sha256=ab' \\\n  --header \"Content-Type: application/json\"",
    "JSON": '{"X-Signature": "sha256=ab", "Content-Type": ["application/json"]}',
    "pairs": '[["X-Signature", "sha256=ab"], ["Content-Type", "application/json"]]',
    "Python": "{'X-Signature': 'sha256=ab', 'Content-Type': 'application/json'}",
    "Starlette": "Headers({'X-Signature': 'sha256=ab', 'Content-Type': 'application/json'})",
    "ASGI": "[(b'X-Signature', b'sha256=ab'), (b'Content-Type', b'application/json')]",
    "WSGI": "{'HTTP_X_SIGNATURE': 'sha256=ab', 'CONTENT_TYPE': 'application/json', 'wsgi.input': None}",
    "Node": "{\n  'x-signature': 'sha256=ab',\n  'content-type': 'application/json',\n}",
    "Node, bare names": "{\n  'x-signature': 'sha256=ab',\n  'content-type': 'application/json',\n  a: [Object],\n}",
}


@pytest.mark.parametrize("text", DUMPS.values(), ids=DUMPS)
def test_headers_are_read_from(text: str) -> None:
    headers = folded(read_headers(text))

    assert headers[b"x-signature"] == b"sha256=ab"
    assert headers[b"content-type"] == b"application/json"
    assert b"server" not in headers


@pytest.mark.parametrize("text", ["", "{}", "[]", "nothing here", "[1, 2]", "{" * 10_000, '{"a b": "c"}'])
def test_what_has_no_headers_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="no headers"):
        read_headers(text)


def test_a_value_keeps_its_colons_quotes_and_commas() -> None:
    assert read_header("Date: Mon, 01 Jan 2024 00:00:00 GMT") == ("Date", "Mon, 01 Jan 2024 00:00:00 GMT")
    assert read_header('ETag: "a", "b"') == ("ETag", '"a", "b"')
    assert read_header("X-Empty:") == ("X-Empty", "")
    with pytest.raises(InvalidInput, match="Name: value"):
        read_header("no header")


def test_headers_of_one_name_are_joined() -> None:
    assert folded([("X-A", "1"), ("x-a", "2")]) == {b"x-a": b"1, 2"}


@given(st.text(st.characters(codec="utf-8")))
def test_no_text_is_too_strange(text: str) -> None:
    with suppress(InvalidInput):
        folded(read_headers(text))


@given(
    st.dictionaries(
        st.from_regex(r"X-[A-Za-z0-9-]{1,20}", fullmatch=True), st.text("ab ,:;=\"'{}"), min_size=1
    )
)
def test_json_is_taken_as_it_is(headers: dict[str, str]) -> None:
    assert read_headers(json.dumps(headers)) == list(headers.items())
