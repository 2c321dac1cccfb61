"""What a sender is answered instead of Kanca's own words, as it is written in a config or in a provider's spec."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_ANSWER_BYTES = 64 * 1024
"""The largest body of an answer, whether it stands in the config or is computed."""
MAX_ANSWER_HEADERS = 20
MAX_HEADER_VALUE = 1024
WITHOUT_BODY = frozenset({204, 205})
"""Statuses that say that there is no body (RFC 9110, sections 15.3.5 and 15.3.6)."""
SANDBOX_HEADERS = (
    ("x-content-type-options", "nosniff"),
    # Somebody else's page may have an answer shown as a page of this origin, which is the dashboard's too.
    ("content-security-policy", "default-src 'none'; sandbox"),
)
"""What goes with every answer whose words are not Kanca's own."""

_KEYS = frozenset({"status", "headers", "body", "expression"})
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")
_NOT_YOURS = frozenset(
    {
        # Of the connection, not of the answer (RFC 9110, section 7.6.1).
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        *("proxy-authenticate", "proxy-authorization", "proxy-authentication-info"),
        # They follow from the body.
        *("content-length", "content-encoding", "content-range"),
        # A sender is no browser, and the dashboard shares this origin with what a sender wrote.
        *("set-cookie", "set-cookie2", "clear-site-data", "service-worker-allowed"),
        *("x-content-type-options", "content-security-policy"),
        *("date", "server"),
    }
)


@dataclass(frozen=True, slots=True)
class AnswerSpec:
    """An answer of status 200 to 299."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    """The text as it is sent, in UTF-8."""
    expression: str | None = None
    """CEL, the value of which is the body. At most one of the two; with neither the body is empty."""


def read_answer(value: object) -> AnswerSpec:
    """The answer in ``{"status"?, "headers"?, "body"?, "expression"?}``.

    Raises ValueError with what is wrong. Whether the expression can be compiled is not looked at.
    """
    if not isinstance(value, Mapping):
        raise ValueError("must be an object")  # noqa: TRY004 - one kind of error for all that a value can be
    unknown = sorted(str(key)[:64] for key in value.keys() - _KEYS)
    if unknown:
        raise ValueError(f"has the unknown key `{unknown[0]}`; there are {', '.join(sorted(_KEYS))}")
    status = value.get("status", 200)
    if type(status) is not int or not 200 <= status <= 299:
        raise ValueError("needs a `status` from 200 to 299: what is refused keeps its own answer")
    body, expression = _text(value, "body"), _text(value, "expression")
    if body is not None and expression is not None:
        raise ValueError("takes `body` or `expression`, not both")
    if status in WITHOUT_BODY and (body or expression is not None):
        raise ValueError(f"with status {status} has no body")
    return AnswerSpec(status, _headers(value.get("headers")), body, expression)


def show_answer(answer: AnswerSpec) -> dict[str, Any]:
    """The answer as JSON gives it back: what is not set is left out."""
    shown: dict[str, Any] = {"status": answer.status}
    if answer.headers:
        shown["headers"] = dict(answer.headers)
    if answer.body is not None:
        shown["body"] = answer.body
    if answer.expression is not None:
        shown["expression"] = answer.expression
    return shown


def _text(value: Mapping[str, Any], key: str) -> str | None:
    text = value.get(key)
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError(f"needs text as `{key}`")  # noqa: TRY004 - as above
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError(f"has half of a character (a lone surrogate) in `{key}`") from None
    if size_bytes > MAX_ANSWER_BYTES:
        raise ValueError(f"takes at most {MAX_ANSWER_BYTES // 1024} KB as `{key}`")
    return text


def _headers(value: object) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise ValueError("needs an object of texts as `headers`")  # noqa: TRY004 - as above
    if len(value) > MAX_ANSWER_HEADERS:
        raise ValueError(f"has at most {MAX_ANSWER_HEADERS} headers")
    seen: set[str] = set()
    for name, text in value.items():
        check_header(name, text)
        if name.lower() in seen:
            raise ValueError(f"has the header `{name}` twice")
        seen.add(name.lower())
    return tuple(value.items())


def check_header(name: object, text: object) -> None:
    """Raise ValueError for a header that an answer cannot have."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("has a header whose name is none (letters, digits and hyphens, at most 64)")
    if name.lower() in _NOT_YOURS or name.lower().startswith("access-control-"):
        raise ValueError(f"cannot set the header `{name}`")
    if not isinstance(text, str) or len(text) > MAX_HEADER_VALUE or not _VALUE.fullmatch(text):
        raise ValueError(
            f"needs printable ASCII text of 1 to {MAX_HEADER_VALUE} characters in the header `{name}`"
        )
