"""The packages of Standard Webhooks and of Svix, where it began, sign and accept."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks

from kanca.providers import RefusalCode, Verified
from tests.providers.senders.exchange import arrives, departs, refusal

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"type": "contact.created", "data": {"id": 1}}'
PACKAGES = pytest.mark.parametrize(
    ("package", "prefix"),
    [(standardwebhooks, "webhook"), (svix.webhooks, "svix"), (svix.webhooks, "webhook")],
)


@PACKAGES
def test_what_the_packages_sign_is_accepted(package: Any, prefix: str) -> None:
    now = int(time.time())
    signature = package.Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(now, UTC), BODY.decode())
    headers = {f"{prefix}-id": "msg_1", f"{prefix}-timestamp": str(now), f"{prefix}-signature": signature}
    assert arrives("standardwebhooks", headers, BODY, SECRET) == Verified(0, now, b"msg_1")
    assert (
        refusal(arrives("standardwebhooks", headers, BODY + b" ", SECRET)) is RefusalCode.SIGNATURE_MISMATCH
    )
    other = headers | {f"{prefix}-id": "msg_2"}
    assert refusal(arrives("standardwebhooks", other, BODY, SECRET)) is RefusalCode.SIGNATURE_MISMATCH


def test_the_standardwebhooks_package_accepts_what_we_sign() -> None:
    sent = departs("standardwebhooks", SECRET)
    assert standardwebhooks.Webhook(SECRET).verify(sent.body, sent.headers) == json.loads(sent.body)
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(sent.body + b" ", sent.headers)


def test_the_svix_package_accepts_what_we_sign() -> None:
    sent = departs("standardwebhooks", SECRET)
    svix.webhooks.Webhook(SECRET).verify(sent.body, sent.headers)
    with pytest.raises(svix.webhooks.WebhookVerificationError):
        svix.webhooks.Webhook(SECRET).verify(sent.body + b" ", sent.headers)
