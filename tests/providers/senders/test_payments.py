"""The packages of senders of payments that sign the body alone: Razorpay, GoCardless and Coinbase Commerce."""

from __future__ import annotations

import pytest
import razorpay
from coinbase_commerce.error import SignatureVerificationError
from coinbase_commerce.webhook import Webhook, WebhookSignature
from gocardless_pro import webhooks as gocardless
from gocardless_pro.errors import InvalidSignatureError

from kanca.providers import RefusalCode, Verified
from tests.providers.senders.exchange import arrives, departs, refusal

SECRET = "30291a20-0bd1-4267-9b0f-e6e7b123c0bf"


def test_the_razorpay_package_accepts_what_we_sign() -> None:
    sent = departs("razorpay", SECRET)
    signature = sent.headers["X-Razorpay-Signature"]
    assert razorpay.Utility().verify_webhook_signature(sent.body.decode(), signature, SECRET)
    with pytest.raises(razorpay.errors.SignatureVerificationError):
        razorpay.Utility().verify_webhook_signature(sent.body.decode() + " ", signature, SECRET)


def test_the_gocardless_package_accepts_what_we_sign() -> None:
    sent = departs("gocardless", SECRET, event_type="payments.confirmed", delivery_id="WB1")
    signature = sent.headers["Webhook-Signature"]
    parsed = gocardless.parse_with_meta(sent.body.decode(), SECRET, signature)
    assert parsed.webhook_id == "WB1"
    assert [(event.resource_type, event.action) for event in parsed.events] == [("payments", "confirmed")]
    with pytest.raises(InvalidSignatureError):
        gocardless.parse(sent.body.decode() + " ", SECRET, signature)


def test_what_the_coinbase_commerce_package_signs_is_accepted() -> None:
    body = '{"id": "1", "event": {"id": "2", "type": "charge:created", "data": {}}}'
    headers = {"X-CC-Webhook-Signature": WebhookSignature._compute_signature(body, SECRET)}  # noqa: SLF001 # its signer
    assert arrives("coinbase-commerce", headers, body.encode(), SECRET) == Verified(0)
    changed = arrives("coinbase-commerce", headers, b"{}", SECRET)
    assert refusal(changed) is RefusalCode.SIGNATURE_MISMATCH


def test_the_coinbase_commerce_package_accepts_what_we_sign() -> None:
    sent = departs("coinbase-commerce", SECRET, event_type="charge:confirmed", delivery_id="2")
    signature = sent.headers["X-CC-Webhook-Signature"]
    event = Webhook.construct_event(sent.body.decode(), signature, SECRET)
    assert (event.id, event.type) == ("2", "charge:confirmed")
    with pytest.raises(SignatureVerificationError):
        Webhook.construct_event(sent.body.decode() + " ", signature, SECRET)
