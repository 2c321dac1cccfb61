"""GitLab's secret token, and its signing token, which the package of Standard Webhooks signs with, too."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
import standardwebhooks
from msgspec.structs import replace

from kanca.providers import RefusalCode, Verified
from tests.providers.senders.exchange import arrives, departs, refusal
from tests.providers.senders.validators import nuxt_accepts, tern_accepts

TOKEN = "correct horse battery staple"
SIGNING_TOKEN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNED = {"variant": "signing_token"}
BODY = b'{"object_kind": "push", "ref": "refs/heads/main"}'


def test_the_validators_for_many_providers_accept_our_token() -> None:
    sent = departs("gitlab", TOKEN, event_type="push")
    requests = [sent, replace(sent, headers=sent.headers | {"X-Gitlab-Token": "another"})]
    assert nuxt_accepts("gitlab", {"secretToken": TOKEN}, requests) == [True, False]
    assert tern_accepts("gitlab", TOKEN, requests) == [True, False]


def test_a_token_is_accepted_and_another_refused() -> None:
    assert arrives("gitlab", {"X-Gitlab-Token": TOKEN}, BODY, TOKEN) == Verified(0)
    assert (
        refusal(arrives("gitlab", {"X-Gitlab-Token": "another"}, BODY, TOKEN)) is RefusalCode.TOKEN_MISMATCH
    )
    assert refusal(arrives("gitlab", {}, BODY, TOKEN)) is RefusalCode.TOKEN_MISSING


def test_what_the_standardwebhooks_package_signs_is_accepted_for_a_signing_token() -> None:
    now = int(time.time())
    moment = datetime.fromtimestamp(now, UTC)
    signature = standardwebhooks.Webhook(SIGNING_TOKEN).sign("f5e5f430", moment, BODY.decode())
    headers = {"webhook-id": "f5e5f430", "webhook-timestamp": str(now), "webhook-signature": signature}
    assert arrives("gitlab", headers, BODY, SIGNING_TOKEN, options=SIGNED) == Verified(0, now, b"f5e5f430")
    changed = arrives("gitlab", headers, BODY + b" ", SIGNING_TOKEN, options=SIGNED)
    assert refusal(changed) is RefusalCode.SIGNATURE_MISMATCH


def test_the_standardwebhooks_package_accepts_what_we_sign_with_a_signing_token() -> None:
    sent = departs("gitlab", SIGNING_TOKEN, options=SIGNED)
    standardwebhooks.Webhook(SIGNING_TOKEN).verify(sent.body, sent.headers)
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SIGNING_TOKEN).verify(sent.body + b" ", sent.headers)


def test_the_weaker_proof_does_not_stand_in_for_the_stronger_one() -> None:
    verdict = arrives("gitlab", {"X-Gitlab-Token": SIGNING_TOKEN}, BODY, SIGNING_TOKEN, options=SIGNED)
    assert refusal(verdict) is RefusalCode.SIGNATURE_MISSING
