"""Causes of failures, as JSON that people read in attempts and dead letters."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from typing import Any

import msgspec

MOST_FRAMES = 12
MOST_MESSAGE = 2_000
MOST_TRACEBACK = 6_000
"""Characters. The end is kept: that is where the error is."""


def cause(code: str, message: str, **facts: Any) -> bytes:
    """``{"code", "message", …}``. Takes any text: what UTF-8 cannot hold is escaped."""
    return as_json({"code": code, "message": message[:MOST_MESSAGE], **facts})


def as_json(content: Mapping[str, Any]) -> bytes:
    """The content as JSON, whatever is in it: what UTF-8 cannot hold is escaped, what JSON cannot say is shown."""
    try:
        return msgspec.json.encode(content)
    except (UnicodeEncodeError, TypeError):
        return json.dumps(content, default=repr).encode()


def cause_of(error: BaseException, code: str, message: str | None = None) -> bytes:
    """The cause for an exception, with its type and the end of its traceback."""
    return cause(
        code, _text_of(error) if message is None else message, type=_type_of(error), traceback=_tail(error)
    )


def _type_of(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - somebody's __str__ is broken; that must not hide what happened
        return "(the error cannot be shown as text)"


def _tail(error: BaseException) -> str:
    try:
        lines = traceback.format_exception(error, limit=-MOST_FRAMES)
    except Exception:  # noqa: BLE001 - as above
        return ""
    return "".join(lines)[-MOST_TRACEBACK:]
