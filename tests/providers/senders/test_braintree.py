"""Braintree's own package makes notifications, reads ours, and answers the challenge alike."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode

import braintree
import pytest
from braintree.exceptions.invalid_signature_error import InvalidSignatureError

from kanca.errors import InvalidSecret
from kanca.providers import (
    HandshakeReply,
    RefusalCode,
    SignedRequest,
    Verified,
    compile_extractor,
    compile_handshakes,
    compile_verifier,
    get_provider,
)
from tests.providers.arriving import NOW, arriving
from tests.providers.senders.exchange import arrives, departs, refusal

PUBLIC, PRIVATE = "integration_public_key", "integration_private_key"
SECRET = f"{PRIVATE}:{PUBLIC}"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
GATEWAY = braintree.BraintreeGateway(
    braintree.Configuration(
        environment=braintree.Environment.Sandbox, merchant_id="m", public_key=PUBLIC, private_key=PRIVATE
    )
)


def notified(
    kind: str = braintree.WebhookNotification.Kind.SubscriptionChargedSuccessfully,
) -> dict[str, Any]:
    sample: dict[str, Any] = GATEWAY.webhook_testing.sample_notification(kind, "my_id")
    return sample


def test_what_the_braintree_package_makes_is_accepted_and_read() -> None:
    sample = notified()
    body = urlencode(sample).encode()
    verdict = arrives("braintree", FORM, body, SECRET)
    assert isinstance(verdict, Verified)
    request = SignedRequest("POST", "", {b"content-type": FORM["Content-Type"].encode()}, body)
    found = compile_extractor(get_provider("braintree")).extract({}, request.document(), verdict.signed_id)
    assert found.event_type == "subscription_charged_successfully"
    assert found.delivery_id
    changed = urlencode({**sample, "bt_payload": sample["bt_payload"].replace(b"P", b"Q", 1)}).encode()
    assert refusal(arrives("braintree", FORM, changed, SECRET)) is RefusalCode.SIGNATURE_MISMATCH


def test_the_last_lines_end_may_be_missing() -> None:
    sample = notified()
    stripped = urlencode({**sample, "bt_payload": sample["bt_payload"].rstrip()}).encode()
    assert arrives("braintree", FORM, stripped, SECRET) == arrives(
        "braintree", FORM, urlencode(sample).encode(), SECRET
    )


@pytest.mark.parametrize(
    ("signature", "code"),
    [
        ("{own}&other|00", None),
        ("other|00&{own}", None),
        ("other|{hex}", RefusalCode.SIGNATURE_MISMATCH),
        ("{hex}", RefusalCode.SIGNATURE_MALFORMED),
        ("&".join(["{own}"] * 60), RefusalCode.SIGNATURE_MALFORMED),
    ],
)
def test_the_signature_of_the_own_public_key_counts(signature: str, code: RefusalCode | None) -> None:
    sample = notified()
    own = sample["bt_signature"]
    written = signature.format(own=own, hex=own.partition("|")[2])
    verdict = arrives("braintree", FORM, urlencode({**sample, "bt_signature": written}).encode(), SECRET)
    assert isinstance(verdict, Verified) if code is None else refusal(verdict) is code


def test_the_braintree_package_accepts_what_we_sign() -> None:
    form = parse_qs(departs("braintree", SECRET).body.decode())
    read = GATEWAY.webhook_notification.parse(form["bt_signature"][0], form["bt_payload"][0])
    assert read.kind == "check"
    with pytest.raises(InvalidSignatureError):
        GATEWAY.webhook_notification.parse(form["bt_signature"][0], form["bt_payload"][0] + "A")
    with pytest.raises(InvalidSecret):
        departs("braintree", "only_a_private_key")


def challenged(challenge: str) -> HandshakeReply | None:
    spec = get_provider("braintree")
    handshakes = compile_handshakes(spec, None, compile_verifier(spec))
    assert handshakes is not None
    url = f"https://kanca.example/in/a?{urlencode({'bt_challenge': challenge})}"
    return handshakes.answer_unproven(arriving({}, b"", url=url, method="GET"), [SECRET], NOW)


def test_the_challenge_is_answered_as_the_package_does() -> None:
    challenge = "20f9f8ed05f77439fe955c977e4c8a53"
    reply = challenged(challenge)
    assert reply is not None
    assert (reply.status, reply.headers[0]) == (200, ("content-type", "text/plain; charset=utf-8"))
    assert reply.body == b"integration_public_key|d9b899556c966b3f06945ec21311865d35df3ce4"
    assert reply.body.decode() == GATEWAY.webhook_notification.verify(challenge)


@pytest.mark.parametrize(
    "challenge", ["", "abc", "A" * 20, "f" * 33, "f" * 20 + "\n", "PG5vdGlmaWNhdGlvbj4="]
)
def test_nothing_else_is_signed_for_anybody(challenge: str) -> None:
    assert challenged(challenge) is None


def test_an_answered_challenge_is_no_notification() -> None:
    """Whoever asks gets a challenge signed: it must not pass for a payload."""
    challenge = "f" * 20
    reply = challenged(challenge)
    assert reply is not None
    for payload in (challenge, challenge + "\n"):
        body = urlencode({"bt_signature": reply.body.decode(), "bt_payload": payload}).encode()
        assert refusal(arrives("braintree", FORM, body, SECRET)) is RefusalCode.SIGNATURE_MISMATCH
