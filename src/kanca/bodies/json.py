"""The one reader of JSON that comes from outside.

What JSON allows is taken: NUL and lone surrogates as escapes, numbers of any size that Python reads (``1e999`` is
infinite), duplicate keys (the last one counts). What it does not is refused: ``NaN``, bytes that are not UTF-8 (but a
byte order mark is skipped, and one of UTF-16 or UTF-32 is believed: RFC 4627, section 3). Nesting deeper than
``MAX_DEPTH`` is refused although JSON allows it: whoever reads the document later does so by recursion.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import msgspec

from kanca.bodies.charset import marked_charset
from kanca.bodies.unreadable import Unreadable

MAX_DEPTH = 256
"""Levels of nesting, well below what Python's recursion limit leaves to a handler deep in its own calls."""

_decode = msgspec.json.Decoder().decode


def read_json(text: bytes, *, max_depth: int | None = MAX_DEPTH) -> Any:
    """What a JSON text says. ``max_depth`` None: as deep as can be read.

    Raises Unreadable: ``empty_body``, ``invalid_json``, ``invalid_utf8`` or ``nested_too_deeply``.
    """
    if not text:
        raise Unreadable("empty_body", "The body is empty.")
    try:
        document = _decode(text)
    except RecursionError:
        raise _too_deep(max_depth) from None
    except ValueError:  # all that msgspec raises, and UnicodeDecodeError
        document = _read_slowly(text, max_depth)
    if max_depth is not None and _is_deeper(text, document, max_depth):
        raise _too_deep(max_depth)
    return document


def _read_slowly(text: bytes, max_depth: int | None) -> Any:
    """Read what msgspec refuses although JSON allows it, or say what is wrong."""
    charset = marked_charset(text) or "utf-8"
    try:
        return json.loads(text.decode(charset).removeprefix("\ufeff"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise Unreadable(
            "invalid_utf8", f"The body is JSON, but not {charset.upper()} (byte {error.start})."
        ) from None
    except json.JSONDecodeError as error:
        raise Unreadable(
            "invalid_json", f"The body is not valid JSON: {error.msg} (character {error.pos})."
        ) from None
    except RecursionError:
        raise _too_deep(max_depth) from None
    except ValueError as error:
        reason = str(error).partition(";")[0]
        raise Unreadable("invalid_json", f"The body cannot be read as JSON: {reason}.") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


def _too_deep(max_depth: int | None) -> Unreadable:
    levels = f"more than {max_depth} levels" if max_depth else "too"
    return Unreadable("nested_too_deeply", f"The body is nested {levels} deep.")


def _is_deeper(text: bytes, document: Any, max_depth: int) -> bool:
    if text.count(b"[") + text.count(b"{") <= max_depth:  # nearly every body ends here, in less than 1 µs
        return False
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(max_depth):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True
