"""The one writer of values as JSON text."""

from __future__ import annotations

import json

import msgspec
from pydantic import BaseModel


class NotJson(ValueError):
    """The value cannot be written as JSON, or the text cannot be read as JSON; the message says why."""


def write_json(value: object) -> bytes:
    """The value as JSON text: dates as ISO 8601, models and data classes as objects, bytes as base64.

    Raises NotJson for what has no such form.
    """
    try:
        return _encode(value)
    except RecursionError:
        raise NotJson("the value is nested too deeply, or contains itself") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise NotJson(str(error)) from None


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
