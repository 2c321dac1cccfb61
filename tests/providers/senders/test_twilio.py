"""Twilio's own package signs forms, JSON and GET, and accepts; no header of a request chooses how."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from kanca.errors import InvalidProvider
from kanca.providers import RefusalCode, Verdict, Verified
from tests.providers.arriving import own_spec
from tests.providers.senders.exchange import URL, arrives, departs, refusal

TOKEN = "12345678901234567890123456789012"
TWILIO = RequestValidator(TOKEN)
FIELDS = {
    "CallSid": "CA1",
    "From": "+14158675309",
    "Body": "çay & şeker",
    "Empty": "",
    "CallStatus": "ringing",
}
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
JSON = {"Content-Type": "application/json"}
SHARED_KEY = {"variant": "shared-key"}
SETTINGS = {"X-Twilio-Webhooks-Signature-Settings": "key=k,algorithm=HMAC_SHA256"}


def signed(url: str, params: Mapping[str, str], algorithm: str | None = None) -> dict[str, str]:
    return {"X-Twilio-Signature": str(TWILIO.compute_signature(url, params, algorithm))}


def posted(headers: Mapping[str, str], fields: Mapping[str, str] = FIELDS, url: str = URL) -> Verdict:
    return arrives("twilio", {**FORM, **headers}, urlencode(fields).encode(), TOKEN, url=url)


def id_of(verdict: Verdict) -> bytes:
    assert isinstance(verdict, Verified)
    assert verdict.signed_id
    return verdict.signed_id


def test_a_form_is_accepted_in_any_order_and_is_one_delivery() -> None:
    headers = signed(URL, FIELDS)
    turned = dict(reversed(FIELDS.items()))
    assert id_of(posted(headers)) == id_of(posted(headers, turned))
    for changed in ({**FIELDS, "From": "+1"}, {**FIELDS, "More": "1"}, {"CallSid": "CA1"}):
        assert refusal(posted(headers, changed)) is RefusalCode.SIGNATURE_MISMATCH
    assert refusal(posted(headers, url=URL + "?a=1")) is RefusalCode.SIGNATURE_MISMATCH


def test_fields_that_come_several_times_are_signed_once_per_value() -> None:
    fields = MultiDict([("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234"), ("A", "b")])
    headers = {**FORM, **signed(URL, fields)}
    assert isinstance(arrives("twilio", headers, b"Digits=1234&A=b&Digits=5678&Digits=1234", TOKEN), Verified)


@pytest.mark.parametrize(
    ("signed_url", "public_url"),
    [
        ("https://kanca.example:443/in/shop", URL),
        (URL, "https://kanca.example:443/in/shop"),
        (URL, "https://kanca.example:8443/in/shop"),
        ("http://kanca.example:80/in/shop", "http://kanca.example/in/shop"),
    ],
)
def test_the_port_may_be_signed_or_not(signed_url: str, public_url: str) -> None:
    assert isinstance(posted(signed(signed_url, FIELDS), url=public_url), Verified)
    assert TWILIO.validate(public_url, FIELDS, signed(signed_url, FIELDS)["X-Twilio-Signature"])


@pytest.mark.parametrize(
    "url", ["https://kanca.example:8443/in/shop", "http://kanca.example/in/shop", "", ":", "https://[::1"]
)
def test_no_other_url_fits(url: str) -> None:
    assert (
        refusal(posted(signed("https://kanca.example:444/in/shop", FIELDS), url=url))
        is RefusalCode.SIGNATURE_MISMATCH
    )


def test_json_is_covered_by_the_hash_in_the_url() -> None:
    body = '{"property": "value", "boolean": true}'
    url = f"{URL}?bodySHA256={TWILIO.compute_hash(body)}"
    headers = {**JSON, **signed(url, {})}
    assert isinstance(arrives("twilio", headers, body.encode(), TOKEN, url=url), Verified)
    assert TWILIO.validate(url, body, headers["X-Twilio-Signature"])
    changed = arrives("twilio", headers, body.encode() + b" ", TOKEN, url=url)
    assert refusal(changed) is RefusalCode.SIGNATURE_MISMATCH


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"]
)
def test_a_body_that_the_signature_does_not_cover_is_refused(content_type: str) -> None:
    """Somebody has seen a request without a body, and puts one behind its URL."""
    headers = {"Content-Type": content_type, **signed(URL, {})}
    verdict = arrives("twilio", headers, b'{"a": 1}', TOKEN)
    assert refusal(verdict) is RefusalCode.SIGNED_FIELD_MISSING


def test_a_get_is_its_url() -> None:
    url = URL + "?CallSid=CA1&From=%2B14158675309"
    assert isinstance(arrives("twilio", signed(url, {}), b"", TOKEN, url=url, method="GET"), Verified)
    assert (
        refusal(arrives("twilio", signed(url, {}), b"", TOKEN, method="GET"))
        is RefusalCode.SIGNATURE_MISMATCH
    )


def test_the_variant_alone_says_which_algorithm_counts() -> None:
    body = urlencode(FIELDS).encode()
    strong = {**FORM, **SETTINGS, **signed(URL, FIELDS, "HMAC_SHA256")}
    weak = {**FORM, **SETTINGS, **signed(URL, FIELDS)}
    assert isinstance(arrives("twilio", strong, body, TOKEN, options=SHARED_KEY), Verified)
    assert (
        refusal(arrives("twilio", weak, body, TOKEN, options=SHARED_KEY)) is RefusalCode.SIGNATURE_MALFORMED
    )
    assert refusal(arrives("twilio", strong, body, TOKEN)) is RefusalCode.SIGNATURE_MALFORMED
    for algorithm in ("HMAC_SHA1", "none", "HMAC_MD5"):
        named = {**weak, "X-Twilio-Webhooks-Signature-Settings": f"key=k,algorithm={algorithm}"}
        verdict = arrives("twilio", named, body, TOKEN, options=SHARED_KEY)
        assert refusal(verdict) is RefusalCode.SIGNATURE_MALFORMED


def test_the_twilio_package_accepts_what_we_sign() -> None:
    sent = departs("twilio", TOKEN, b"A=1&B=%C3%A7")
    assert TWILIO.validate(sent.url, {"A": "1", "B": "ç"}, sent.headers["X-Twilio-Signature"])
    assert not TWILIO.validate(sent.url, {"A": "1", "B": "c"}, sent.headers["X-Twilio-Signature"])
    sent = departs("twilio", TOKEN, b"[1]", url=URL + "?a=1")
    assert "bodySHA256" in sent.url
    assert TWILIO.validate(sent.url, "[1]", sent.headers["X-Twilio-Signature"])
    assert not TWILIO.validate(sent.url, "[2]", sent.headers["X-Twilio-Signature"])
    strong = departs("twilio", TOKEN, b"A=1", options=SHARED_KEY)
    assert TWILIO.validate(strong.url, {"A": "1"}, strong.headers["X-Twilio-Signature"], "HMAC_SHA256")


def test_a_spec_cannot_say_otherwise_what_is_signed() -> None:
    with pytest.raises(InvalidProvider, match="leave out signed_content"):
        own_spec({"scheme": "twilio", "header": "X-S", "signed_content": "{body}"})
