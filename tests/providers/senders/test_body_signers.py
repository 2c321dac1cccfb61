"""LINE's and Viber's own packages accept what we sign, and packages for many senders do for those without one."""

from __future__ import annotations

from typing import Any

import pytest
from linebot.v3.webhook import SignatureValidator
from msgspec.structs import replace
from viberbot import Api, BotConfiguration

from kanca.providers import RefusalCode, Verified
from tests.providers.senders.exchange import arrives, departs, refusal
from tests.providers.senders.validators import nuxt_accepts, tern_accepts

SECRET = "8f742231b10e8888abcd99baac85a5f0"


def test_the_line_package_accepts_what_we_sign() -> None:
    sent = departs("line", SECRET)
    signature = sent.headers["X-Line-Signature"]
    assert SignatureValidator(SECRET).validate(sent.body.decode(), signature)
    assert not SignatureValidator(SECRET).validate(sent.body.decode() + " ", signature)


def test_the_viber_package_accepts_what_we_sign() -> None:
    bot: Any = Api(BotConfiguration(name="Teapot", avatar="", auth_token=SECRET))
    sent = departs("viber", SECRET)
    signature = sent.headers["X-Viber-Content-Signature"]
    assert bot.verify_signature(sent.body, signature)
    assert not bot.verify_signature(sent.body + b" ", signature)


@pytest.mark.parametrize(
    ("name", "validator"),
    [("bitbucket", "bitbucket"), ("jira", "bitbucket"), ("vercel", "vercel"), ("docusign", "docusign")],
)
def test_the_validators_for_many_providers_accept_what_we_sign(name: str, validator: str) -> None:
    sent = departs(name, SECRET)
    requests = [sent, replace(sent, body=sent.body + b" ")]
    assert nuxt_accepts(validator, {"secretKey": SECRET}, requests) == [True, False]


@pytest.mark.parametrize("name", ["lemonsqueezy", "razorpay", "woocommerce", "sentry", "workos"])
def test_the_other_validator_for_many_providers_accepts_what_we_sign(name: str) -> None:
    sent = departs(name, SECRET)
    # Sentry's body is signed as it is written anew, so that a blank more would not count as a change.
    requests = [sent, replace(sent, body=sent.body.replace(b"{", b'{"more":1,', 1))]
    assert tern_accepts(name, SECRET, requests) == [True, False]


def test_any_of_docusigns_signatures_may_fit() -> None:
    sent, other = departs("docusign", SECRET), departs("docusign", SECRET[::-1])
    header = "X-DocuSign-Signature-1"
    both = {header: other.headers[header], "x-docusign-signature-2": sent.headers[header]}
    assert arrives("docusign", both, sent.body, SECRET) == Verified(0)
    changed = arrives("docusign", both, sent.body + b" ", SECRET)
    assert refusal(changed) is RefusalCode.SIGNATURE_MISMATCH
