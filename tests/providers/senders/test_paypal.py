"""PayPal's own package says what is signed, and accepts what we sign."""

from __future__ import annotations

import time
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import OpenSSL.crypto
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from paypalrestsdk.notifications import WebhookEvent

from kanca.providers import RefusalCode, Verified, get_provider, issue
from tests.providers.schemes.test_certificate import PAYPAL_CERTIFICATE, certificate
from tests.providers.senders.exchange import arrives, departs, refusal

WEBHOOK_ID = "4JH86294D6297924G"
TRANSMISSION_ID = "69cd13f0-d67a-11e5-baa3-778b53f4ae55"
BODY = b'{"id":"WH-2WR32451HC0233532-67976317FL4543714","event_type":"PAYMENT.SALE.COMPLETED","resource":{"id":"1"}}'


def test_what_paypals_package_says_is_signed_is_accepted() -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = int(time.time())
    written = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = WebhookEvent._get_expected_sig(  # noqa: SLF001 - nothing public says what is signed
        TRANSMISSION_ID, written, WEBHOOK_ID, BODY.decode()
    )
    headers = {
        "PAYPAL-TRANSMISSION-ID": TRANSMISSION_ID,
        "PAYPAL-TRANSMISSION-TIME": written,
        "PAYPAL-TRANSMISSION-SIG": b64encode(
            private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        ).decode(),
        "PAYPAL-AUTH-ALGO": "SHA256withRSA",
        "PAYPAL-CERT-URL": PAYPAL_CERTIFICATE,
    }
    documents = {PAYPAL_CERTIFICATE: certificate(private, "messageverificationcerts.paypal.com")}

    taken = arrives("paypal", headers, BODY, WEBHOOK_ID, documents=documents)
    changed = arrives("paypal", headers, BODY + b" ", WEBHOOK_ID, documents=documents)

    assert taken == Verified(0, now, TRANSMISSION_ID.encode())
    assert refusal(changed) is RefusalCode.SIGNATURE_MISMATCH


def test_paypals_package_accepts_what_we_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    # The package verifies with a function that pyOpenSSL has no more.
    monkeypatch.setattr(OpenSSL.crypto, "verify", _verify, raising=False)
    issued = issue(get_provider("paypal"))
    sent = departs("paypal", issued.signing, BODY)
    pem = OpenSSL.crypto.load_certificate(
        OpenSSL.crypto.FILETYPE_PEM, issued.documents[sent.headers["PAYPAL-CERT-URL"]]
    )

    def is_accepted(body: bytes) -> bool:
        return bool(
            WebhookEvent._verify_signature(  # noqa: SLF001 - the public one fetches the certificate
                sent.headers["PAYPAL-TRANSMISSION-ID"],
                sent.headers["PAYPAL-TRANSMISSION-TIME"],
                issued.checking,
                body.decode(),
                pem,
                sent.headers["PAYPAL-TRANSMISSION-SIG"],
                "sha256",
            )
        )

    assert is_accepted(sent.body)
    assert not is_accepted(sent.body + b" ")


def _verify(certificate: Any, signature: bytes, data: bytes, _digest: str) -> None:
    public = certificate.to_cryptography().public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
