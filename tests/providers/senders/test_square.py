"""Square's own package accepts what we sign, for the very address that is registered."""

from __future__ import annotations

import pytest
from square.utils.webhooks_helper import verify_signature

from kanca.providers import RefusalCode, Verified
from tests.providers.senders.exchange import URL, arrives, departs, refusal

KEY = "Ibxx_5AKakO-3qeNVR61Dw"
HEADER = "x-square-hmacsha256-signature"


@pytest.mark.parametrize("url", [URL, f"{URL}?shop=1"])
@pytest.mark.parametrize("event_type", ["payment.updated", "order.created"])
def test_the_square_package_accepts_what_we_sign(url: str, event_type: str) -> None:
    sent = departs("square", KEY, url=url, event_type=event_type)
    given = {
        "signature_header": sent.headers[HEADER],
        "signature_key": KEY,
        "request_body": sent.body.decode(),
    }
    assert verify_signature(**given, notification_url=url)
    assert not verify_signature(**given, notification_url=url + "/")
    assert not verify_signature(**{**given, "request_body": sent.body.decode() + " "}, notification_url=url)


def test_a_signature_is_good_for_one_address_only() -> None:
    sent = departs("square", KEY)
    assert arrives("square", sent.headers, sent.body, KEY) == Verified(0)
    elsewhere = arrives("square", sent.headers, sent.body, KEY, url="https://kanca.example/in/other")
    assert refusal(elsewhere) is RefusalCode.SIGNATURE_MISMATCH


def test_the_older_header_is_never_looked_at() -> None:
    sent = departs("square", KEY)
    headers = {"x-square-signature": sent.headers[HEADER]}
    assert refusal(arrives("square", headers, sent.body, KEY)) is RefusalCode.SIGNATURE_MISSING
