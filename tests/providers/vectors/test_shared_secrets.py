"""Signatures with a shared secret: those that providers publish, and, for those without a package, worked-out ones."""

from __future__ import annotations

import pytest

from kanca.providers import Verified
from tests.providers.senders.exchange import URL, arrives

EMPTY_HEX = "add853b103fbcc936a194f9eb15e29c4ff08af6e47d5d1bca4f20218e31e4fff"
EMPTY_BASE64 = "rdhTsQP7zJNqGU+esV4pxP8Ir25H1dG8pPICGOMeT/8="
EMPTY_SHA1 = "cd5db8ad80a5f76d54ce6d879c8e1c0e1c9c8dcc"
"""The HMACs of the body ``{}`` with the key ``k``."""

PUBLISHED = [
    (
        "circleci",
        "secret",
        "circleci-signature",
        "v1=734cc62f32841568f45715aeb9f4d7891324e6d948e4c6c60c0621cdac48623a",
        b"hello world",
    ),
    (
        "circleci",
        "another-secret",
        "circleci-signature",
        "v1=daa220016c8f29a8b214fbfc3671aeec2145cfb1e6790184ffb38b6d0425fa00",
        b"lalala",
    ),
    (
        "circleci",
        "hunter123",
        "circleci-signature",
        "v1=9be2242094a9a8c00c64306f382a7f9d691de910b4a266f67bd314ef18ac49fa,v2=something-newer",
        b"an-important-request-payload",
    ),
    (
        "jira",
        "It's a Secret to Everybody",
        "X-Hub-Signature",
        "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9",
        b"Hello World!",
    ),
    (
        "bitbucket",
        "It's a Secret to Everybody",
        "X-Hub-Signature",
        "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9",
        b"Hello World!",
    ),
    (
        "line",
        "channel_secret",
        "X-Line-Signature",
        "/gg9a+LvFevTH1sd7XCQycD7tsWclCsInj7MhBHxN7k=",
        b"bodybodybodybody",
    ),
]
WORKED_OUT = [
    ("gocardless", "Webhook-Signature", EMPTY_HEX),
    ("intercom", "X-Hub-Signature", f"sha1={EMPTY_SHA1}"),
    ("lemonsqueezy", "X-Signature", EMPTY_HEX),
    ("mollie", "X-Mollie-Signature", f"sha256={EMPTY_HEX}"),
    ("mollie", "X-Mollie-Signature", f"sha256={'0' * 64}, sha256={EMPTY_HEX}"),
    ("pagerduty", "X-PagerDuty-Signature", f"v1={EMPTY_HEX}"),
    ("pagerduty", "X-PagerDuty-Signature", f"v1={'0' * 64}, v1={EMPTY_HEX}"),
    ("quickbooks", "intuit-signature", EMPTY_BASE64),
    ("typeform", "Typeform-Signature", f"sha256={EMPTY_BASE64}"),
    ("vercel", "x-vercel-signature", EMPTY_SHA1),
]


@pytest.mark.parametrize(("name", "secret", "header", "value", "body"), PUBLISHED)
def test_a_published_signature_is_accepted(
    name: str, secret: str, header: str, value: str, body: bytes
) -> None:
    assert arrives(name, {header: value}, body, secret) == Verified(0)


@pytest.mark.parametrize(("name", "header", "value"), WORKED_OUT)
def test_a_worked_out_signature_is_accepted(name: str, header: str, value: str) -> None:
    assert arrives(name, {header: value}, b"{}", "k") == Verified(0)


def test_the_signatures_that_square_publishes_are_accepted() -> None:
    body = (
        b'{"merchant_id":"MLEFBHHSJGVHD","type":"webhooks.test_notification",'
        b'"event_id":"ac3ac95b-f97d-458c-a6e6-18981597e05f","created_at":"2022-07-13T20:30:59.037339943Z",'
        b'"data":{"type":"webhooks","id":"bc368e64-01aa-407e-b46e-3231809b1129"}}'
    )
    headers = {"x-square-hmacsha256-signature": "GF4YkrJgGBDZ9NIYbNXBnMzqb2HoL4RW/S6vkZ9/2N4="}
    url = "https://webhook.site/679a4f3a-dcfa-49ee-bac5-9d0edad886b9"
    assert arrives("square", headers, body, "Ibxx_5AKakO-3qeNVR61Dw", url=url) == Verified(0)
    body = b'{"data":{"type":"webhooks","id":">id<"}}'
    headers = {"x-square-hmacsha256-signature": "Cxt7+aTi4rKgcA0bC4g9EHdVtLSDWdqccmL5MvihU4U="}
    url = "https://webhook.site/webhooks"
    assert arrives("square", headers, body, "signature-key", url=url) == Verified(0)


def test_the_signature_that_paddle_publishes_is_accepted() -> None:
    signature = "d96299976a6eb066f484d7fde011ac56fc32b38fc9940bc419d6e537fdc6ef02"
    headers = {"Paddle-Signature": f"ts=1696195954;h1=dummy;h1={signature}"}
    secret = "pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_WvRO0eL4Bj9rgYYIBZY6wZhG4EHy9jzh"
    verdict = arrives("paddle", headers, b"hello-world", secret, now=1696195954)
    assert verdict == Verified(0, 1696195954)


def test_the_signature_that_sanity_publishes_is_accepted() -> None:
    header = "t=1633519811129,v1=tLa470fx7qkLLEcMOcEUFuBbRSkGujyskxrNXcoh0N0"
    headers = {"sanity-webhook-signature": header}
    verdict = arrives("sanity", headers, b'{"_id":"resume"}', "test", now=1633519811)
    assert verdict == Verified(0, 1633519811.129)


@pytest.mark.parametrize("name", ["svix", "svix-ingest", "clerk", "resend"])
def test_the_signature_that_svix_publishes_is_accepted(name: str) -> None:
    headers = {
        "svix-id": "msg_loFOjxBNrRLzqYUf",
        "svix-timestamp": "1731705121",
        "svix-signature": "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
    }
    body = b'{"event_type":"ping","data":{"success":true}}'
    verdict = arrives(name, headers, body, "whsec_plJ3nmyCDGBKInavdOK15jsl", now=1731705121)
    assert verdict == Verified(0, 1731705121, b"msg_loFOjxBNrRLzqYUf")


@pytest.mark.parametrize("name", ["openai", "anthropic", "replicate", "polar"])
def test_the_signature_that_standard_webhooks_publishes_is_accepted(name: str) -> None:
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    verdict = arrives(name, headers, b'{"test": 2432232314}', secret, now=1614265330)
    assert verdict == Verified(0, 1614265330, b"msg_p5jXN8AQM9LWM0D4loKWxJek")


@pytest.mark.parametrize(
    ("name", "header"),
    [("calendly", "Calendly-Webhook-Signature"), ("elevenlabs", "ElevenLabs-Signature")],
)
def test_a_worked_out_signature_with_its_time_is_accepted(name: str, header: str) -> None:
    kind = "v0" if name == "elevenlabs" else "v1"
    value = f"t=1700000000,{kind}=c6ef4734033cee2367414a0939385eca0397754aa7a59716da7463a9298b5146"
    assert arrives(name, {header: value}, b"{}", "k", now=1700000000) == Verified(0, 1700000000)


def test_a_worked_out_signature_of_workos_is_accepted() -> None:
    value = "t=1700000000000, v1=eec42247bc49c051fec352ebafa4f9b4ed1189fd7fef74e33988666a2c97b905"
    verdict = arrives("workos", {"WorkOS-Signature": value}, b"{}", "k", now=1700000000)
    assert verdict == Verified(0, 1700000000)


def test_a_worked_out_signature_of_zendesk_is_accepted() -> None:
    headers = {
        "X-Zendesk-Webhook-Signature": "/mXSigLOoEkcTQbsWqgaVKrxFhN+K298pf/niM2rAnI=",
        "X-Zendesk-Webhook-Signature-Timestamp": "2021-03-25T05:09:27Z",
    }
    secret = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="
    verdict = arrives("zendesk", headers, b'{"a":1}', secret, url=URL, now=1616648967)
    assert verdict == Verified(0, 1616648967)
