"""Where a value is in a request: the name of a header, or a dotted path into what the body says.

Looking something up never raises, whatever the body is: what is not there, or is no text, is None.
"""

from __future__ import annotations

import binascii
from typing import Annotated

from msgspec import Meta

from kanca.bodies import read_document

HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z", max_length=128)]
"""A header as the provider writes it. Compared without regard to case."""

BodyPath = Annotated[str, Meta(min_length=1, max_length=200)]
"""Keys from the root of a body, with dots between; a number picks an item of a list: ``data.items.0.id``."""

FieldName = Annotated[str, Meta(pattern=r"^[^\s{}]{1,100}\Z")]
"""A field of a query."""

Path = tuple[str, ...]

WITHIN = "@document"
"""As a key of a path: what a text itself holds, JSON or XML, be it in Base64."""

OPTIONAL = "?"
"""Behind a path: where nothing is there, the value is empty."""

_MOST_KEYS = 16
_MOST_INDEX_DIGITS = 4
_MOST_INTEGER_BITS = 128


def header_key(name: str | None) -> bytes | None:
    """The header's name as requests have it; None for none."""
    return name.lower().encode("ascii") if name else None


def parse_path(text: str) -> Path:
    """The keys of a path. Raises ValueError when one is empty or there are too many."""
    keys = tuple(text.split("."))
    if not all(keys) or len(keys) > _MOST_KEYS:
        raise ValueError(f"`{text}` is no path: keys with dots between, at most {_MOST_KEYS}")
    return keys


def find(document: object, path: Path) -> object:
    """What is at the path, or None."""
    for key in path:
        if isinstance(document, dict):
            document = document.get(key)
        elif isinstance(document, list) and key.isdecimal() and len(key) <= _MOST_INDEX_DIGITS:
            index = int(key)
            document = document[index] if index < len(document) else None
        elif key == WITHIN and isinstance(document, str):
            document = _document_in(document)
        else:
            return None
    return document


def _document_in(text: str) -> object:
    plain = text.lstrip().encode("utf-8", "surrogatepass")
    if plain[:1] not in (b"{", b"[", b"<"):
        try:
            plain = binascii.a2b_base64(plain)
        except binascii.Error:
            return None
    return read_document(plain, "application/xml")


def text_of(value: object) -> str | None:
    """A string as it is, an integer in decimal; None for all else, also for numbers too long for an id or a time."""
    if isinstance(value, str):
        return value
    if type(value) is int and value.bit_length() <= _MOST_INTEGER_BITS:
        return str(value)
    return None


def scalar_of(value: object) -> str | None:
    """As ``text_of``, and ``true`` or ``false`` for a boolean."""
    if type(value) is bool:
        return "true" if value else "false"
    return text_of(value)


def encoded(text: str | None) -> bytes | None:
    """The bytes of a value as they are signed, whatever characters are in it."""
    return None if text is None else text.encode("utf-8", "surrogatepass")
