"""The data of a stored event."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from kanca.bodies import content_type_of, event_data, headers_in
from kanca.domain.event import StoredEvent


def event(body: bytes, *headers: tuple[str, str]) -> StoredEvent:
    request = json.dumps({"headers": headers}).encode()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return StoredEvent(UUID(int=1), 100, "acme", "a.b", now, None, "cor", request, body, None)


@pytest.mark.parametrize(
    ("content_type", "body", "data"),
    [
        ("application/json", b'{"event_type":"a","data":{"x":1}}', {"x": 1}),
        ("application/x-www-form-urlencoded", b"event_type=a&b=%20", {"event_type": "a", "b": " "}),
        ("application/xml", b"<order id='1'/>", {"order": {"@id": "1"}}),
        ("application/x-ndjson", b"1\n2\n", [1, 2]),
        ("text/plain", b"hello", "hello"),
        ("image/png", b"\x89PNG", None),
        ("application/json", b"a=1 \xff", "a=1 \ufffd"),
    ],
)
def test_the_data_are_what_the_body_says_by_its_stored_content_type(
    content_type: str, body: bytes, data: Any
) -> None:
    assert event_data(event(body, ("X-A", "1"), ("Content-Type", content_type))) == data


def test_a_body_whose_content_type_nobody_said_is_json() -> None:
    assert event_data(event(b'{"a":1}')) == {"a": 1}


def test_headers_are_those_of_the_stored_request() -> None:
    found = event(b"{}", ("content-type", "text/plain"), ("Content-Type", "x"))
    assert headers_in(found.request) == (("content-type", "text/plain"), ("Content-Type", "x"))
    assert content_type_of(found.request) == "text/plain, x"
    for broken in (b"", b"{", b"{}", b'{"headers":3}', b"\xff"):
        assert headers_in(broken) == ()
        assert content_type_of(broken) is None
