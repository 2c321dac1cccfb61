"""What tells a handshake from a webhook, and numbers in what is answered."""

from __future__ import annotations

from typing import Any

import pytest

from kanca.errors import InvalidProvider
from kanca.providers import HandshakeReply, compile_handshakes, compile_verifier
from kanca.providers.handshakes import MAX_UNPROVEN_BYTES
from tests.providers.arriving import NOW, arriving, own_spec

SIGNATURE = {"header": "X-Signature"}
LOOK = {
    "name": "look",
    "method": "GET",
    "proof": "none",
    "patterns": {"{query:challenge}": "[a-f0-9]{4,8}"},
    "reply": {"json": {"type": 1, "said": "{query:challenge}"}},
}


def reply(url: str, **changes: Any) -> HandshakeReply | None:
    spec = own_spec(SIGNATURE, handshakes=[LOOK | changes])
    handshakes = compile_handshakes(spec, None, compile_verifier(spec))
    assert handshakes is not None
    return handshakes.answer_unproven(arriving({}, b"", url=url, method="GET"), ["a secret"], NOW)


def test_a_value_must_fit_its_pattern_whole() -> None:
    answered = reply("https://k.example/in/a?challenge=beef")
    assert answered is not None
    assert answered.body == b'{"type":1,"said":"beef"}'
    for query in (
        "",
        "?challenge=",
        "?challenge=bee",
        "?challenge=beefx",
        "?challenge=beef%0A",
        "?other=beef",
    ):
        assert reply(f"https://k.example/in/a{query}") is None


def test_numbers_alone_are_an_answer_too() -> None:
    answered = reply("https://k.example/in/a?challenge=beef", reply={"json": {"type": 1}})
    assert answered is not None
    assert (answered.headers[0], answered.body) == (("content-type", "application/json"), b'{"type":1}')


@pytest.mark.parametrize("patterns", [{"{query:a}": "("}, {"{query:a}": ""}, {"{nothing}": "a"}])
def test_what_is_no_pattern_is_refused(patterns: dict[str, str]) -> None:
    with pytest.raises(InvalidProvider):
        reply("", patterns=patterns)


def asked(body: bytes, when: dict[str, str]) -> HandshakeReply | None:
    look = {"name": "look", "proof": "none", "when": when}
    spec = own_spec(SIGNATURE, handshakes=[look])
    handshakes = compile_handshakes(spec, None, compile_verifier(spec))
    assert handshakes is not None
    return handshakes.answer_unproven(arriving({}, body), ["a secret"], NOW)


def test_a_large_body_is_not_read_for_a_handshake_that_nothing_proves() -> None:
    assert asked(b'{"a":1}', {"{body:a}": "1"}) is not None
    assert asked(b'{"a":1}' + b" " * MAX_UNPROVEN_BYTES, {"{body:a}": "1"}) is None


def test_half_a_character_is_no_secret() -> None:
    assert asked(b'{"a":"a secret"}', {"{body:a}": "{secret}"}) is not None
    assert asked(b'{"a":"\\ud800"}', {"{body:a}": "{secret}"}) is None


def test_nobody_has_a_body_signed_without_a_proof() -> None:
    signs: dict[str, Any] = {"reply": {"text": "{signed:query:challenge}"}}
    assert reply("https://k.example/in/a?challenge=beef", **signs) is not None
    for patterns in (
        {},
        {"{query:other}": "[a-f0-9]+"},
        {"{query:challenge}": ".*"},
        {"{query:challenge}": "[^a]+"},
    ):
        with pytest.raises(InvalidProvider, match="would sign a body for anybody"):
            reply("", **signs, patterns=patterns)


@pytest.mark.parametrize("told", ["{secret}", "{secret:key}"])
def test_nobody_is_told_the_key_without_a_proof(told: str) -> None:
    parts = {"parts": ["key", "name"]} if told == "{secret:key}" else {}
    with pytest.raises(InvalidProvider, match="would tell the key to anybody"):
        own_spec(SIGNATURE, handshakes=[LOOK | {"reply": {"text": told}}], secret=parts)
    own_spec(
        SIGNATURE, handshakes=[LOOK | {"reply": {"text": "{secret:name}"}}], secret={"parts": ["key", "name"]}
    )


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("a=1&b=2&d=beef", "`look`: `{query:c}` is missing"),
        ("a=1&b=2&c=3&d=beef&e=5", "`look`: `{query:e}` is there"),
        ("a=1&b=2&c=3&d=pork", "`look`: `{query:d}` does not fit"),
        ("a=2&b=2&c=3&d=beef", "`look`: `{query:a}` is not `1`"),
        ("a=2&b=1&c=3&d=beef", None),
        ("", None),
    ],
)
def test_the_only_condition_that_does_not_hold_is_named(query: str, told: str | None) -> None:
    when = {"{query:a}": "1", "{query:b}": "2", "{query:c}": "*", "{query:e}": ""}
    spec = own_spec(SIGNATURE, handshakes=[LOOK | {"when": when, "patterns": {"{query:d}": "beef"}}])
    handshakes = compile_handshakes(spec, None, compile_verifier(spec))
    assert handshakes is not None
    url = f"https://k.example/in/a?{query}"

    def miss(body: bytes) -> str | None:
        return handshakes.near_miss(arriving({}, body, url=url, method="GET"), ["a secret"])

    assert miss(b"") == told
    assert miss(b" " * (MAX_UNPROVEN_BYTES + 1)) is None
