"""What Twitch, Okta, Dropbox, Trello, Xero, Asana, Notion and senders of CloudEvents ask, byte by byte."""

from __future__ import annotations

import hmac
import json

import pytest

from kanca.providers import HandshakeReply, SignedRequest, compile_handshakes, compile_verifier, get_provider
from tests.providers.arriving import NOW, arriving, sign
from tests.providers.handshakes.test_pings import EMPTY_200, SECRET, answered, proven, unproven

GUARDS = (
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; sandbox"),
)
PLAIN = ("content-type", "text/plain")
TOKEN = "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"
CHALLENGE = b'{"challenge":"pogchamp-kappa-360noscope-vohiyo","subscription":{"type":"stream.online"}}'


def of_twitch(kind: str, secret: str = SECRET) -> SignedRequest:
    headers = sign(get_provider("twitch"), None, secret, CHALLENGE, NOW, "m-1", "stream.online")
    return arriving({**headers, "Twitch-Eventsub-Message-Type": kind}, CHALLENGE)


def test_twitchs_challenge_is_sent_back_as_it_is() -> None:
    reply = proven("twitch", of_twitch("webhook_callback_verification"))
    assert answered(reply) == (200, (PLAIN, *GUARDS), b"pogchamp-kappa-360noscope-vohiyo")


def test_twitchs_challenge_must_be_signed_and_be_one() -> None:
    assert proven("twitch", of_twitch("webhook_callback_verification", SECRET[::-1])) is None
    assert unproven("twitch", of_twitch("webhook_callback_verification")) is None
    assert proven("twitch", of_twitch("notification")) is None
    assert proven("twitch", of_twitch("revocation")) is None


def test_oktas_challenge_is_sent_back_as_json() -> None:
    asked = arriving({"X-Okta-Verification-Challenge": "Zf3qRk"}, b"", method="GET")
    assert answered(unproven("okta", asked)) == (
        200,
        (("content-type", "application/json"), *GUARDS),
        b'{"verification":"Zf3qRk"}',
    )
    assert unproven("okta", arriving({}, b"", method="GET")) is None
    assert unproven("okta", arriving({"X-Okta-Verification-Challenge": "Zf3qRk"})) is None


def test_dropboxs_challenge_is_sent_back_as_plain_text() -> None:
    asked = arriving({}, b"", method="GET", url="https://kanca.example/in/x?challenge=%3Cb%3E1")
    assert answered(unproven("dropbox", asked)) == (200, (PLAIN, *GUARDS), b"<b>1")
    assert unproven("dropbox", arriving({}, b"", method="GET", url="https://kanca.example/in/x")) is None


def test_trellos_look_is_answered() -> None:
    assert answered(unproven("trello", arriving({}, b"", method="HEAD"))) == EMPTY_200
    assert unproven("trello", arriving({}, b"")) is None


@pytest.mark.parametrize("name", ["xero", "asana"])
def test_a_signed_delivery_without_events_is_answered_and_nothing_more(name: str) -> None:
    body = b'{"events":[]}'
    headers = sign(get_provider(name), None, SECRET, body, NOW, "1", "")
    assert answered(proven(name, arriving(headers, body))) == EMPTY_200
    assert unproven(name, arriving(headers, body)) is None
    wrong = sign(get_provider(name), None, SECRET[::-1], body, NOW, "1", "")
    assert proven(name, arriving(wrong, body)) is None


def test_asanas_secret_is_sent_back_and_is_to_be_stored() -> None:
    reply = unproven("asana", arriving({"X-Hook-Secret": "b537207f20cbfa02"}, b""))
    assert reply is not None
    assert (reply.status, reply.body, reply.store_secret) == (200, b"", "b537207f20cbfa02")
    assert ("x-hook-secret", "b537207f20cbfa02") in reply.headers


def test_what_is_signed_brings_no_secret() -> None:
    headers = {"X-Hook-Secret": "b537207f20cbfa02", "X-Hook-Signature": "0" * 64}
    assert unproven("asana", arriving(headers)) is None


def of_notion(signed_with: str, **more: str) -> HandshakeReply | None:
    body = json.dumps({"verification_token": TOKEN, **more}).encode()
    signature = "sha256=" + hmac.digest(signed_with.encode(), body, "sha256").hex()
    spec = get_provider("notion")
    handshakes = compile_handshakes(spec, None, compile_verifier(spec))
    assert handshakes is not None
    return handshakes.answer_unproven(arriving({"X-Notion-Signature": signature}, body), [], NOW)


def test_notions_token_is_stored_when_it_signs_what_brings_it() -> None:
    reply = of_notion(TOKEN)
    assert answered(reply) == EMPTY_200
    assert reply is not None
    assert reply.store_secret == TOKEN
    assert of_notion(TOKEN[::-1]) is None
    assert of_notion(TOKEN, id="an-event-with-such-a-field") is None


def test_a_sender_of_cloudevents_is_told_that_it_may_send() -> None:
    asked = arriving({"WebHook-Request-Origin": "eventgrid.azure.net"}, b"", method="OPTIONS")
    assert answered(unproven("cloudevents", asked)) == (
        200,
        (
            ("content-type", "text/plain; charset=utf-8"),
            *GUARDS,
            ("webhook-allowed-origin", "eventgrid.azure.net"),
            ("webhook-allowed-rate", "*"),
            ("allow", "POST"),
        ),
        b"",
    )
    assert unproven("cloudevents", arriving({}, b"", method="OPTIONS")) is None
    split = arriving({"WebHook-Request-Origin": "a\r\nSet-Cookie: b"}, b"", method="OPTIONS")
    assert unproven("cloudevents", split) is None
