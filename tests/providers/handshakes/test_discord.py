"""Discord asks for another answer of events than of interactions."""

from __future__ import annotations

import pytest

from kanca.providers import (
    Draft,
    HandshakeReply,
    Issued,
    Verified,
    compile_handshakes,
    compile_verifier,
    configure,
    get_provider,
    issue,
    sign,
)
from tests.providers.arriving import NOW

SPEC = get_provider("discord")
PAIR = issue(SPEC)
INTERACTIONS = {"variant": "interactions"}


def reply(body: bytes, options: dict[str, str] | None, pair: Issued = PAIR) -> HandshakeReply | None:
    """The answer to a request whose signature is right; None for what is none, and where it is wrong."""
    draft = Draft("", {"Content-Type": "application/json"}, body, NOW, "")
    request = sign(SPEC, options, pair.signing, draft).request()
    verifier = compile_verifier(SPEC, options)
    handshakes = compile_handshakes(SPEC, options, verifier)
    assert handshakes is not None
    assert handshakes.answer_unproven(request, [PAIR.checking], NOW) is None
    if not isinstance(verifier.verify(request, [PAIR.checking], NOW), Verified):
        return None
    return handshakes.answer_proven(request, [PAIR.checking], NOW)


@pytest.mark.parametrize(
    ("ping", "options", "status", "content_type", "body"),
    [
        (b'{"version":1,"application_id":"1","type":0}', None, 204, "text/plain; charset=utf-8", b""),
        (b'{"id":"1","type":1,"version":1}', INTERACTIONS, 200, "application/json", b'{"type":1}'),
    ],
)
def test_a_ping_is_answered_if_it_is_signed(
    ping: bytes, options: dict[str, str] | None, status: int, content_type: str, body: bytes
) -> None:
    answered = reply(ping, options)
    assert answered is not None
    assert (answered.status, answered.headers[0], answered.body) == (
        status,
        ("content-type", content_type),
        body,
    )
    assert reply(ping, options, issue(SPEC)) is None


def test_an_event_or_a_command_is_no_ping() -> None:
    assert reply(b'{"type":1,"event":{"type":"ENTITLEMENT_CREATE"}}', None) is None
    assert reply(b'{"type":2,"data":{"name":"weather"}}', INTERACTIONS) is None
    assert reply(b'{"type":true}', INTERACTIONS) is None


def test_interactions_are_answered_with_what_discord_waits_for() -> None:
    answer = configure(SPEC, INTERACTIONS).answer
    assert answer is not None
    assert (answer.status, answer.content_type, answer.body) == (200, "application/json", '{"type":5}')
    events = configure(SPEC, None).answer
    assert events is not None
    assert (events.status, events.body) == (204, "")
