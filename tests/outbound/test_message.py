from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.bodies import event_data, read_json
from kanca.domain.ids import EVENT, show_id
from kanca.domain.subscription import OPERATIONAL_ENDPOINT
from kanca.errors import ExpressionFailed, TransformFailed
from kanca.outbound.message import (
    body_of,
    envelope,
    fifo_key,
    headers_for,
    hops_of,
    is_too_far,
    transformed,
)
from tests.outbound.samples import NOW, SECRET, a_subscription, an_event, came_with

JSON = [("Content-Type", "application/json")]
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def data_in(body: bytes) -> bytes:
    """The data of an envelope, as it is written."""
    return body.partition(b'"data":')[2][:-1]


def test_an_envelope_has_four_members_in_their_order() -> None:
    event = an_event(source_event_id="order-7", data={"id": 7})
    assert envelope(event) == (
        b'{"event_type":"order.created","event_id":"order-7","timestamp":"2026-05-04T03:02:01Z","data":{"id": 7}}'
    )


def test_an_event_without_an_id_of_its_sender_is_named_by_ours() -> None:
    event = an_event(source_event_id=None)
    assert json.loads(envelope(event))["event_id"] == show_id(EVENT, event.id)


def test_the_moment_is_in_utc_whatever_zone_the_database_gives() -> None:
    berlin = datetime(2026, 5, 4, 5, 2, 1, 120, tzinfo=timezone(timedelta(hours=2)))
    assert json.loads(envelope(an_event(received_at=berlin)))["timestamp"] == "2026-05-04T03:02:01.000120Z"


ODD = [
    b'{"b": 1.10, "a": 12345678901234567890123456789, "b": 2}',
    b'[1e999, -0, 1E+2, "\\u0000", "\\/"]',
    b'"\\ud800"',
    b'{"a": ["\\ud800", 1.0]}',
    b"null",
]


@pytest.mark.parametrize("written", ODD)
@pytest.mark.parametrize("endpoint", [0, OPERATIONAL_ENDPOINT])
def test_the_data_of_a_published_event_stay_as_they_were_written(endpoint: int, written: bytes) -> None:
    body = b'{"event_type":"x","data":' + written + b"}"
    assert data_in(envelope(an_event(endpoint=endpoint, body=body))) == written


@pytest.mark.parametrize("written", ODD)
def test_so_do_those_of_a_body_that_came_in(written: bytes) -> None:
    event = an_event(endpoint=100, body=b" " + written + b"\n", request=came_with(JSON))
    assert data_in(envelope(event)) == written


def test_an_envelope_that_came_in_gives_its_data() -> None:
    came = b'{ "data" : {"price": 1.10, "note": "\\ud800"} , "event_type" : "order.paid" }'
    event = an_event(endpoint=100, body=came, request=came_with(JSON), type="order.paid")
    assert data_in(envelope(event)) == b'{"price": 1.10, "note": "\\ud800"}'
    bare = an_event(endpoint=100, body=b'{"event_type": "order.paid"}', request=came_with(JSON))
    assert data_in(envelope(bare)) == b"{}"


@pytest.mark.parametrize(
    ("body", "content_type", "data"),
    [
        (b"a=1&b=%C3%BC", "application/x-www-form-urlencoded", {"a": "1", "b": "ü"}),
        (b"\xff\x00", "application/octet-stream", None),
        (b"<a>1</a>", "application/xml", {"a": "1"}),
        (b"hello", "text/plain", "hello"),
        (b"{broken", "application/json", "{broken"),
        (b"\xef\xbb\xbf[1]", "application/json", [1]),
        ('{"a": "ü"}'.encode("utf-16"), "application/json", {"a": "ü"}),
        ('["ü"]'.encode("latin-1"), "application/json; charset=latin-1", ["ü"]),
        (b'payload={"a": 1}', "application/x-www-form-urlencoded", {"a": 1}),
        (b'{"a": 1}', "text/plain", {"a": 1}),
    ],
)
def test_other_bodies_give_what_every_reader_of_the_event_sees(
    body: bytes, content_type: str, data: Any
) -> None:
    event = an_event(endpoint=100, body=body, request=came_with([("content-type", content_type)]))
    assert json.loads(envelope(event))["data"] == data
    assert event_data(event) == data


@given(documents)
def test_whatever_is_published_arrives(data: Any) -> None:
    event = an_event(data=data)
    assert read_json(envelope(event), max_depth=None)["data"] == data
    assert envelope(event) == envelope(event)


@given(st.binary(), st.sampled_from(["application/json", "text/plain", "text/xml", "multipart/form-data"]))
def test_whatever_comes_in_gives_an_envelope(body: bytes, content_type: str) -> None:
    event = an_event(endpoint=100, body=body, request=came_with([("Content-Type", content_type)]))
    assert read_json(envelope(event), max_depth=None).keys() == {
        "event_type",
        "event_id",
        "timestamp",
        "data",
    }


# --- Expressions -----------------------------------------------------------------------------------------------------


def test_a_transform_is_all_of_the_body() -> None:
    event = an_event(data={"total": 3, "lines": [{"n": 1}, {"n": 2}]})
    assert transformed(event, "event.data.total > 2") == b"true"
    made = transformed(event, '{"text": event.type, "numbers": event.data.lines.map(line, line.n)}')
    assert json.loads(made) == {"text": "order.created", "numbers": [1, 2]}
    subscription = a_subscription(config={"transform": "event.data"})
    assert json.loads(body_of(subscription, event)) == {"total": 3, "lines": [{"n": 1}, {"n": 2}]}
    assert body_of(a_subscription(), event) == envelope(event)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("event.data.nothing", "missing_key"),
        ("1 / (event.data.id - 1)", "division_by_zero"),
        ("1 +", "invalid"),
    ],
)
def test_a_transform_that_fails_says_so(expression: str, reason: str) -> None:
    with pytest.raises(TransformFailed) as caught:
        transformed(an_event(), expression)
    assert (caught.value.code, caught.value.facts["reason"]) == ("transform_failed", reason)


@pytest.mark.parametrize(
    ("expression", "key"),
    [
        (None, ""),
        ("event.data.customer", "c-1"),
        ("event.data.number", "7"),
        ("[event.type]", '["order.created"]'),
    ],
)
def test_deliveries_with_one_key_wait_for_each_other(expression: str | None, key: str) -> None:
    assert fifo_key(an_event(data={"customer": "c-1", "number": 7}), expression) == key


def test_a_key_that_cannot_be_made_is_no_key() -> None:
    with pytest.raises(ExpressionFailed):
        fifo_key(an_event(), "event.data.customer")


# --- Headers ---------------------------------------------------------------------------------------------------------


def test_the_headers_say_what_a_delivery_is() -> None:
    event = an_event(type="order.paid")
    headers = headers_for(a_subscription().config, event, b"{}", NOW, [SECRET])
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Webhook-Event"] == "order.paid"
    assert headers["X-Webhook-Hops"] == "1"
    assert headers["webhook-id"] == show_id(EVENT, event.id)
    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))


def test_headers_of_ones_own_go_along_but_never_in_place_of_ours() -> None:
    saved = a_subscription(config={"signature": "hex", "signature_header": "X-Sig"})
    headers = {"X-Shop": "7", "x-sig": "forged", "content-type": "text/plain", "USER-AGENT": "curl"}
    config = replace(
        saved.config, headers=headers | {"Webhook-Id": "evt_other"}
    )  # as an older version let them be
    subscription = replace(saved, config=config)
    headers = headers_for(subscription.config, an_event(), b"{}", NOW, [SECRET])
    assert headers["X-Shop"] == "7"
    assert len(headers["X-Sig"]) == 64
    assert headers["Content-Type"] == "application/json"
    assert not headers.keys() & {"content-type", "USER-AGENT", "Webhook-Id", "x-sig"}


def test_a_type_that_no_header_can_have_is_made_one() -> None:
    headers = headers_for(a_subscription().config, an_event(type="a\r\nb: c"), b"{}", NOW, [SECRET])
    assert headers["X-Webhook-Event"] == "a??b: c"


# --- Hops ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_json", "hops"),
    [
        (b"{}", 0),
        (b'{"hops": 3}', 3),
        (b'{"hops": -3}', 0),
        (came_with([("x-webhook-HOPS", " 4 ")]), 4),
        (came_with([("X-Webhook-Hops", "2"), ("X-Webhook-Hops", "5")]), 5),
        (came_with([("X-Webhook-Hops", "-1")]), 0),
        (came_with([("X-Webhook-Hops", "²")]), 0),
        (came_with([("X-Webhook-Hops", "9" * 5000)]), 999_999),
        (b"not JSON", 0),
    ],
)
def test_how_often_an_event_went_round_is_told_by_its_request(request_json: bytes, hops: int) -> None:
    event = an_event(request=request_json)
    assert hops_of(event) == hops
    assert headers_for(a_subscription().config, event, b"", NOW, [SECRET])["X-Webhook-Hops"] == str(hops + 1)


def test_a_circle_ends_after_as_many_rounds_as_are_allowed() -> None:
    event, rounds = an_event(), 0
    while not is_too_far(event, 10):
        headers = headers_for(a_subscription().config, event, b"{}", datetime.now(UTC), [SECRET])
        event = an_event(endpoint=100, body=b"{}", request=came_with(list(headers.items())))
        rounds += 1
    assert rounds == 10
