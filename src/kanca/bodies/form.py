"""Forms: ``application/x-www-form-urlencoded``, as the URL standard of the WHATWG parses them (section 5.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

from kanca.bodies.charset import decode_undeclared, find_charset
from kanca.bodies.unreadable import Unreadable, too_many

MOST_FIELDS = 10_000
MAX_FORM_BYTES = 2 * 1024 * 1024
"""A byte in a form costs a hundred times what one in JSON does."""

T = TypeVar("T")

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


def read_form(body: bytes, charset: str | None) -> dict[str, str | list[str]]:
    """The fields by name: text, or a list of texts where a name comes several times. Blank values are kept.

    Without ``charset``, a field that is not UTF-8 is read as Windows-1252. Raises Unreadable: ``payload_too_large``,
    ``too_many_parts``, ``unsupported_charset``, or ``invalid_form`` for bytes that the charset does not have.
    """
    if len(body) > MAX_FORM_BYTES:
        raise Unreadable(
            "payload_too_large",
            f"The form is larger than {MAX_FORM_BYTES // 1024} KB; one with files may be.",
        )
    if body.count(b"&") >= MOST_FIELDS:
        raise too_many("fields", MOST_FIELDS)
    codec = find_charset(charset) if charset else None
    fields = []
    for field in body.strip(b"\r\n").split(b"&"):
        if field:
            name, _, value = field.partition(b"=")
            fields.append((_text(name, codec), _text(value, codec)))
    return gather(fields)


def gather(fields: Iterable[tuple[str, T]]) -> dict[str, T | list[T]]:
    """Values by name; those of a name that comes several times as a list."""
    found: dict[str, list[T]] = {}
    for name, value in fields:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _text(quoted: bytes, codec: str | None) -> str:
    plain = _unescaped(quoted.replace(b"+", b" "))
    if codec is None:
        return decode_undeclared(plain)
    try:
        return plain.decode(codec)
    except UnicodeDecodeError:
        raise Unreadable("invalid_form", f"The form is not {codec.upper()}, as it says.") from None


def _unescaped(text: bytes) -> bytes:
    # Python's ``unquote_to_bytes`` takes half a second for a megabyte of ``%``, which anybody may send.
    return _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), text)
