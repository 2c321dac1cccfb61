"""Specs that a user could write, checked against what the providers themselves publish.

None of them needs code: whatever signs a template of the request's parts with an HMAC is a spec.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from kanca.errors import InvalidProvider
from kanca.providers import Refusal, RefusalCode, SignedRequest, Verified, compile_verifier
from tests.providers.arriving import NOW, arriving, own_spec, sign


class Published(NamedTuple):
    signature: dict[str, Any]
    secret: str
    request: SignedRequest
    now: float = 0.0


SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SQUARE_URL = "https://webhook.site/679a4f3a-dcfa-49ee-bac5-9d0edad886b9"
SQUARE_BODY = (
    b'{"merchant_id":"MLEFBHHSJGVHD","type":"webhooks.test_notification",'
    b'"event_id":"ac3ac95b-f97d-458c-a6e6-18981597e05f","created_at":"2022-07-13T20:30:59.037339943Z",'
    b'"data":{"type":"webhooks","id":"bc368e64-01aa-407e-b46e-3231809b1129"}}'
)
BOX_BODY = (
    b'{"type":"webhook_event","webhook":{"id":"1234567890"},"trigger":"FILE.UPLOADED",'
    b'"source":{"id":"1234567890","type":"file","name":"Test.txt"}}'
)

PUBLISHED = {
    "slack": Published(
        {
            "header": "X-Slack-Signature",
            "form": "v0={signature}",
            "signed_content": "v0:{timestamp}:{body}",
            "timestamp": {"header": "X-Slack-Request-Timestamp"},
        },
        "8f742231b10e8888abcd99yyyzzz85a5",
        arriving(
            {
                "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
                "X-Slack-Request-Timestamp": "1531420618",
            },
            SLACK_BODY,
        ),
        1531420618,
    ),
    "paddle": Published(
        {
            "header": "Paddle-Signature",
            "form": "ts={timestamp};h1={signature}",
            "separator": ";",
            "signed_content": "{timestamp}:{body}",
            "timestamp": {"max_age_seconds": 5, "max_ahead_seconds": 5},
        },
        "pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_WvRO0eL4Bj9rgYYIBZY6wZhG4EHy9jzh",
        arriving(
            {
                "Paddle-Signature": "ts=1696195954;h1=dummy;"
                "h1=d96299976a6eb066f484d7fde011ac56fc32b38fc9940bc419d6e537fdc6ef02"
            },
            b"hello-world",
        ),
        1696195954,
    ),
    "circleci": Published(
        {"header": "circleci-signature", "form": "v1={signature}", "separator": ","},
        "secret",
        arriving(
            {
                "circleci-signature": "v1=734cc62f32841568f45715aeb9f4d7891324e6d948e4c6c60c0621cdac48623a,v2=00"
            },
            b"hello world",
        ),
    ),
    "line": Published(
        {"header": "X-Line-Signature", "encoding": "base64"},
        "channel_secret",
        arriving({"X-Line-Signature": "/gg9a+LvFevTH1sd7XCQycD7tsWclCsInj7MhBHxN7k="}, b"bodybodybodybody"),
    ),
    "square": Published(
        {"header": "x-square-hmacsha256-signature", "encoding": "base64", "signed_content": "{url}{body}"},
        "Ibxx_5AKakO-3qeNVR61Dw",
        arriving(
            {"x-square-hmacsha256-signature": "GF4YkrJgGBDZ9NIYbNXBnMzqb2HoL4RW/S6vkZ9/2N4="},
            SQUARE_BODY,
            url=SQUARE_URL,
        ),
    ),
    "sanity": Published(
        {
            "header": "sanity-webhook-signature",
            "form": "t={timestamp},v1={signature}",
            "separator": ",",
            "encoding": "base64url",
            "signed_content": "{timestamp}.{body}",
            "timestamp": {"unit": "ms"},
        },
        "test",
        arriving(
            {"sanity-webhook-signature": "t=1633519811129,v1=tLa470fx7qkLLEcMOcEUFuBbRSkGujyskxrNXcoh0N0"},
            b'{"_id":"resume"}',
        ),
        1633519811,
    ),
    "hubspot": Published(
        {
            "header": "X-HubSpot-Signature-v3",
            "encoding": "base64",
            "signed_content": "{method}{url}{body}{timestamp}",
            "timestamp": {"header": "X-HubSpot-Request-Timestamp", "unit": "ms"},
        },
        "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy",
        arriving(
            {
                "X-HubSpot-Signature-v3": "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=",
                "X-HubSpot-Request-Timestamp": "1693657560000",
            },
            b"{'example_field':'example_value'}",
            url="https://www.example.com/webhook_uri",
        ),
        1693657560,
    ),
    "box": Published(
        {
            "header": "BOX-SIGNATURE-PRIMARY",
            "encoding": "base64",
            "signed_content": "{body}{timestamp}",
            "timestamp": {"header": "BOX-DELIVERY-TIMESTAMP", "unit": "iso"},
        },
        "SamplePrimaryKey",
        arriving(
            {
                "BOX-SIGNATURE-PRIMARY": "6TfeAW3A1PASkgboxxA5yqHNKOwFyMWuEXny/FPD5hI=",
                "BOX-DELIVERY-TIMESTAMP": "2020-01-01T00:00:00-07:00",
            },
            BOX_BODY,
        ),
        1577862000,
    ),
    "twitch": Published(
        {
            "header": "Twitch-Eventsub-Message-Signature",
            "form": "sha256={signature}",
            "signed_content": "{id}{timestamp}{body}",
            "id_header": "Twitch-Eventsub-Message-Id",
            "timestamp": {"header": "Twitch-Eventsub-Message-Timestamp", "unit": "iso"},
        },
        "s3cRe7",
        arriving(
            {
                "Twitch-Eventsub-Message-Signature": "sha256="
                "4759321ff56b9b75857e86cd4b2cf20cf4b73facd1a8cb05daf7781c649b5d4b",
                "Twitch-Eventsub-Message-Id": "e76c6bd4-55c9-4987-8304-da1588d8988b",
                "Twitch-Eventsub-Message-Timestamp": "2019-11-16T10:11:12.634234626Z",
            },
            b'{"a":1}',
        ),
        1573899072,
    ),
    "trello": Published(
        {
            "header": "X-Trello-Webhook",
            "algorithm": "sha1",
            "encoding": "base64",
            "signed_content": "{body}{url}",
        },
        "secret",
        arriving(
            {"X-Trello-Webhook": "B3RnoCPFLHiNa78Vo68wtwXC0QY="}, b'{"a":1}', url="https://example.com/trello"
        ),
    ),
    "workos": Published(
        {
            "header": "WorkOS-Signature",
            "form": "t={timestamp}, v1={signature}",
            "separator": ",",
            "signed_content": "{timestamp}.{body}",
            "timestamp": {"unit": "ms", "max_age_seconds": 180},
        },
        "k",
        arriving(
            {
                "WorkOS-Signature": "t=1700000000000, "
                "v1=eec42247bc49c051fec352ebafa4f9b4ed1189fd7fef74e33988666a2c97b905"
            }
        ),
        1700000000,
    ),
}


@pytest.mark.parametrize("published", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_a_spec_describes_what_a_provider_publishes(published: Published) -> None:
    spec = own_spec(published.signature)
    verifier = compile_verifier(spec)
    assert isinstance(verifier.verify(published.request, [published.secret], published.now), Verified)
    other = SignedRequest(
        "POST", published.request.url, published.request.headers, published.request.body + b" "
    )
    refusal = verifier.verify(other, [published.secret], published.now)
    assert isinstance(refusal, Refusal)
    assert refusal.code is RefusalCode.SIGNATURE_MISMATCH


@pytest.mark.parametrize("name", ["square", "trello", "hubspot"])
def test_a_signed_url_is_part_of_the_proof(name: str) -> None:
    published = PUBLISHED[name]
    elsewhere = SignedRequest(
        "POST", "https://elsewhere.example.com/", published.request.headers, published.request.body
    )
    refusal = compile_verifier(own_spec(published.signature)).verify(
        elsewhere, [published.secret], published.now
    )
    assert isinstance(refusal, Refusal)
    assert refusal.code is RefusalCode.SIGNATURE_MISMATCH


LINEAR = own_spec(
    {
        "header": "Linear-Signature",
        "timestamp": {"body": "webhookTimestamp", "unit": "ms", "max_age_seconds": 60},
    }
)


def test_a_timestamp_in_the_body_counts_once_the_body_is_proven() -> None:
    body = b'{"webhookTimestamp": 1700000000000}'
    request = arriving(sign(LINEAR, None, "secret", body, NOW, "dlv-1", "x"), body)
    verifier = compile_verifier(LINEAR)
    assert verifier.verify(request, ["secret"], NOW + 60) == Verified(0, NOW)
    late = verifier.verify(request, ["secret"], NOW + 61)
    assert late == Refusal(RefusalCode.TIMESTAMP_TOO_OLD, "timestamp is 61 s old, tolerance 60 s")
    forged = verifier.verify(arriving({"Linear-Signature": "0" * 64}, b"not json"), ["secret"], NOW)
    assert isinstance(forged, Refusal)
    assert forged.code is RefusalCode.SIGNATURE_MISMATCH
    empty = arriving(sign(LINEAR, None, "secret", b"[]", NOW, "dlv-1", "x"), b"[]")
    untimed = verifier.verify(empty, ["secret"], NOW)
    assert isinstance(untimed, Refusal)
    assert untimed.code is RefusalCode.TIMESTAMP_MISSING


def test_a_handshake_that_no_signature_could_come_with_is_refused() -> None:
    asked = {"name": "ask", "method": "GET", "proof": "signature", "when": {"{query:a}": "*"}}
    with pytest.raises(InvalidProvider, match="only a POST is signed"):
        own_spec({"header": "X-Signature"}, handshakes=[asked])
