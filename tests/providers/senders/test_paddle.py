"""Paddle's own package signs, and accepts."""

from __future__ import annotations

import time
from types import SimpleNamespace

from msgspec.structs import replace
from paddle_billing.Notifications import Secret, Verifier
from paddle_billing.Notifications.PaddleSignature import PaddleSignature

from kanca.providers import RefusalCode, Verified
from tests.providers.senders.exchange import arrives, departs, refusal
from tests.providers.senders.validators import nuxt_accepts, tern_accepts

SECRET = "pdl_ntfset_01hbpjmytsa32fhr36nqgc3kgb_WvRO0eL4Bj9rgYYIBZY6wZhG4EHy9jzh"
BODY = b'{"event_id": "evt_1", "event_type": "transaction.completed"}'


def signature(ts: int, body: bytes) -> str:
    return str(PaddleSignature.calculate_hmac(SECRET, b"%d:%b" % (ts, body)).hexdigest())


def test_what_the_paddle_package_signs_is_accepted() -> None:
    now = int(time.time())
    headers = {"Paddle-Signature": f"ts={now};h1={signature(now, BODY)}"}
    assert arrives("paddle", headers, BODY, SECRET, now=now + 4) == Verified(0, now)
    assert refusal(arrives("paddle", headers, b"{}", SECRET, now=now)) is RefusalCode.SIGNATURE_MISMATCH
    assert refusal(arrives("paddle", headers, BODY, SECRET, now=now + 6)) is RefusalCode.TIMESTAMP_TOO_OLD
    tolerant = {"tolerance_seconds": 60}
    assert arrives("paddle", headers, BODY, SECRET, now=now + 6, options=tolerant) == Verified(0, now)


def test_while_a_secret_is_replaced_any_signature_may_fit() -> None:
    now = int(time.time())
    header = f"ts={now};h1={'0' * 64};h1={signature(now, BODY)}"
    assert arrives("paddle", {"Paddle-Signature": header}, BODY, SECRET, now=now) == Verified(0, now)


def test_the_paddle_package_accepts_what_we_sign() -> None:
    sent = departs("paddle", SECRET)
    request = SimpleNamespace(headers=sent.headers, body=sent.body)
    changed = SimpleNamespace(headers=sent.headers, body=sent.body + b" ")
    assert Verifier(60).verify(request, Secret(SECRET)) is True
    assert Verifier(60).verify(changed, Secret(SECRET)) is False


def test_the_validators_for_many_providers_accept_what_we_sign() -> None:
    sent = departs("paddle", SECRET)
    requests = [sent, replace(sent, body=sent.body + b" ")]
    assert nuxt_accepts("paddle", {"webhookId": SECRET}, requests) == [True, False]
    assert tern_accepts("paddle", SECRET, requests) == [True, False]
