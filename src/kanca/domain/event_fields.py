"""Fields of payloads that events are found by: how a value is stored, and how one is asked for."""

from __future__ import annotations

import hashlib
import json

LONGEST_VALUE = 200
"""Characters. What is longer is stored, and looked for, as its hash."""
HASHED = "sha256:"


def stored_value(value: object) -> str | None:
    """What stands for a value of JSON: its text, or the hash of a long one; None for null, lists and objects."""
    if isinstance(value, str):
        return _short(value)
    if isinstance(value, bool | int | float):
        return _short(json.dumps(value))
    return None


def read_wanted(text: str) -> tuple[str, str] | None:
    """Path and stored value in ``data.customer.id:42``; None where that is not what it says.

    A path may begin with ``$.``. The value is all behind the first colon.
    """
    path, colon, value = text.partition(":")
    path = path.removeprefix("$.")
    return (path, _short(value)) if path and colon else None


def _short(text: str) -> str:
    # A text column takes neither NUL nor lone surrogates.
    if len(text) <= LONGEST_VALUE and text.isprintable():
        return text
    return HASHED + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
