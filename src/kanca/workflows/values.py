"""Values between nodes: always what JSON can say, so that a run goes on after a restart with exactly what it had."""

from __future__ import annotations

from typing import Any

from kanca import bodies
from kanca.bodies import NotJson

__all__ = ["MAX_VALUE_BYTES", "NotJson", "read_json", "write_json"]

MAX_VALUE_BYTES = 8 * 1024 * 1024
"""The largest input or output of a step."""


def write_json(value: object) -> bytes:
    """The value as JSON text: dates as ISO 8601, models and data classes as objects, bytes as base64.

    Raises NotJson for what has no such form, and for more than MAX_VALUE_BYTES.
    """
    text = bodies.write_json(value)
    if len(text) > MAX_VALUE_BYTES:
        raise NotJson(f"the value is larger than {MAX_VALUE_BYTES // 1024 // 1024} MB")
    return text


def read_json(text: bytes) -> Any:
    """The value of a JSON text, however deep. Raises NotJson."""
    try:
        return bodies.read_json(text, max_depth=None)
    except bodies.Unreadable as error:
        raise NotJson(error.detail) from None
