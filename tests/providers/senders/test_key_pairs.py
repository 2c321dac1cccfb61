"""Discord and SendGrid: what their keys sign is accepted here, and what is signed here their packages accept."""

from __future__ import annotations

import time
from base64 import b64encode

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from discord_interactions import verify_key
from nacl.signing import SigningKey
from sendgrid.helpers.eventwebhook import EventWebhook

from kanca.providers import RefusalCode, Verified, get_provider, issue
from tests.providers.senders.exchange import arrives, departs, refusal

EVENTS = b'[{"email":"ada@example.com","event":"bounce","sg_event_id":"a"}]\r\n'


@pytest.mark.parametrize("options", [None, {"variant": "interactions"}])
def test_what_discord_signs_is_accepted(options: dict[str, str] | None) -> None:
    key, written, body = SigningKey.generate(), str(int(time.time())), b'{"type":1,"id":"1"}'
    public = key.verify_key.encode().hex()
    headers = {
        "X-Signature-Ed25519": key.sign(written.encode() + body).signature.hex(),
        "X-Signature-Timestamp": written,
    }
    assert arrives("discord", headers, body, public, options=options) == Verified(0, int(written))
    changed = arrives("discord", headers, body.replace(b"1", b"2"), public, options=options)
    assert refusal(changed) is RefusalCode.SIGNATURE_MISMATCH


def test_the_discord_package_accepts_what_we_sign() -> None:
    pair = issue(get_provider("discord"))
    sent = departs("discord", pair.signing)
    proof = (sent.headers["X-Signature-Ed25519"], sent.headers["X-Signature-Timestamp"], pair.checking)
    assert verify_key(sent.body, *proof)
    assert not verify_key(sent.body + b" ", *proof)


def test_what_sendgrid_signs_is_accepted() -> None:
    key, written = ec.generate_private_key(ec.SECP256R1()), str(int(time.time()))
    layout = serialization.PublicFormat.SubjectPublicKeyInfo
    public = b64encode(key.public_key().public_bytes(serialization.Encoding.DER, layout)).decode()
    signature = key.sign(written.encode() + EVENTS, ec.ECDSA(hashes.SHA256()))
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": written,
    }
    assert arrives("sendgrid", headers, EVENTS, public) == Verified(0, int(written))
    # The line's end is signed, too.
    assert refusal(arrives("sendgrid", headers, EVENTS.strip(), public)) is RefusalCode.SIGNATURE_MISMATCH


def test_the_sendgrid_package_accepts_what_we_sign() -> None:
    pair = issue(get_provider("sendgrid"))
    sent = departs("sendgrid", pair.signing, EVENTS)
    proof = (
        sent.headers["X-Twilio-Email-Event-Webhook-Signature"],
        sent.headers["X-Twilio-Email-Event-Webhook-Timestamp"],
    )
    package = EventWebhook(pair.checking)
    assert package.verify_signature(EVENTS.decode(), *proof)
    assert not package.verify_signature(EVENTS.decode() + " ", *proof)
