"""Senders that sign as Svix and Standard Webhooks do: the packages of each accept, and those of both sign."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import resend
import standardwebhooks
import svix.webhooks
from anthropic import Anthropic
from openai import InvalidWebhookSignatureError, OpenAI
from polar.webhooks import PolarWebhookVerificationError, validate_event
from replicate.webhook import InvalidSignatureError, Webhooks, WebhookSigningSecret

from kanca.providers import Draft, RefusalCode, Verified
from tests.providers.senders.exchange import arrives, ask_node, departs, refusal

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RAW_SECRET = "polar_whs_4vWx-not base64"
BODY = '{"type": "order.created", "data": {"id": 1}}'
Accept = Callable[[Draft], Any]


def _names(sent: Draft) -> dict[str, str]:
    return {name.lower(): value for name, value in sent.headers.items()}


def _resend(sent: Draft) -> Any:
    headers = {name: sent.headers[f"svix-{name}"] for name in ("id", "timestamp", "signature")}
    return resend.Webhooks.verify(
        {"payload": sent.body.decode(), "headers": headers, "webhook_secret": SECRET}
    )


def _openai(secret: str) -> Accept:
    client = OpenAI(api_key="k")
    return lambda sent: client.webhooks.verify_signature(sent.body.decode(), sent.headers, secret=secret)


def _anthropic(sent: Draft) -> Any:
    client = Anthropic(api_key="k")
    return client.beta.webhooks.unwrap(sent.body.decode(), headers=_names(sent), key=SECRET)


def _replicate(sent: Draft) -> Any:
    secret = WebhookSigningSecret(key=SECRET)
    return Webhooks.validate(headers=_names(sent), body=sent.body.decode(), secret=secret, tolerance=300)


def _polar(secret: str) -> Accept:
    return lambda sent: validate_event(
        sent.body, _names(sent), secret, frozenset({"order.created"}), lambda data: data
    )


def _standard(secret: str) -> Accept:
    return lambda sent: standardwebhooks.Webhook(secret).verify(sent.body, sent.headers)


def _svix(sent: Draft) -> Any:
    return svix.webhooks.Webhook(SECRET).verify(sent.body, sent.headers)


_STANDARD_ERROR = standardwebhooks.webhooks.WebhookVerificationError
_SVIX_ERROR = svix.webhooks.WebhookVerificationError


@pytest.mark.parametrize(
    ("name", "secret", "accept", "error"),
    [
        ("svix", SECRET, _svix, _SVIX_ERROR),
        ("svix-ingest", SECRET, _svix, _SVIX_ERROR),
        ("clerk", SECRET, _svix, _SVIX_ERROR),
        ("resend", SECRET, _resend, ValueError),
        ("openai", SECRET, _openai(SECRET), InvalidWebhookSignatureError),
        ("openai", RAW_SECRET, _openai(RAW_SECRET), InvalidWebhookSignatureError),
        ("anthropic", SECRET, _anthropic, _STANDARD_ERROR),
        ("replicate", SECRET, _replicate, InvalidSignatureError),
        ("polar", SECRET, _polar(SECRET), PolarWebhookVerificationError),
        ("polar", RAW_SECRET, _polar(RAW_SECRET), PolarWebhookVerificationError),
        ("bigcommerce", RAW_SECRET, _standard(b64encode(RAW_SECRET.encode()).decode()), _STANDARD_ERROR),
    ],
)
def test_the_package_accepts_what_we_sign(
    name: str, secret: str, accept: Accept, error: type[Exception]
) -> None:
    sent = departs(name, secret)
    accept(sent)
    changed = Draft(sent.url, sent.headers, sent.body.replace(b"{", b"{ ", 1), sent.now, sent.delivery_id)
    with pytest.raises(error):
        accept(changed)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("svix", "svix"),
        ("svix", "webhook"),
        ("svix-ingest", "svix"),
        ("clerk", "svix"),
        ("resend", "svix"),
        ("openai", "webhook"),
        ("anthropic", "webhook"),
        ("replicate", "webhook"),
        ("polar", "webhook"),
    ],
)
def test_what_the_svix_package_signs_is_accepted(name: str, prefix: str) -> None:
    now = int(time.time())
    signature = svix.webhooks.Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(now, UTC), BODY)
    headers = {f"{prefix}-id": "msg_1", f"{prefix}-timestamp": str(now), f"{prefix}-signature": signature}
    assert arrives(name, headers, BODY.encode(), SECRET) == Verified(0, now, b"msg_1")
    assert refusal(arrives(name, headers, b"{}", SECRET)) is RefusalCode.SIGNATURE_MISMATCH
    assert refusal(arrives(name, headers | {f"{prefix}-id": "msg_2"}, BODY.encode(), SECRET)) is (
        RefusalCode.SIGNATURE_MISMATCH
    )


def test_of_both_families_of_headers_those_of_svix_count() -> None:
    good, bad = departs("svix", SECRET), departs("svix", SECRET[:-4] + "AAAA")
    as_standard = {name.replace("svix-", "webhook-"): value for name, value in good.headers.items()}
    assert refusal(arrives("svix", as_standard | bad.headers, good.body, SECRET)) is (
        RefusalCode.SIGNATURE_MISMATCH
    )


def test_the_clerk_package_accepts_what_we_sign() -> None:
    sent = departs("clerk", SECRET, event_type="user.created")
    script = """
        const { verifyWebhook } = await import("@clerk/backend/webhooks");
        const { url, headers, bodies, signingSecret } = question;
        return Promise.all(bodies.map((body) =>
          verifyWebhook(new Request(url, { method: "POST", headers, body }), { signingSecret })
            .then((event) => event.type, () => null)));
    """
    body = sent.body.decode()
    question = {
        "url": sent.url,
        "headers": sent.headers,
        "bodies": [body, body + " "],
        "signingSecret": SECRET,
    }
    assert ask_node(script, question) == ["user.created", None]
