"""Signatures that the providers or their specifications publish, for the providers of the catalogue."""

from __future__ import annotations

import pytest

from kanca.providers import SignedRequest, Verified, compile_verifier, get_provider
from tests.providers.arriving import arriving, sign

STANDARD_BODY = b'{"test": 2432232314}'
SVIX_BODY = b'{"event_type":"ping","data":{"success":true}}'

VECTORS = {
    "github": (
        "github",
        "It's a Secret to Everybody",
        0,
        arriving(
            {
                "X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
            },
            b"Hello, World!",
        ),
    ),
    "standardwebhooks": (
        "standardwebhooks",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        1614265330,
        arriving(
            {
                "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
                "webhook-timestamp": "1614265330",
                "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            },
            STANDARD_BODY,
        ),
    ),
    "standardwebhooks beside an asymmetric signature": (
        "standardwebhooks",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        1614265330,
        arriving(
            {
                "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
                "webhook-timestamp": "1614265330",
                "webhook-signature": "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8"
                "EM+m7TBAg== v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            },
            STANDARD_BODY,
        ),
    ),
    "svix": (
        "standardwebhooks",
        "whsec_plJ3nmyCDGBKInavdOK15jsl",
        1731705121,
        arriving(
            {
                "svix-id": "msg_loFOjxBNrRLzqYUf",
                "svix-timestamp": "1731705121",
                "svix-signature": "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
            },
            SVIX_BODY,
        ),
    ),
    "shopify": (
        "shopify",
        "hush",
        0,
        arriving({"X-Shopify-Hmac-Sha256": "VnKUjZsLuN5iZWjn5EntcBVCF9kMN43LglzCE1/GSeY="}, b'{"id":1}'),
    ),
    "stripe": (
        "stripe",
        "k",
        1700000000,
        arriving(
            {
                "Stripe-Signature": "t=1700000000,"
                "v1=c6ef4734033cee2367414a0939385eca0397754aa7a59716da7463a9298b5146"
            }
        ),
    ),
    "kanca": (
        "kanca",
        "k",
        0,
        arriving({"X-Webhook-Signature": "add853b103fbcc936a194f9eb15e29c4ff08af6e47d5d1bca4f20218e31e4fff"}),
    ),
}


@pytest.mark.parametrize(("name", "secret", "now", "request_"), VECTORS.values(), ids=VECTORS.keys())
def test_a_published_signature_is_accepted(
    name: str, secret: str, now: float, request_: SignedRequest
) -> None:
    assert isinstance(compile_verifier(get_provider(name)).verify(request_, [secret], now), Verified)


def test_signing_gives_the_published_signature() -> None:
    headers = sign(
        get_provider("standardwebhooks"),
        None,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        STANDARD_BODY,
        1614265330,
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "test",
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
