"""The senders' own packages, both ways: they sign and we verify, we sign and they verify."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
import standardwebhooks
import stripe

from kanca.providers import (
    Refusal,
    RefusalCode,
    Verified,
    compile_extractor,
    compile_verifier,
    generate_secret,
    get_provider,
)
from kanca.providers.samples import sample
from tests.providers.arriving import arriving, sign

STRIPE = get_provider("stripe")
STANDARD = get_provider("standardwebhooks")


def test_what_the_stripe_package_signs_is_accepted() -> None:
    now = time.time()
    secret = generate_secret(STRIPE)
    body = sample(STRIPE, now, "evt_1").body
    header = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, timestamp=int(now))
    verifier = compile_verifier(STRIPE)
    verdict = verifier.verify(arriving({"Stripe-Signature": header}, body), [secret], now)
    assert verdict == Verified(0, int(now))
    changed = verifier.verify(
        arriving({"Stripe-Signature": header}, body.replace(b"8490", b"8491")), [secret], now
    )
    assert isinstance(changed, Refusal)
    assert changed.code is RefusalCode.SIGNATURE_MISMATCH


def test_the_stripe_package_accepts_what_we_sign() -> None:
    now = time.time()
    secret = generate_secret(STRIPE)
    body = sample(STRIPE, now, "evt_1", "payment_intent.succeeded").body
    headers = sign(STRIPE, None, secret, body, now, "evt_1", "payment_intent.succeeded")
    event = stripe.Webhook.construct_event(body, headers["Stripe-Signature"], secret)
    assert (event.id, event.type, event.created) == ("evt_1", "payment_intent.succeeded", int(now))
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body + b" ", headers["Stripe-Signature"], secret)


def test_what_the_standardwebhooks_package_signs_is_accepted() -> None:
    now = time.time()
    secret = generate_secret(STANDARD)
    body = sample(STANDARD, now, "msg_1").body
    signature = standardwebhooks.Webhook(secret).sign(
        "msg_1", datetime.fromtimestamp(now, UTC), body.decode()
    )
    request = arriving(
        {"webhook-id": "msg_1", "webhook-timestamp": str(int(now)), "webhook-signature": signature}, body
    )
    verdict = compile_verifier(STANDARD).verify(request, [secret], now)
    assert verdict == Verified(0, int(now), b"msg_1")
    found = compile_extractor(STANDARD).extract(request.headers, json.loads(body), verdict.signed_id)
    assert found == ("contact.created", "msg_1")


def test_the_standardwebhooks_package_accepts_what_we_sign() -> None:
    now = time.time()
    secret = generate_secret(STANDARD)
    body = sample(STANDARD, now, "msg_1").body
    headers = sign(STANDARD, None, secret, body, now, "msg_1", "contact.created")
    assert standardwebhooks.Webhook(secret).verify(body, headers) == json.loads(body)
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        standardwebhooks.Webhook(secret).verify(body + b" ", headers)
