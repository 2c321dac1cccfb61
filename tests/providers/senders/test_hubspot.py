"""HubSpot's own package signs in each of its versions, and accepts."""

from __future__ import annotations

import time

import pytest
from hubspot.utils.signature import Signature

from kanca.providers import RefusalCode, Verified
from tests.providers.senders.exchange import URL, arrives, departs, refusal

SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
BODY = '[{"subscriptionType":"contact.creation","eventId":1}]'
ESCAPED = URL + "?to=https%3A%2F%2Fa.example%2F%3Fb%40c%21&d=%20%5B"
UNESCAPED = URL + "?to=https://a.example/?b@c!&d=%20%5B"


def test_what_the_hubspot_package_signs_is_accepted() -> None:
    written = str(int(time.time() * 1000))
    signature = Signature.get_signature(SECRET, BODY, "v3", URL, "POST", written)
    headers = {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": written}
    assert arrives("hubspot", headers, BODY.encode(), SECRET) == Verified(0, int(written) / 1000)
    for changed in (
        arrives("hubspot", headers, BODY.encode() + b" ", SECRET),
        arrives("hubspot", headers, BODY.encode(), SECRET, url=URL + "/"),
        arrives("hubspot", headers, BODY.encode(), SECRET, method="PUT"),
    ):
        assert refusal(changed) is RefusalCode.SIGNATURE_MISMATCH


def test_some_escapes_of_the_url_are_undone_before_it_is_signed() -> None:
    written = str(int(time.time() * 1000))
    signature = Signature.get_signature(SECRET, BODY, "v3", UNESCAPED, "POST", written)
    headers = {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": written}
    assert isinstance(arrives("hubspot", headers, BODY.encode(), SECRET, url=ESCAPED), Verified)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_older_signatures_count_where_the_endpoint_says_so_alone(version: str) -> None:
    signature = Signature.get_signature(SECRET, BODY, version, URL, "POST", None)
    headers = {"X-HubSpot-Signature": signature, "X-HubSpot-Signature-Version": version}
    options = {"variant": version}
    assert arrives("hubspot", headers, BODY.encode(), SECRET, options=options) == Verified(0)
    changed = arrives("hubspot", headers, BODY.encode() + b" ", SECRET, options=options)
    assert refusal(changed) is RefusalCode.SIGNATURE_MISMATCH
    assert refusal(arrives("hubspot", headers, BODY.encode(), SECRET)) is RefusalCode.SIGNATURE_MISSING


def test_the_hubspot_package_accepts_what_we_sign() -> None:
    sent = departs("hubspot", SECRET)
    signature, written = sent.headers["X-HubSpot-Signature-v3"], sent.headers["X-HubSpot-Request-Timestamp"]
    assert Signature.is_valid(signature, SECRET, sent.body.decode(), URL, "POST", "v3", written)
    assert not Signature.is_valid(signature, SECRET, sent.body.decode() + " ", URL, "POST", "v3", written)
