"""One member of a JSON object, cut out as it is written: numbers keep their digits, objects their order."""

from __future__ import annotations

import json
import re
from typing import NoReturn

import msgspec

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_SPACE = re.compile(r"[ \t\n\r]*")


def member_of(text: bytes, name: str) -> bytes | None:
    """The value of the member ``name`` as it is written in ``text``, which is UTF-8; the last where there are several.

    None when there is none, or when the text is no JSON object.
    """
    try:
        found = _decode(text).get(name)
    except (ValueError, RecursionError):  # msgspec does not take all that JSON allows
        return _member_slowly(text, name)
    return None if found is None else bytes(found)


def _member_slowly(text: bytes, name: str) -> bytes | None:
    try:
        members = _members(text.decode())
    except (ValueError, RecursionError):
        return None
    return members[name].encode() if name in members else None


def _members(text: str) -> dict[str, str]:
    """The members of the object that ``text`` is, as they are written. Raises ValueError."""
    scan = json.JSONDecoder(parse_constant=_refuse).raw_decode
    members: dict[str, str] = {}
    at = _past(text, _SPACE.match(text).end(), "{")  # type: ignore[union-attr] # it matches everywhere
    while text[at : at + 1] != "}":
        key, at = scan(text, at)
        at = _past(text, at, ":")
        _, end = scan(text, at)
        members[key] = text[at:end]
        at = _past(text, end, "")
        if text[at : at + 1] != "}":
            at = _past(text, at, ",")
    return members


def _past(text: str, at: int, sign: str) -> int:
    """The place behind ``sign``, and behind the blanks around it. Raises ValueError when it is not there."""
    start = _SPACE.match(text, at).end()  # type: ignore[union-attr] # it matches everywhere
    if not text.startswith(sign, start):
        raise ValueError(f"no {sign!r} at {start}")
    return _SPACE.match(text, start + len(sign)).end()  # type: ignore[union-attr] # it matches everywhere


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")
