"""Answers that senders insist on: ``[accepted]``, TwiML, an empty 204.

One class for what an endpoint's config says and for what a provider's spec says. The event is on disk before any of
this runs: where an expression fails, ``kanca.ingest.wording`` gives Kanca's own words instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.json import encode

from kanca.domain.answer import MAX_ANSWER_BYTES, SANDBOX_HEADERS, WITHOUT_BODY, AnswerSpec, check_header
from kanca.errors import ExpressionFailed
from kanca.expressions import Expression
from kanca.expressions.uses import compile_answer
from kanca.ingest.request import Said
from kanca.storage.answers import StoredAnswer

Pair = tuple[bytes, bytes]

BODYLESS = WITHOUT_BODY | {304}

_TEXT: Pair = (b"content-type", b"text/plain; charset=utf-8")
_JSON: Pair = (b"content-type", b"application/json")
_GUARDS: tuple[Pair, ...] = tuple((name.encode(), value.encode()) for name, value in SANDBOX_HEADERS)


class CustomAnswer(Struct, frozen=True):
    """An answer worked out as far as it does not depend on the event."""

    status: int
    headers: tuple[Pair, ...]
    expression: Expression | None
    static: Said | None
    """The whole answer, when it is the same for every event."""

    def say(self, scope: Mapping[str, Any]) -> Said:
        """The answer over the values of ``ANSWER_NAMES``. Raises ExpressionFailed."""
        if self.static is not None:
            return self.static
        assert self.expression is not None  # noqa: S101 - what is not static is computed
        value = self.expression.evaluate(scope)
        body, kind = (value.encode(), _TEXT) if isinstance(value, str) else (encode(value), _JSON)
        if len(body) > MAX_ANSWER_BYTES:
            raise ExpressionFailed(
                f"the answer is larger than {MAX_ANSWER_BYTES // 1024} KB", reason="too_large"
            )
        return _said(self.status, self.headers, body, kind)


def custom_answer(spec: AnswerSpec) -> CustomAnswer:
    """The answer that the spec describes. Raises InvalidExpression."""
    headers = tuple((name.lower().encode(), value.encode()) for name, value in spec.headers)
    if spec.expression is not None:
        return CustomAnswer(spec.status, headers, compile_answer(spec.expression), None)
    static = _said(spec.status, headers, (spec.body or "").encode(), _TEXT)
    return CustomAnswer(spec.status, headers, None, static)


def stored_answer(answer: StoredAnswer) -> Said:
    """The answer that a run gave, without the headers that no answer may have."""
    headers = {
        name.lower().encode(): value.encode() for name, value in answer.headers if _is_allowed(name, value)
    }
    return _said(answer.status, tuple(headers.items()), answer.body, _TEXT)


def _is_allowed(name: str, value: str) -> bool:
    try:
        check_header(name, value)
    except ValueError:
        return False
    return True


def _said(status: int, headers: tuple[Pair, ...], body: bytes, kind: Pair) -> Said:
    if status in BODYLESS:
        # A 204 has no length either, and that of a 304 would be another answer's (RFC 9110, section 8.6).
        length: tuple[Pair, ...] = ((b"content-length", b"0"),) if status == 205 else ()
        return Said(status, length + headers, b"")
    pairs: list[Pair] = [(b"content-length", b"%d" % len(body)), *headers]
    if body:
        if not any(name == b"content-type" for name, _ in headers):
            pairs.append(kind)
        pairs += _GUARDS
    return Said(status, tuple(pairs), body)
