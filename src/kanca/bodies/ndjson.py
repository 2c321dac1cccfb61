"""JSON texts, one a line: NDJSON, JSON Lines."""

from __future__ import annotations

from typing import Any

from kanca.bodies.json import read_json
from kanca.bodies.unreadable import Unreadable, too_many

MOST_LINES = 50_000


def read_ndjson(body: bytes) -> list[Any]:
    """The values; blank lines are skipped.

    Raises Unreadable: ``invalid_json``, ``invalid_utf8``, ``nested_too_deeply`` or ``too_many_parts``.
    """
    if body.count(b"\n") > MOST_LINES:
        raise too_many("lines", MOST_LINES)
    return [_read(line, number) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]


def _read(line: bytes, number: int) -> Any:
    try:
        return read_json(line)
    except Unreadable as error:
        raise Unreadable(error.code, f"Line {number}: {error.detail}") from None
