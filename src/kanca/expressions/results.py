"""What the library returns, as plain JSON values."""

from __future__ import annotations

import base64
import math
from datetime import datetime, timedelta
from typing import TypeAlias

from kanca.errors import ExpressionFailed

JsonValue: TypeAlias = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None


def to_json(value: object) -> JsonValue:
    """``value`` as JSON: times as RFC 3339, durations as ``"5400s"``, bytes as base64, keys as text and sorted.

    The library keeps maps unordered; sorted keys make the same result the same bytes. Raises ExpressionFailed for what
    JSON does not have: NaN, infinity, and two keys of one map that are written alike (``1`` and ``"1"``).
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ExpressionFailed("the result has a number that is not finite", reason="bad_result")
        return value
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return _map(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return _seconds(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise ExpressionFailed("the result is of a type that JSON does not have", reason="bad_result")


def _map(value: dict[object, object]) -> JsonValue:
    written = {_key(key): member for key, member in value.items()}
    if len(written) < len(value):
        raise ExpressionFailed(
            "the result has a map with two keys that are written alike", reason="bad_result"
        )
    return {key: to_json(written[key]) for key in sorted(written)}


def _key(key: object) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)


def _seconds(duration: timedelta) -> str:
    """As protobuf's JSON mapping writes durations: ``"-1.5s"``."""
    sign = "-" if duration < timedelta(0) else ""
    whole, part = divmod(abs(duration), timedelta(seconds=1))
    fraction = f".{part.microseconds:06d}".rstrip("0") if part else ""
    return f"{sign}{whole}{fraction}s"
