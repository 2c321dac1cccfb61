"""Stripe's own package signs, and accepts."""

from __future__ import annotations

import time

import pytest
import stripe

from kanca.providers import RefusalCode, Verified
from tests.providers.senders.exchange import arrives, departs, refusal

SECRET = "whsec_wRNftLajMZNeslQOP6vEPm4iVx5NlZ6z"
BODY = b'{"id": "evt_1", "object": "event", "type": "charge.refunded", "data": {"object": {"amount": 8490}}}'


def test_what_the_stripe_package_signs_is_accepted() -> None:
    now = int(time.time())
    header = stripe.WebhookSignature.generate_signature_header(BODY.decode(), SECRET, timestamp=now)
    assert arrives("stripe", {"Stripe-Signature": header}, BODY, SECRET) == Verified(0, now)
    changed = arrives("stripe", {"Stripe-Signature": header}, BODY.replace(b"8490", b"8491"), SECRET)
    assert refusal(changed) is RefusalCode.SIGNATURE_MISMATCH


def test_the_stripe_package_accepts_what_we_sign() -> None:
    sent = departs("stripe", SECRET, event_type="payment_intent.succeeded", delivery_id="evt_2")
    event = stripe.Webhook.construct_event(sent.body, sent.headers["Stripe-Signature"], SECRET)
    assert (event.id, event.type, event.created) == ("evt_2", "payment_intent.succeeded", int(sent.now))
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(sent.body + b" ", sent.headers["Stripe-Signature"], SECRET)
