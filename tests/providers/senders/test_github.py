"""The signer of GitHub's own libraries signs, and it and gidgethub accept."""

from __future__ import annotations

import gidgethub
import pytest
from gidgethub.sansio import validate_event
from msgspec.structs import replace

from kanca.providers import RefusalCode, Verified
from tests.providers.senders.exchange import arrives, ask_node, departs, refusal
from tests.providers.senders.validators import nuxt_accepts, tern_accepts

SECRET = "It's a Secret to Everybody"
BODY = '{"action": "opened", "number": 1, "title": "Çay soğudu ☕"}'


def test_what_octokit_signs_is_accepted() -> None:
    script = 'return (await import("@octokit/webhooks-methods")).sign(question.secret, question.body)'
    signature = ask_node(script, {"secret": SECRET, "body": BODY})
    headers = {"X-GitHub-Event": "issues", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": signature}
    assert arrives("github", headers, BODY.encode(), SECRET) == Verified(0)
    assert refusal(arrives("github", headers, b"{}", SECRET)) is RefusalCode.SIGNATURE_MISMATCH


def test_octokit_accepts_what_we_sign() -> None:
    sent = departs("github", SECRET, BODY.encode(), event_type="issues.opened")
    script = """
        const { verify } = await import("@octokit/webhooks-methods");
        const { secret, body, signature } = question;
        return [await verify(secret, body, signature), await verify(secret, body + " ", signature)];
    """
    signature = sent.headers["X-Hub-Signature-256"]
    assert ask_node(script, {"secret": SECRET, "body": BODY, "signature": signature}) == [True, False]


def test_gidgethub_accepts_what_we_sign() -> None:
    sent = departs("github", SECRET, event_type="push")
    signature = sent.headers["X-Hub-Signature-256"]
    validate_event(sent.body, signature=signature, secret=SECRET)
    with pytest.raises(gidgethub.ValidationFailure):
        validate_event(sent.body + b" ", signature=signature, secret=SECRET)


def test_the_validators_for_many_providers_accept_what_we_sign() -> None:
    sent = departs("github", SECRET, BODY.encode(), event_type="issues.opened")
    requests = [sent, replace(sent, body=sent.body + b" ")]
    assert nuxt_accepts("github", {"secretKey": SECRET}, requests) == [True, False]
    assert tern_accepts("github", SECRET, requests) == [True, False]
