"""Adyen, PayTR, iyzico and Mailgun sign some fields of a body; their packages do the same arithmetic."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from Adyen.util import (
    generate_notification_sig,
    generate_payload_sig,
    is_valid_hmac_notification,
    is_valid_hmac_payload,
)
from iyzi import webhook as iyzico
from mailgun.security import SecurityGuard
from paytr import PayTRClient, PayTRSignatureError

from kanca.providers import RefusalCode, Verdict, Verified
from tests.providers.senders.exchange import arrives, departs, refusal

HEX_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
KEY, SALT = "yYPbVJs7WgFKRf3P", "q6DrNkbYpzYkSQmn"
ITEM = {
    "amount": {"value": 1130, "currency": "EUR"},
    "eventCode": "AUTHORISATION",
    "merchantAccountCode": "TestMerchant",
    "merchantReference": "with: a colon, and ç",
    "pspReference": "7914073381342284",
    "success": "true",
}
PLATFORM = {"variant": "platform"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def adyen(*items: dict[str, Any]) -> bytes:
    return json.dumps({"notificationItems": [{"NotificationRequestItem": item} for item in items]}).encode()


def signed_item(**changes: Any) -> dict[str, Any]:
    item = {**ITEM, **changes}
    signature = generate_notification_sig(item, HEX_KEY).decode()
    return {**item, "additionalData": {"hmacSignature": signature}}


def test_what_the_adyen_package_signs_is_accepted() -> None:
    one, two = signed_item(), signed_item(originalReference="791", success="false", eventCode="CAPTURE")
    for items in ([one], [two], [one, two]):
        assert isinstance(arrives("adyen", {}, adyen(*items), HEX_KEY), Verified)
    forged = [one, {**two, "amount": {"value": 1, "currency": "EUR"}}]
    assert refusal(arrives("adyen", {}, adyen(*forged), HEX_KEY)) is RefusalCode.SIGNATURE_MISMATCH
    unsigned = [one, ITEM]
    assert refusal(arrives("adyen", {}, adyen(*unsigned), HEX_KEY)) is RefusalCode.SIGNATURE_MISSING


def test_the_adyen_package_accepts_what_we_sign() -> None:
    sent = json.loads(departs("adyen", HEX_KEY).body)
    assert is_valid_hmac_notification(sent, HEX_KEY)
    sent = json.loads(departs("adyen", HEX_KEY, event_type="REFUND").body)
    sent["notificationItems"][0]["NotificationRequestItem"]["success"] = "false"
    assert not is_valid_hmac_notification(sent, HEX_KEY)


def test_adyens_other_webhooks_are_signed_whole() -> None:
    body = b'{"type":"balancePlatform.accountHolder.created"}'
    headers = {"HmacSignature": generate_payload_sig(body, HEX_KEY).decode()}
    assert arrives("adyen", headers, body, HEX_KEY, options=PLATFORM) == Verified(0)
    changed = arrives("adyen", headers, body + b" ", HEX_KEY, options=PLATFORM)
    assert refusal(changed) is RefusalCode.SIGNATURE_MISMATCH
    sent = departs("adyen", HEX_KEY, options=PLATFORM)
    assert is_valid_hmac_payload(sent.headers["HmacSignature"], HEX_KEY, sent.body)
    assert not is_valid_hmac_payload(sent.headers["HmacSignature"], HEX_KEY, sent.body + b" ")


@pytest.mark.parametrize("options", [None, {"variant": "link"}])
@pytest.mark.parametrize("event_type", ["payment.success", "payment.failed"])
def test_the_paytr_package_accepts_what_we_sign(options: dict[str, str] | None, event_type: str) -> None:
    package = PayTRClient(merchant_id="100000", merchant_key=KEY, merchant_salt=SALT)
    sent = departs("paytr", f"{KEY}:{SALT}", event_type=event_type, options=options)
    form = dict(parse_qsl(sent.body.decode()))
    assert package.parse_callback(form).is_success is (form["status"] == "success")
    for name in ("merchant_oid", "status", "total_amount"):
        with pytest.raises(PayTRSignatureError):
            package.parse_callback({**form, name: form[name] + "1"})
        changed = urlencode({**form, name: form[name] + "1"}).encode()
        verdict = arrives("paytr", FORM, changed, f"{KEY}:{SALT}", options=options)
        assert refusal(verdict) is RefusalCode.SIGNATURE_MISMATCH


def test_a_payment_of_paytr_cannot_pass_for_one_of_a_link() -> None:
    form = dict(parse_qsl(departs("paytr", f"{KEY}:{SALT}", delivery_id="order4711").body.decode()))
    split = {**form, "callback_id": "order", "merchant_oid": "4711"}
    assert isinstance(arrives("paytr", FORM, urlencode(form).encode(), f"{KEY}:{SALT}"), Verified)
    assert isinstance(
        refusal(arrives("paytr", FORM, urlencode(split).encode(), f"{KEY}:{SALT}")), RefusalCode
    )


def iyzico_says(body: dict[str, Any], signature: str) -> Verdict:
    return arrives("iyzico", {"X-IYZ-SIGNATURE-V3": signature}, json.dumps(body).encode(), "sandbox-secret")


@pytest.mark.parametrize("is_hosted", [False, True])
def test_what_is_signed_for_iyzico_is_accepted_in_each_form(is_hosted: bool) -> None:
    body: dict[str, Any] = {
        "iyziEventType": "API_AUTH",
        "iyziPaymentId": 22416035,
        "paymentConversationId": "sohbet-ş",
        "status": "SUCCESS",
        **({"token": "t-1"} if is_hosted else {"paymentId": 22416035}),
    }
    make = iyzico.signature_hpp if is_hosted else iyzico.signature_standard
    signature = make("sandbox-secret", body)
    accepted = iyzico_says(body, signature)
    assert isinstance(accepted, Verified)
    assert iyzico.verify("sandbox-secret", body, signature, hpp=is_hosted).valid
    assert iyzico_says({**body, "iyziReferenceCode": "new", "iyziEventTime": 7}, signature) == accepted
    for changed in ({**body, "status": "FAILURE"}, {**body, "iyziEventType": "X"}):
        assert refusal(iyzico_says(changed, signature)) is RefusalCode.SIGNATURE_MISMATCH
    assert refusal(iyzico_says({"status": "SUCCESS"}, signature)) is RefusalCode.SIGNED_FIELD_MISSING


def test_what_we_sign_is_right_for_the_iyzico_package() -> None:
    for event_type, is_hosted in (("CHECKOUT_FORM_AUTH.SUCCESS", True), ("THREE_DS_AUTH.FAILURE", False)):
        sent = departs("iyzico", "sandbox-secret", event_type=event_type)
        body, signature = json.loads(sent.body), sent.headers["X-IYZ-SIGNATURE-V3"]
        assert iyzico.verify("sandbox-secret", body, signature, hpp=is_hosted).valid
        assert not iyzico.verify("sandbox-secret", {**body, "status": "X"}, signature, hpp=is_hosted).valid


def test_the_mailgun_package_accepts_what_we_sign() -> None:
    token = "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0"
    signed = json.loads(departs("mailgun", "signing-key", delivery_id=token).body)["signature"]
    assert SecurityGuard.verify_webhook(
        "signing-key", signed["token"], int(signed["timestamp"]), signed["signature"]
    )
    assert not SecurityGuard.verify_webhook(
        "other-key", signed["token"], int(signed["timestamp"]), signed["signature"]
    )
    route = {"variant": "route"}
    form = dict(parse_qsl(departs("mailgun", "signing-key", delivery_id=token, options=route).body.decode()))
    assert SecurityGuard.verify_webhook(
        "signing-key", form["token"], int(form["timestamp"]), form["signature"]
    )
    verdict = arrives(
        "mailgun", FORM, urlencode({**form, "token": "b"}).encode(), "signing-key", options=route
    )
    assert refusal(verdict) is RefusalCode.SIGNATURE_MISMATCH


def test_a_triple_of_mailgun_does_not_last() -> None:
    sent = departs("mailgun", "signing-key", now=time.time() - 901)
    assert refusal(arrives("mailgun", {}, sent.body, "signing-key")) is RefusalCode.TIMESTAMP_TOO_OLD
