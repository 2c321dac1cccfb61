from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.bodies import MAX_DEPTH, event_data
from kanca.domain.event import NewEvent, as_stored
from kanca.errors import InvalidEvent, PayloadTooLarge
from kanca.outbound.message import envelope
from kanca.outbound.publishing import (
    MAX_PAYLOAD_BYTES,
    data_text,
    is_same_value,
    published_event,
    says_the_same,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ID = UUID("019503f0-a1c2-7d3e-8f00-b4a6c8d2e1f0")


def publish(**fields: Any) -> NewEvent:
    given_fields = {"event_type": "order.created", "payload": b"{}", "by": "api"} | fields
    return published_event(ID, NOW, **given_fields)


def test_an_event_says_who_published_it_and_carries_its_own_id_through() -> None:
    event = publish(payload={"id": 4711}, event_id="order-4711", tenant="shop", by="api", hops=2)

    assert (event.endpoint, event.tenant, event.type) == (0, "shop", "order.created")
    assert (event.source_event_id, event.correlation_id) == ("order-4711", f"evt_{ID.hex}")
    assert json.loads(event.request) == {
        "method": None,
        "published_by": "api",
        "authenticated": True,
        "hops": 2,
    }
    assert event.body == b'{"event_type":"order.created","data":{"id":4711}}'
    assert event.dedupe_until == NOW + timedelta(days=7)


def test_an_id_names_one_event_of_one_tenant() -> None:
    keys = [
        publish(event_id=event_id, tenant=tenant).dedupe_key
        for event_id, tenant in (("a", "x"), ("a", "y"), ("b", "x"), ("xa", "-"), ("a", "-x"))
    ]

    assert len(set(keys)) == 5
    assert publish(event_id="a", tenant="x", payload=b"1", event_type="other").dedupe_key == keys[0]
    assert (publish().dedupe_key, publish().dedupe_until) == (None, None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    value=json_values,
    ascii_only=st.booleans(),
    indent=st.none() | st.integers(0, 4),
    event_type=st.text(min_size=1, max_size=256).filter(lambda t: t.isprintable() and not t.isspace()),
)
def test_the_payload_is_stored_byte_for_byte(
    value: Any, ascii_only: bool, indent: int | None, event_type: str
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    payload = text.encode("utf-8", "surrogatepass") if ascii_only else text.encode("utf-8", "replace")

    event = publish(payload=payload, event_type=event_type)

    assert data_text(event) == payload
    assert event.body.endswith(b',"data":' + payload + b"}")
    assert envelope(as_stored(event)).endswith(b',"data":' + payload + b"}")
    document = json.loads(event.body)
    assert document["event_type"] == event_type
    assert event_data(as_stored(event)) == document["data"]


@pytest.mark.parametrize(
    "payload",
    [b"1.50", b"1e999", b'{"b":1,"a":2,"b":3}', b'{ "n" : 12345678901234567890123 }', b'"\\ud800"', b"null"],
)
def test_what_no_type_could_keep_is_kept(payload: bytes) -> None:
    assert data_text(publish(payload=payload)) == payload
    assert data_text(publish(payload=b"\n " + payload + b"\r\n\t")) == payload


def test_data_of_any_kind_reach_their_readers_without_what_they_are_stored_in() -> None:
    for value in ([1, 2], "text", 1, None, {"a": 1}):
        assert event_data(as_stored(publish(payload=value))) == value


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"event_type": ""}, "1 to 256 printable"),
        ({"event_type": "  "}, "1 to 256 printable"),
        ({"event_type": "a" * 257}, "1 to 256 printable"),
        ({"event_type": "a\x00"}, "1 to 256 printable"),
        ({"event_type": "\ud800"}, "1 to 256 printable"),
        ({"event_id": ""}, "An event id has 1 to 512"),
        ({"event_id": "a" * 513}, "An event id has 1 to 512"),
        ({"correlation_id": "\n"}, "A correlation id has 1 to 512"),
        ({"tenant": "two words"}, "A tenant is"),
        ({"payload": b""}, "it is empty"),
        ({"payload": b"{"}, "it is not valid JSON"),
        ({"payload": b"NaN"}, "JSON has no NaN"),
        ({"payload": b'"\xff"'}, "not UTF-8"),
        ({"payload": "1".encode("utf-16")}, "not UTF-8"),
        ({"payload": b"\xef\xbb\xbf{}"}, "byte order mark"),
        ({"payload": b'1,"data":2'}, "it is not valid JSON"),
        ({"payload": b"[" * MAX_DEPTH + b"]" * MAX_DEPTH}, "nested"),
        ({"payload": {"at": object()}}, "has no form in JSON"),
    ],
)
def test_what_cannot_be_published_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidEvent, match=words):
        publish(**fields)


def test_the_deepest_payload_can_be_read_again() -> None:
    deepest = b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1)

    assert event_data(as_stored(publish(payload=deepest))) == json.loads(deepest)


def test_the_largest_payload_is_a_megabyte() -> None:
    largest = b'"' + b"a" * (MAX_PAYLOAD_BYTES - 2) + b'"'

    assert data_text(publish(payload=largest)) == largest
    with pytest.raises(PayloadTooLarge):
        publish(payload=largest[:-1] + b'a"')


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (b'{"a":1,"b":[2]}', b'{ "b": [2.0], "a": 1 }', True),
        (b"[1,2]", b"[2,1]", False),
        (b'{"a":1}', b'{"a":1,"b":null}', False),
        (b'{"a":true}', b'{"a":1}', False),
        (b"[[false]]", b"[[0]]", False),
        (b"null", b"0", False),
        (b'"1"', b"1", False),
        (b'"\\u0061"', b'"a"', True),
        (b"true", b"true", True),
    ],
)
def test_two_events_are_the_same_when_their_data_are_the_same_value(
    one: bytes, other: bytes, is_same: bool
) -> None:
    assert says_the_same(publish(payload=one), as_stored(publish(payload=other))) is is_same
    assert not says_the_same(publish(payload=one), as_stored(publish(payload=one, event_type="other")))


@given(json_values)
def test_a_value_is_the_same_as_itself_written_and_read(value: Any) -> None:
    assert is_same_value(value, json.loads(json.dumps(value)))
