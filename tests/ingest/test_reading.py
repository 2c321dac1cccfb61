"""What a verified request says, and what makes it the same event as another one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.dedupe import Key, dedupe_key
from kanca.domain.endpoint import Endpoint
from kanca.ingest.dedupe import content_key, delivery_key, event_id_key, idempotency_key, signed_content_key
from kanca.ingest.prepared import prepare
from kanca.ingest.reading import Reading, read_event, read_hashed, read_received
from kanca.ingest.refusal import RULES, Refusal
from kanca.providers import Catalogue, SignedRequest
from tests.ingest.site import endpoint


def read(of: Endpoint, body: object, signed_id: bytes | None = None, **headers: str) -> Reading:
    reading = refused(of, body, signed_id, **headers)
    assert isinstance(reading, Reading)
    return reading


def refused(of: Endpoint, body: object, signed_id: bytes | None = None, **headers: str) -> Reading | Refusal:
    pairs = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_event(prepare(of, Catalogue()), SignedRequest("POST", "", pairs, data), signed_id)


@pytest.mark.parametrize(
    ("body", "event_type"),
    [
        ({"event_type": "a.b"}, "a.b"),
        ({"event_type": "a.b", "data": {}, "source": "s", "timestamp": 1, "event_id": "1"}, "a.b"),
        ({"event_type": "a.b", "data": []}, "webhook.received"),
        ({"event_type": "a.b", "other": 1}, "webhook.received"),
        ({"event_type": 1}, "webhook.received"),
        ({"type": "a.b"}, "webhook.received"),
        ([{"event_type": "a.b"}], "webhook.received"),
        ({"event_type": "Şube açıldı"}, "Şube açıldı"),
    ],
)
def test_the_type_is_an_envelopes_or_the_default(body: Any, event_type: str) -> None:
    assert read(endpoint(), body).event_type == event_type


def test_the_type_is_where_the_provider_says() -> None:
    assert read(endpoint("stripe"), {"type": "invoice.paid", "id": "evt_1"}).event_type == "invoice.paid"
    assert read(endpoint("shopify"), {"id": 1}, x_shopify_topic="orders/create").event_type == "orders/create"
    assert read(endpoint("stripe"), {"no": "type"}).event_type == "webhook.received"


def test_the_senders_id_is_the_providers_or_the_envelopes() -> None:
    assert read(endpoint("stripe"), {"type": "a", "id": "evt_1"}).source_event_id == "evt_1"
    assert read(endpoint(), {"event_type": "a", "event_id": "7"}).source_event_id == "7"
    assert read(endpoint(), {"event_type": "a", "event_id": 7}).source_event_id == "7"
    assert read(endpoint(), {"event_type": "a", "event_id": None}).source_event_id is None
    assert read(endpoint(), {"event_type": "a"}).source_event_id is None


def test_the_correlation_id_is_the_envelopes_or_the_headers() -> None:
    body = {"event_type": "a", "correlation_id": "c-1"}
    assert read(endpoint(), body, x_correlation_id="c-2").correlation_id == "c-1"
    assert read(endpoint(), {"event_type": "a", "correlation_id": 5}).correlation_id == "5"
    assert read(endpoint(), {"event_type": "a"}, x_correlation_id="c-2").correlation_id == "c-2"
    assert read(endpoint(), {"event_type": "a"}, x_correlation_id="c" * 600).correlation_id is None
    assert read(endpoint(), {"event_type": "a"}).correlation_id is None
    assert read(endpoint(), {"a": 1, "correlation_id": []}).correlation_id is None


# --- keys ---------------------------------------------------------------------------------------------------------


def test_a_signed_delivery_id_is_the_key() -> None:
    assert read(endpoint("stripe"), {"type": "a", "id": "evt_1"}).key == delivery_key("evt_1")
    standard = read(endpoint("standardwebhooks"), {"type": "a"}, b"msg_1", webhook_id="msg_1")
    assert standard.key == delivery_key("msg_1")


@pytest.mark.parametrize("delivery_id", ["1", "2", ""])
def test_beside_an_unsigned_delivery_id_the_body_and_its_type_are_the_key(delivery_id: str) -> None:
    reading = read(endpoint("github"), {"n": 1}, x_github_event="push", x_github_delivery=delivery_id)
    assert reading.key == signed_content_key("push", b'{"n": 1}')


def test_one_order_under_two_topics_is_two_events() -> None:
    keys = {
        read(endpoint("shopify"), {"id": 1}, x_shopify_topic=topic).key
        for topic in ("orders/create", "orders/paid")
    }
    assert len(keys) == 2


def test_an_envelopes_id_and_then_an_idempotency_key_are_the_key() -> None:
    body = {"event_type": "a", "event_id": "1"}
    assert read(endpoint(), body, idempotency_key="k").key == event_id_key("1")
    assert read(endpoint(), {"event_type": "a"}, idempotency_key="k").key == idempotency_key(b"k")
    assert read(endpoint(), {"event_type": "a"}, idempotency_key="").key is None
    assert read(endpoint(), {"event_type": "a"}).key is None


def test_the_key_can_be_the_content_or_nothing() -> None:
    body = {"event_type": "a", "event_id": "1"}
    by_content = endpoint(dedupe="content")
    assert read(by_content, body).key == content_key(json.dumps(body).encode())
    assert read(endpoint(dedupe="off"), body, idempotency_key="k").key is None
    assert read(endpoint("github", dedupe="off"), {}, x_github_event="push").key is None


@given(
    st.tuples(st.integers(0, 2**31), st.binary(min_size=1), st.binary()),
    st.tuples(st.integers(0, 2**31), st.binary(min_size=1), st.binary()),
)
def test_different_endpoints_kinds_or_values_have_different_keys(
    one: tuple[int, bytes, bytes], other: tuple[int, bytes, bytes]
) -> None:
    kinds = (one[1].hex().encode(), other[1].hex().encode())
    keys = [dedupe_key(each[0], Key(kind, each[2])) for each, kind in zip((one, other), kinds, strict=True)]
    assert (keys[0] == keys[1]) == (one == other)


# --- totality -------------------------------------------------------------------------------------------------------


@given(
    st.binary(max_size=300)
    | st.builds(
        lambda found: json.dumps(found).encode(),
        st.dictionaries(
            st.sampled_from(
                ["event_type", "event_id", "data", "timestamp", "correlation_id", "type", "id", "x"]
            ),
            st.none()
            | st.text()
            | st.integers()
            | st.dictionaries(st.text(), st.text())
            | st.lists(st.text()),
        ),
    ),
    st.sampled_from(["generic", "stripe", "github", "shopify", "standardwebhooks", "kanca", "hmac"]),
    st.dictionaries(
        st.sampled_from(
            [b"content-type", b"idempotency-key", b"x-correlation-id", b"x-github-event", b"webhook-id"]
        ),
        st.binary(),
    ),
)
def test_whatever_comes_is_read_or_refused_and_what_is_read_can_be_stored(
    body: bytes, provider: str, headers: dict[bytes, bytes]
) -> None:
    prepared = prepare(endpoint(provider), Catalogue())
    for read_it in (read_event, read_received, read_hashed):
        reading = read_it(prepared, SignedRequest("POST", "", headers, body), None)
        if isinstance(reading, Refusal):
            assert reading.code in RULES
            continue
        texts = [reading.event_type, reading.source_event_id, reading.correlation_id]
        for text in filter(None, texts):
            assert text.isprintable()
            assert len(text.encode()) <= 4 * 512
        assert 0 < len(reading.event_type) <= 256


def test_a_retry_with_a_new_time_in_its_body_is_the_same_delivery() -> None:
    linear = endpoint("linear")
    first, retry = (
        read(linear, {"type": "Issue", "action": "create", "data": {"id": "1"}, "webhookTimestamp": sent_at})
        for sent_at in (1_700_000_000_000, 1_700_000_060_000)
    )
    other = read(linear, {"type": "Issue", "action": "create", "data": {"id": "2"}, "webhookTimestamp": 1})

    assert first.key == retry.key != other.key


def test_a_signed_delivery_without_an_id_is_known_by_its_body_whatever_headers_say() -> None:
    slack = endpoint("slack")
    first, replay = (
        read(slack, {"type": "event_callback", "event": {"type": "x"}}, idempotency_key=name) for name in "ab"
    )

    assert first.key is not None
    assert first.key == replay.key
