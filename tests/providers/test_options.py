from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from typing import Any

import pytest

from kanca.errors import InvalidProvider
from kanca.providers import (
    Refusal,
    RefusalCode,
    Verified,
    compile_extractor,
    compile_verifier,
    configure,
    get_provider,
)
from tests.providers.arriving import NOW, arriving, sign

HMAC = get_provider("hmac")


@pytest.mark.parametrize(
    "options",
    [
        None,
        {},
        {"header": "X-Sig", "algorithm": "sha512", "encoding": "base64", "prefix": "sha512="},
        {"algorithm": "sha1", "encoding": "base64url", "key_encoding": "hex"},
        {"key_encoding": "base64", "timestamp_header": "X-Time"},
        {"timestamp_header": "X-Time", "timestamp_unit": "ms", "signed_content": "v0:{timestamp}:{body}"},
        {"timestamp_header": "X-Time", "timestamp_unit": "iso", "signed_content": "{body}{timestamp}"},
        {"signed_content": "{method}\n{url}\n{header:Content-Type}\n{body}"},
    ],
)
def test_any_hmac_can_be_described(options: dict[str, Any] | None) -> None:
    secret = "616263646566"  # text, hex and base64 alike
    url = "https://hooks.example.com/webhooks/own?x=1"
    headers = sign(HMAC, options, secret, b"{}", NOW, "dlv-1", "order.created", url)
    verifier = compile_verifier(HMAC, options)
    assert isinstance(verifier.verify(arriving(headers, b"{}", url=url), [secret], NOW), Verified)
    assert isinstance(verifier.verify(arriving(headers, b"[]", url=url), [secret], NOW), Refusal)


def test_options_say_what_is_signed_and_how() -> None:
    options = {
        "header": "X-Sig",
        "algorithm": "sha512",
        "encoding": "base64",
        "prefix": "sha512=",
        "timestamp_header": "X-Time",
        "signed_content": "v0:{timestamp}:{body}",
        "key_encoding": "hex",
    }
    signature = b64encode(hmac.digest(b"\x01\x02", b"v0:1700000000:{}", hashlib.sha512)).decode()
    request = arriving({"X-Sig": f"sha512={signature}", "X-Time": "1700000000"})
    verdict = compile_verifier(HMAC, options).verify(request, ["0102"], NOW)
    assert verdict == Verified(0, 1_700_000_000.0)


def test_with_a_timestamp_it_is_signed_before_the_body_unless_said_otherwise() -> None:
    spec = configure(HMAC, {"timestamp_header": "X-Time", "tolerance_seconds": 30})
    (signature,) = spec.signatures
    assert getattr(signature, "signed_content", None) == "{timestamp}.{body}"
    headers = sign(HMAC, {"timestamp_header": "X-Time"}, "secret", b"{}", NOW, "dlv-1", "x")
    verifier = compile_verifier(HMAC, {"timestamp_header": "X-Time", "tolerance_seconds": 30})
    assert isinstance(verifier.verify(arriving(headers), ["secret"], NOW + 30), Verified)
    assert verifier.verify(arriving(headers), ["secret"], NOW + 31) == Refusal(
        RefusalCode.TIMESTAMP_TOO_OLD, "timestamp is 31 s old, tolerance 30 s"
    )


def test_options_can_say_where_type_and_id_are() -> None:
    extractor = compile_extractor(HMAC, {"event_type": "{header:X-Event}", "delivery_id": "{body:meta.id}"})
    assert extractor.extract({b"x-event": b"order.paid"}, {"meta": {"id": 7}}) == ("order.paid", "7")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"heade": "x"}, "unknown field `heade`"),
        ({"algorithm": "md5"}, "Invalid enum value 'md5' - at `$.algorithm`"),
        ({"algorithm": None}, "at `$.algorithm`"),
        ({"encoding": "utf8"}, "at `$.encoding`"),
        ({"header": "bad header"}, "at `$.header`"),
        ({"header": ""}, "at `$.header`"),
        ({"signed_content": "{timestamp}.{body}"}, "no timestamp is described"),
        ({"signed_content": "nothing"}, "any body would pass"),
        ({"timestamp_header": "X-Time", "signed_content": "{body}"}, "a timestamp must be signed"),
        ({"tolerance_seconds": 0}, "at `$.tolerance_seconds`"),
        ({"tolerance_seconds": "300"}, "at `$.tolerance_seconds`"),
        ({"prefix": "{"}, "a brace that belongs to no slot"),
        ({"event_type": "{body}"}, "{body} needs"),
    ],
)
def test_options_that_cannot_be_are_refused_with_their_place(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidProvider) as caught:
        configure(HMAC, options)
    assert complaint in caught.value.detail


def test_an_option_that_a_provider_does_not_have_is_an_error() -> None:
    stripe = get_provider("stripe")
    assert configure(stripe, None) is configure(stripe, {}) is stripe
    with pytest.raises(InvalidProvider, match=r"`stripe` are not valid.*algorithm"):
        configure(stripe, {"algorithm": "sha1"})
