from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from kanca.domain.endpoint import InvalidConfig
from kanca.errors import InvalidSecret
from kanca.outbound.signing import sign_hex
from kanca.testing import signed_delivery

SECRET = "whsec_" + b64encode(b"k" * 32).decode()


def test_a_receiver_verifies_it_as_one_of_kancas() -> None:
    delivery = signed_delivery("order.created", {"id": 7}, secret=SECRET, event_id="order-7")
    read = Webhook(SECRET).verify(delivery.body, delivery.headers)
    assert {key: read[key] for key in ("event_type", "event_id", "data")} == {
        "event_type": "order.created",
        "event_id": "order-7",
        "data": {"id": 7},
    }
    assert delivery.headers["X-Webhook-Event"] == "order.created"
    assert delivery.headers["X-Webhook-Signature"] == sign_hex(SECRET, delivery.body)
    assert delivery.headers["User-Agent"].startswith("Kanca/")


def test_an_old_one_is_refused() -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    delivery = signed_delivery("order.created", {}, secret=SECRET, sent_at=long_ago)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(delivery.body, delivery.headers)


def test_it_has_what_the_subscription_says() -> None:
    delivery = signed_delivery(
        "order.created",
        {},
        secret="0123456789abcdef",
        signature="hex",
        signature_header="X-Shop",
        headers={"X-Team": "orders"},
    )
    assert delivery.headers["X-Shop"] == sign_hex("0123456789abcdef", delivery.body)
    assert delivery.headers["X-Team"] == "orders"
    assert json.loads(delivery.body)["data"] == {}


def test_what_kanca_would_not_send_is_refused() -> None:
    with pytest.raises(InvalidSecret):
        signed_delivery("order.created", {}, secret="short")
    with pytest.raises(InvalidConfig):
        signed_delivery("order.created", {}, secret=SECRET, signature="rot13")
