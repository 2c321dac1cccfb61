"""What we sign, others' packages accept; what others published, we sign alike."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import b64decode, b64encode
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.endpoint import InvalidConfig
from kanca.domain.subscription import SignatureKind
from kanca.domain.subscription_config import read_subscription_config
from kanca.errors import InvalidSecret
from kanca.outbound.checking import check
from kanca.outbound.keys import new_secret, public_key
from kanca.outbound.signing import signature_headers
from tests.outbound.samples import OLD_SECRET, PRIVATE_KEY, PUBLIC_KEY, SECRET

STANDARD, ED25519, HEX = SignatureKind.STANDARD, SignatureKind.ED25519, SignatureKind.HEX
BODY = b'{"event_type":"order.created","data":{"price":1.10}}'
OWN_SECRET = "a secret of one's own: ü"
# The message of the published signatures
ID, AT, PAYLOAD = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'

PACKAGES = pytest.mark.parametrize("package", [standardwebhooks, svix.webhooks])


@pytest.mark.parametrize(
    ("kind", "secret", "signature"),
    [
        # standard-webhooks/standard-webhooks, libraries/python/tests and others: test_sign_function
        (STANDARD, SECRET, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        # the same, libraries/go/webhook_asymmetric_test.go: TestAsymmetricWebhookSign, a seed alone
        (
            ED25519,
            "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=",
            "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==",
        ),
        # svix/svix-webhooks, server/svix-server: test_asymmetric_key_signing
        (
            ED25519,
            PRIVATE_KEY,
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
        ),
    ],
)
def test_published_signatures_are_ours(kind: SignatureKind, secret: str, signature: str) -> None:
    assert signature_headers(kind, [secret], ID, AT, PAYLOAD)["webhook-signature"] == signature


@PACKAGES
@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
def test_packages_accept_what_is_signed_with_either_live_secret(package: Any, secret: str) -> None:
    headers = signature_headers(STANDARD, [SECRET, OLD_SECRET], "evt_1", int(time.time()), BODY)
    package.Webhook(secret).verify(BODY, headers)
    error = package.WebhookVerificationError if package is svix.webhooks else None
    with pytest.raises(error or standardwebhooks.webhooks.WebhookVerificationError):
        package.Webhook(secret).verify(BODY + b" ", headers)


@PACKAGES
def test_packages_accept_what_is_signed_with_a_secret_of_ones_own(package: Any) -> None:
    headers = signature_headers(STANDARD, [OWN_SECRET], "evt_1", int(time.time()), BODY)
    package.Webhook(b64encode(OWN_SECRET.encode()).decode()).verify(BODY, headers)


def test_cryptography_accepts_what_a_key_pair_signs() -> None:
    newer = new_secret(ED25519)
    headers = signature_headers(ED25519, [newer, PRIVATE_KEY], "evt_1", AT, BODY)
    signatures = [entry.removeprefix("v1a,") for entry in headers["webhook-signature"].split(" ")]
    for public, signature in zip([public_key(newer), PUBLIC_KEY], signatures, strict=True):
        key = Ed25519PublicKey.from_public_bytes(b64decode(public.removeprefix("whpk_")))
        key.verify(b64decode(signature), b"evt_1.1614265330." + BODY)


def test_the_plain_signature_is_that_of_the_old_secret_while_there_are_two() -> None:
    for kind in (STANDARD, HEX):
        for secrets in ([SECRET], [OLD_SECRET, SECRET]):
            headers = signature_headers(kind, secrets, "evt_1", AT, BODY)
            expected = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
            assert headers["X-Webhook-Signature"] == expected


@pytest.mark.parametrize(
    ("kind", "secret", "header", "names"),
    [
        (STANDARD, SECRET, None, {"webhook-signature", "X-Webhook-Signature"}),
        (ED25519, PRIVATE_KEY, None, {"webhook-signature"}),
        (HEX, SECRET, None, {"X-Webhook-Signature"}),
        (HEX, SECRET, "X-Shop-Hmac", {"X-Shop-Hmac"}),
    ],
)
def test_each_way_has_its_headers_and_no_others(
    kind: SignatureKind, secret: str, header: str | None, names: set[str]
) -> None:
    headers = signature_headers(kind, [secret], "evt_1", AT, BODY, header)
    assert headers.keys() == names | {"webhook-id", "webhook-timestamp"}
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("evt_1", "1614265330")


@pytest.mark.parametrize(
    ("kind", "secrets"), [(STANDARD, []), (ED25519, [SECRET]), (STANDARD, ["whsec_%"]), (HEX, [])]
)
def test_what_cannot_be_signed_is_not_sent(kind: SignatureKind, secrets: list[str]) -> None:
    with pytest.raises(InvalidSecret):
        signature_headers(kind, secrets, "evt_1", AT, BODY)


@pytest.mark.parametrize("header", ["webhook-id", "Webhook-Timestamp", "content-type", "X-Webhook-Event"])
def test_the_signature_takes_no_place_that_says_something_else(header: str) -> None:
    with pytest.raises(InvalidConfig):
        read_subscription_config({"signature": "hex", "signature_header": header})


# --- What a receiver says of it --------------------------------------------------------------------------------------


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@given(st.binary(), st.sampled_from(SignatureKind), st.integers(0, 10**10))
def test_what_we_sign_we_accept_and_nothing_else(body: bytes, kind: SignatureKind, at: int) -> None:
    secret = PRIVATE_KEY if kind is ED25519 else SECRET
    headers = lower(signature_headers(kind, [secret], "evt_1", at, body))
    assert check(headers, body, PUBLIC_KEY if kind is ED25519 else SECRET, at).is_proven
    assert not check(headers, body + b" ", secret, at).is_proven
    assert not check(headers, body, new_secret(kind), at).is_proven


@pytest.mark.parametrize(
    ("changes", "secret", "now", "words"),
    [
        ({}, SECRET, AT, "the v1 signature fits"),
        ({}, SECRET, AT + 300, "the v1 signature fits"),
        ({}, SECRET, AT + 301, "is 301 s away from now"),
        ({}, SECRET, AT - 301, "is 301 s away from now"),
        ({}, OLD_SECRET, AT, "the secret is another one"),
        ({}, PUBLIC_KEY, AT, "has v1, and no v1a"),
        ({"webhook-signature": "v1a,AAAA"}, SECRET, AT, "a public key (whpk_…)"),
        ({"webhook-signature": "v1,%%"}, SECRET, AT, "no v1 signature fits"),
        ({"webhook-signature": ""}, SECRET, AT, "has nothing, and no v1"),
        ({"webhook-id": ""}, SECRET, AT, "webhook-id is missing"),
        ({"webhook-timestamp": "yesterday"}, SECRET, AT, "not a number of Unix seconds"),
        ({"webhook-signature": None}, SECRET, AT, "X-Webhook-Signature fits"),
        ({"webhook-signature": None}, OLD_SECRET, AT, "X-Webhook-Signature does not fit"),
        ({"webhook-signature": None}, PUBLIC_KEY, AT, "is made with a shared secret"),
        ({"webhook-signature": None, "x-webhook-signature": None}, SECRET, AT, "nothing is signed"),
    ],
)
def test_the_reason_is_said_in_words(
    changes: dict[str, str | None], secret: str, now: int, words: str
) -> None:
    headers: dict[str, Any] = lower(signature_headers(STANDARD, [SECRET], "evt_1", AT, BODY)) | changes
    checked = check({name: value for name, value in headers.items() if value is not None}, BODY, secret, now)
    assert words in checked.reason
    assert checked.is_proven == ("fits" in words and "no v1" not in words)
    assert secret not in checked.reason


def test_a_key_that_was_not_decoded_is_recognized() -> None:
    wrong = hmac.digest(SECRET.encode(), b"evt_1.%d." % AT + BODY, "sha256")
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(AT),
        "webhook-signature": "v1," + b64encode(wrong).decode(),
    }
    assert "the key is the base64 behind" in check(headers, BODY, SECRET, AT).reason


def test_during_a_rotation_it_is_said_that_there_are_several() -> None:
    headers = lower(signature_headers(STANDARD, [SECRET, OLD_SECRET], "evt_1", AT, BODY))
    assert check(headers, BODY, OLD_SECRET, AT).reason.endswith("(2 signatures: the secret is being rotated)")
