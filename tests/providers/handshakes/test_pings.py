"""Senders that only look whether somebody answers: WooCommerce, Bitbucket, Intercom, LINE and Viber."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kanca.providers import (
    HandshakeReply,
    Refusal,
    SignedRequest,
    Verified,
    compile_handshakes,
    compile_verifier,
    get_provider,
)
from tests.providers.arriving import NOW, arriving, sign

SECRET = "d41d8cd98f00b204e9800998ecf8427e"
EMPTY_200 = (
    200,
    (
        ("content-type", "text/plain; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
    ),
    b"",
)
LINE_VERIFY = b'{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}'
VIBER_SET_WEBHOOK = b'{"event":"webhook","timestamp":1700000000000,"message_token":241256543215}'


def unproven(name: str, request: SignedRequest) -> HandshakeReply | None:
    """The answer to a request that nothing was verified of."""
    spec = get_provider(name)
    handshakes = compile_handshakes(spec, None, compile_verifier(spec))
    assert handshakes is not None
    return handshakes.answer_unproven(request, [SECRET], NOW)


def proven(name: str, request: SignedRequest) -> HandshakeReply | None:
    """The answer to a request whose signature is right; None also where it is not."""
    spec = get_provider(name)
    verifier = compile_verifier(spec)
    handshakes = compile_handshakes(spec, None, verifier)
    assert handshakes is not None
    if not isinstance(verifier.verify(request, [SECRET], NOW), Verified):
        return None
    return handshakes.answer_proven(request, [SECRET], NOW)


def answered(reply: HandshakeReply | None) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    assert reply is not None
    return reply.status, reply.headers, reply.body


@pytest.mark.parametrize("charset", ["", "; charset=UTF-8"])
def test_the_form_that_woocommerce_saves_a_webhook_with_is_answered(charset: str) -> None:
    headers = {"Content-Type": f"application/x-www-form-urlencoded{charset}"}
    assert answered(unproven("woocommerce", arriving(headers, b"webhook_id=3"))) == EMPTY_200


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "application/json", "X-WC-Webhook-Signature": "AAAA"}, b'{"webhook_id": 3}'),
        ({"Content-Type": "application/json"}, b'{"id": 3}'),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"webhook_id="),
    ],
)
def test_no_other_delivery_of_woocommerce_passes_for_its_ping(
    headers: Mapping[str, str], body: bytes
) -> None:
    request = arriving(headers, body)
    assert unproven("woocommerce", request) is None
    verdict = compile_verifier(get_provider("woocommerce")).verify(request, [SECRET], NOW)
    assert isinstance(verdict, Refusal)


def test_the_connection_test_of_bitbucket_data_center_is_answered() -> None:
    headers = {"X-Event-Key": "diagnostics:ping", "Content-Type": "application/json"}
    assert answered(unproven("bitbucket", arriving(headers, b'{"test": true}'))) == EMPTY_200
    headers["X-Event-Key"] = "repo:push"
    assert unproven("bitbucket", arriving(headers, b'{"test": true}')) is None


def test_the_look_of_intercom_at_an_address_is_answered() -> None:
    assert answered(unproven("intercom", arriving({}, b"", method="HEAD"))) == EMPTY_200
    assert unproven("intercom", arriving({}, b"{}")) is None


@pytest.mark.parametrize(("name", "body"), [("line", LINE_VERIFY), ("viber", VIBER_SET_WEBHOOK)])
def test_a_signed_ping_is_answered_and_an_unsigned_one_is_not(name: str, body: bytes) -> None:
    headers = sign(get_provider(name), None, SECRET, body, NOW, "1", "")
    assert answered(proven(name, arriving(headers, body))) == EMPTY_200
    assert unproven(name, arriving(headers, body)) is None
    other = sign(get_provider(name), None, SECRET[::-1], body, NOW, "1", "")
    assert proven(name, arriving(other, body)) is None


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("line", b'{"destination":"U8e7","events":[{"type":"message"}]}'),
        ("line", b'{"destination":"U8e7"}'),
        ("viber", b'{"event":"message","message_token":1}'),
    ],
)
def test_a_signed_webhook_is_no_ping(name: str, body: bytes) -> None:
    headers = sign(get_provider(name), None, SECRET, body, NOW, "1", "")
    assert proven(name, arriving(headers, body)) is None
