"""Signatures that providers publish of URLs, fields, and with keys of their own; and some made by their packages."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from kanca.providers import RefusalCode, SignedRequest, Verified
from tests.providers.arriving import arriving
from tests.providers.senders.exchange import arrives, refusal

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TWILIO_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
TWILIO_FORM = urlencode(
    {
        "CallSid": "CA1234567890ABCDE",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
        "Caller": "+14158675309",
    }
).encode()
TWILIO_HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
SENDGRID_BODY = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
    b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
    b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
    b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
)
BOX_AT = "2020-01-01T00:00:00-07:00"
BOX_BODY = (
    '{"type":"webhook_event","webhook":{"id":"1234567890"},"trigger":"FILE.UPLOADED",'
    '"source":{"id":"1234567890","type":"file","name":"Test.txt"}}'
)
BOX_UNICODE = (
    '{"webhook":{"id":"1234567890"},"trigger":"FILE.UPLOADED",'
    '"source":{"id":"1234567890","type":"file","name":"スクリーンショット 2020-08-05.txt"}}'
)
HUBSPOT_URL = "https://www.example.com/webhook_uri"
HUBSPOT_BODY = b"{'example_field':'example_value'}"
CONTENTFUL = {
    "X-Contentful-Topic": "ContentManagement.Entry.publish",
    "x-contentful-signature": "ba28cc99ca289fea8fad2eea8c99c5e2511c327d8a1357a3f896880ca694c907",
    "x-contentful-signed-headers": "x-contentful-signed-headers,x-contentful-timestamp,x-contentful-topic",
    "x-contentful-timestamp": "1700000000000",
}


class Vector(NamedTuple):
    """A request with the secret that it was signed with."""

    secret: str
    request: SignedRequest
    now: float = 0
    variant: str | None = None


def adyen(signature: str, **item: Any) -> SignedRequest:
    item |= {"success": "true", "additionalData": {"hmacSignature": signature}, "eventCode": "AUTHORISATION"}
    return arriving({}, json.dumps({"notificationItems": [{"NotificationRequestItem": item}]}).encode())


def twilio(signature: str, body: bytes = TWILIO_FORM, url: str = TWILIO_URL, **headers: str) -> SignedRequest:
    return arriving({**FORM, "X-Twilio-Signature": signature, **headers}, body, url=url)


def box(body: str, **signatures: str) -> SignedRequest:
    named = {f"BOX-SIGNATURE-{name.upper()}": value for name, value in signatures.items()}
    return arriving({"BOX-DELIVERY-TIMESTAMP": BOX_AT, "BOX-SIGNATURE-VERSION": "1", **named}, body.encode())


def hubspot(**headers: str) -> SignedRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return arriving(named, HUBSPOT_BODY, url=HUBSPOT_URL)


PUBLISHED = {
    "twilio": Vector("12345", twilio("RSOYDt4T1cUTdK1PDd93/VVr8B8=")),
    "twilio repeated fields": Vector(
        "12345",
        twilio(
            "IK+Dwps556ElfBT0I3Rgjkr1wJU=", b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234"
        ),
    ),
    "twilio JSON": Vector(
        "12345",
        twilio(
            "a9nBmqA0ju/hNViExpshrM61xv4=",
            b'{"property": "value", "boolean": true}',
            f"{TWILIO_URL}&bodySHA256={TWILIO_HASH}",
            **{"Content-Type": "application/json"},
        ),
    ),
    "twilio port 443": Vector("12345", twilio("kvajT1Ptam85bY51eRf/AJRuM3w=")),
    "twilio port 80": Vector(
        "12345", twilio("0ZXoZLH/DfblKGATFgpif+LLRf4=", url=TWILIO_URL.replace("https", "http"))
    ),
    "twilio HMAC_SHA256": Vector(
        "12345", twilio("033hgUJA9M/hXIZsYjwkerEP/DBm35nEri5FhCYjA5s="), variant="shared-key"
    ),
    "sendgrid": Vector(
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVp"
        "iglSI8eNEc6wEA3F+g==",
        arriving(
            {
                "X-Twilio-Email-Event-Webhook-Signature": "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM"
                "+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=",
                "X-Twilio-Email-Event-Webhook-Timestamp": "1600112502",
            },
            SENDGRID_BODY,
        ),
        1600112502,
    ),
    "discord": Vector(
        "d52880e28f61caa4c2a48a82e55f4751a92289a78009ea9f6532270c16ce8abe",
        arriving(
            {
                "X-Signature-Ed25519": "96f91f283d4e6f5f3b00d74511e56dfa92db4b69e6f87123423897dbc52eb67f"
                "cb8a9cafb8b8b39be7ec547ad30fe445adf6f5d88cfaf6728ec9272d1839930e",
                "X-Signature-Timestamp": "1614265330",
            },
            b'{"type":1}',
        ),
        1614265330,
    ),
    "adyen": Vector(
        "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
        adyen(
            "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0=",
            pspReference="7914073381342284",
            merchantAccountCode="TestMerchant",
            merchantReference="TestPayment-1407325143704",
            amount={"value": 1130, "currency": "EUR"},
        ),
    ),
    "adyen with a colon in a field": Vector(
        "74F490DD33F7327BAECC88B2947C011FC02D014A473AAA33A8EC93E4DC069174",
        adyen(
            "2EQYm7YJpKO4EtHSPu55SQTyWf8dkW5u2nD1tJFpViA=",
            pspReference="M8NB66SBZSGLNK82",
            originalReference=None,
            merchantAccountCode="AntoniStroinski",
            merchantReference=":slashes are fun",
            amount={"value": 1000, "currency": "EUR"},
        ),
    ),
    "hubspot v1": Vector(
        "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy",
        hubspot(X_HubSpot_Signature="69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750"),
        variant="v1",
    ),
    "hubspot v2": Vector(
        "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy",
        hubspot(X_HubSpot_Signature="4fe4e3a7d3cf09db53be39d0a58130e2aaba074ec123a9e355b876a689a1c383"),
        variant="v2",
    ),
    "hubspot v3": Vector(
        "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy",
        hubspot(
            **{
                "X-HubSpot-Signature-v3": "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=",
                "X-HubSpot-Request-Timestamp": "1693657560000",
            }
        ),
        1693657560,
    ),
    "box primary": Vector(
        "SamplePrimaryKey", box(BOX_BODY, primary="6TfeAW3A1PASkgboxxA5yqHNKOwFyMWuEXny/FPD5hI="), 1577862000
    ),
    "box secondary": Vector(
        "SampleSecondaryKey",
        box(BOX_BODY, secondary="v+1CD1Jdo3muIcbpv5lxxgPglOqMfsNHPV899xWYydo="),
        1577862000,
    ),
    "box unicode": Vector(
        "SamplePrimaryKey",
        box(BOX_UNICODE, primary="LV2uCu+5NJtIHrCXDYgZ0v/PP5THGRuegw3RtdnEyuE="),
        1577862000,
    ),
    "contentful": Vector(
        "a" * 64, arriving(CONTENTFUL, b"{}", url="https://hooks.example.com/hook?a=1"), 1700000000
    ),
    "iyzico": Vector(
        "sk",
        arriving(
            {"X-IYZ-SIGNATURE-V3": "a252b6b470aee892d6edb36f4bbd4c42053cfa5dd499fedd9a79b815d563bfe9"},
            b'{"iyziEventType":"API_AUTH","paymentId":1,"paymentConversationId":"c","status":"SUCCESS"}',
        ),
    ),
    "mailgun": Vector(
        "key",
        arriving(
            {},
            b'{"signature":{"timestamp":"1529006854","token":"a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0",'
            b'"signature":"bce54fbcad565970280ea7299c6c602125e2baee67c24378db39a218a4818a71"}}',
        ),
        1529006854,
    ),
    "paytr": Vector(
        "merchant_key:merchant_salt",
        arriving(
            FORM,
            b"merchant_oid=order123&status=success&total_amount=3456"
            b"&hash=PjE28oSXCe40%2Fc3N8GMZxMecfLoc%2B1%2BakiT1T5l7%2Bn4%3D",
        ),
    ),
    "dropbox-sign": Vector(
        "apikey",
        arriving(
            FORM,
            urlencode(
                {
                    "json": '{"event":{"event_time":"1348177752","event_type":"signature_request_sent",'
                    '"event_hash":"e2fa45178d77031bbe94eddc9b4b3e4ffa66256ff189b3feac0aaa3a8a6f596c"}}'
                }
            ).encode(),
        ),
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_signature_is_accepted_with_its_secret_alone(name: str) -> None:
    vector = PUBLISHED[name]
    request = vector.request
    headers = {key.decode(): value.decode() for key, value in request.headers.items()}
    provider = name.partition(" ")[0]
    options = {"variant": vector.variant} if vector.variant else None
    same: dict[str, Any] = {"url": request.url, "now": vector.now, "options": options}
    assert isinstance(arrives(provider, headers, request.body, vector.secret, **same), Verified)
    if provider not in ("sendgrid", "discord"):
        other = vector.secret[::-1].replace("a", "b") if provider != "paytr" else "another:secret"
        refused = arrives(provider, headers, request.body, other, **same)
        assert refusal(refused) is RefusalCode.SIGNATURE_MISMATCH
