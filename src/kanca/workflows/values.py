"""Values between nodes: always what JSON can say, so that a run goes on after a restart with exactly what it had."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from pydantic import BaseModel

from kanca import bodies

MAX_VALUE_BYTES = 8 * 1024 * 1024
"""The largest input or output of a step."""


class NotJson(ValueError):
    """The value cannot be written as JSON, or the text cannot be read as JSON; the message says why."""


def write_json(value: object) -> bytes:
    """The value as JSON text: dates as ISO 8601, models and data classes as objects, bytes as base64.

    Raises NotJson for what has no such form, and for more than MAX_VALUE_BYTES.
    """
    try:
        text = _encode(value)
    except RecursionError:
        raise NotJson("the value is nested too deeply, or contains itself") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise NotJson(str(error)) from None
    if len(text) > MAX_VALUE_BYTES:
        raise NotJson(f"the value is larger than {MAX_VALUE_BYTES // 1024 // 1024} MB")
    return text


def read_json(text: bytes) -> Any:
    """The value of a JSON text, however deep. Raises NotJson."""
    try:
        return bodies.read_json(text, max_depth=None)
    except bodies.Unreadable as error:
        raise NotJson(error.detail) from None


def _encode(value: object) -> bytes:
    try:
        return msgspec.json.encode(value, enc_hook=_plain)
    except UnicodeEncodeError:
        # A lone surrogate is no UTF-8, but JSON can say it as an escape.
        text = json.dumps(msgspec.to_builtins(value, enc_hook=_plain))
        value = json.loads(
            text, parse_constant=lambda _: None
        )  # NaN has no form in JSON: null, as msgspec has it
        return json.dumps(value, separators=(",", ":")).encode()


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise NotJson(f"a value of type {type(value).__name__} has no form in JSON")
