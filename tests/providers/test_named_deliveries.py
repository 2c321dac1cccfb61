"""Names that samples do not show: other shapes of body, ids that are put together, fallbacks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest

from kanca.providers import compile_extractor, get_provider
from tests.providers.arriving import arriving

QUICKBOOKS = (
    b'{"eventNotifications":[{"realmId":"1","dataChangeEvent":{"entities":['
    b'{"name":"Invoice","id":"7","operation":"Update"}]}}]}'
)
CALENDLY = (
    b'{"event":"invitee.created","created_at":"2026-01-01T00:00:00Z","payload":{"uri":"https://x.example/1"}}'
)
VOICE = b'{"type":"voice_removal_notice","event_timestamp":1,"data":{"voice_id":"v"}}'


@pytest.mark.parametrize(
    ("name", "headers", "body", "event_type", "delivery_id"),
    [
        ("gitlab", {"X-Gitlab-Event-UUID": "u"}, b'{"event_name":"user_create"}', "user_create", "u"),
        (
            "gitlab",
            {"X-Gitlab-Event-UUID": "u", "Idempotency-Key": "k"},
            b'{"object_kind":"issue","object_attributes":{"action":"close"}}',
            "issue.close",
            "k",
        ),
        ("bitbucket", {"X-Request-Id": "r", "X-Event-Key": "pr:opened"}, b"{}", "pr:opened", "r"),
        ("viber", {}, b'{"event":"seen","message_token":9,"user_id":"u="}', "seen", "seen-9-u="),
        ("viber", {}, b'{"event":"message","message_token":9}', "message", "message-9-"),
        (
            "calendly",
            {},
            CALENDLY,
            "invitee.created",
            "invitee.created|https://x.example/1|2026-01-01T00:00:00Z",
        ),
        ("elevenlabs", {}, VOICE, "voice_removal_notice", hashlib.sha256(VOICE).hexdigest()),
        ("quickbooks", {}, QUICKBOOKS, "Invoice.Update", hashlib.sha256(QUICKBOOKS).hexdigest()),
        ("sentry", {"Sentry-Hook-Resource": "error", "Request-ID": "q"}, b"{}", "error", "q"),
        ("linear", {"Linear-Delivery": "d"}, b'{"type":"AppUserNotification"}', "AppUserNotification", "d"),
        ("zendesk", {"X-Zendesk-Webhook-Invocation-Id": "i"}, b'{"id":"35436"}', None, "i"),
        ("sanity", {"idempotency-key": "i"}, b'{"_type":"post"}', "post", "i"),
        ("anthropic", {"webhook-id": "m"}, b'{"type":"event","data":{"type":"x.y"}}', "x.y", "m"),
    ],
)
def test_a_delivery_is_named_by_what_it_has(
    name: str, headers: Mapping[str, str], body: bytes, event_type: str | None, delivery_id: str
) -> None:
    request = arriving({"Content-Type": "application/json", **headers}, body)
    extractor = compile_extractor(get_provider(name))
    found = extractor.extract(request.headers, request.document(), None, request.body)
    assert (found.event_type, found.delivery_id) == (event_type, delivery_id)


def test_the_same_payment_of_mollie_may_change_again_and_again() -> None:
    extractor = compile_extractor(get_provider("mollie"), {"variant": "classic"})
    request = arriving({"Content-Type": "application/x-www-form-urlencoded"}, b"id=tr_7UhSN1zuXS")
    found = extractor.extract(request.headers, request.document(), None, request.body)
    assert found.delivery_id is None
