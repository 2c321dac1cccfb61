"""From bytes to a document, for bodies whose sender has been verified.

A body that says it is JSON (by a JSON content type, or by none at all: that is what webhooks are) must be JSON. Any
other body is kept whole as the data: if it is a JSON object or list all the same, it is read as such (``curl -d`` says
form, Amazon SNS says text), else it is opaque, whatever it is: a form, text, XML.

What JSON allows is taken: NUL and lone surrogates as escapes, numbers of any size that Python reads (``1e999`` is
infinite), duplicate keys (the last one counts). What it does not is refused: ``NaN``, bytes that are not UTF-8. Deeper
nesting than ``MAX_DEPTH`` is refused although JSON allows it: whoever reads the body later does so by recursion.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final, NoReturn

import msgspec

from kanca.ingest.refusal import Refusal

MAX_DEPTH = 256
"""Levels of nesting, well below what Python's recursion limit leaves to a handler deep in its own calls."""


class _Opaque:
    def __repr__(self) -> str:
        return "OPAQUE"


OPAQUE: Final = _Opaque()
"""The document of a body that is not JSON and does not have to be."""

_EMPTY = Refusal("empty_body")
_TOO_DEEP = Refusal("nested_too_deeply", f"The body is nested more than {MAX_DEPTH} levels deep.")


def parse(body: bytes, content_type: bytes | None) -> Any | Refusal:
    """The document in a body: what its JSON says, ``OPAQUE``, or a refusal."""
    if not body or content_type is None or _says_json(content_type):
        return parse_json(body)
    if body.lstrip()[:1] not in (b"{", b"["):
        return OPAQUE
    document = parse_json(body)
    return OPAQUE if isinstance(document, Refusal) else document


def parse_json(body: bytes) -> Any | Refusal:
    """What a JSON text says, or a refusal."""
    if not body:
        return _EMPTY
    try:
        document = msgspec.json.decode(body)
    except RecursionError:
        return _TOO_DEEP
    except ValueError:  # all that msgspec raises, and UnicodeDecodeError
        document = _parse_slowly(body)
    return _TOO_DEEP if _is_too_deep(body, document) else document


def _parse_slowly(body: bytes) -> Any | Refusal:
    """Read what msgspec refuses although JSON allows it."""
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        return Refusal("invalid_utf8", f"The body is JSON, but not UTF-8 (byte {error.start}).")
    except json.JSONDecodeError as error:
        return Refusal("invalid_json", f"The body is not valid JSON: {error.msg} (character {error.pos}).")
    except RecursionError:
        return _TOO_DEEP
    except ValueError as error:
        return Refusal("invalid_json", f"The body cannot be read as JSON: {str(error).partition(';')[0]}.")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


def _is_too_deep(body: bytes, document: Any) -> bool:
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:  # nearly every body ends here, in less than 1 µs
        return False
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


@lru_cache(maxsize=512)
def _says_json(content_type: bytes) -> bool:
    media_type = content_type.partition(b";")[0].strip().lower()
    return media_type in (b"application/json", b"text/json") or media_type.endswith(b"+json")
