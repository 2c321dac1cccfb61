"""A bound on lines of what went wrong: while the database is away, every webhook would be told of on one of its own."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

WINDOW_S = 10.0
MOST_ALIKE = 100
"""Lines of one window that say the same."""
MOST_KINDS = 500
"""Kinds that are told apart in one window; what comes beyond them is counted together."""

_OTHER = ("other", None)


class LineBound:
    """Lets so many lines through that are alike, and counts the rest: what they are, and with which code."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._began_at = monotonic()
        self._seen: Counter[tuple[str, Any]] = Counter()

    @property
    def is_over(self) -> bool:
        """Whether the window is, so that what was left out is to be said."""
        return self._monotonic() - self._began_at >= WINDOW_S

    def lets_through(self, event: str, fields: Mapping[str, Any]) -> bool:
        """Whether a line is written; otherwise it is counted."""
        kind = (event, fields.get("code") or fields.get("http_status"))
        if kind not in self._seen and len(self._seen) >= MOST_KINDS:
            kind = _OTHER
        self._seen[kind] += 1
        return self._seen[kind] <= MOST_ALIKE

    def left_out(self) -> list[dict[str, Any]]:
        """Begin a new window; gives what was left out of the last one, as fields of a line each."""
        seen, self._seen = self._seen, Counter()
        began_at, self._began_at = self._began_at, self._monotonic()
        window_s = round(self._began_at - began_at, 1)
        return [
            {"of": event, "code": code, "count": number - MOST_ALIKE, "window_s": window_s}
            for (event, code), number in seen.items()
            if number > MOST_ALIKE
        ]
