"""Where a new task stands in its lane."""

from __future__ import annotations

import time
from collections.abc import Callable

from kanca.domain.task import TaskKind

SPACING_US = 1_000
SET_BACK_US = 60_000_000
"""A clock that is so far behind itself was set back."""
_SWEEP_AT = 10_000


class PositionClock:
    """Gives each new task its position, such that a target's burst leaves room for the others of its lane.

    A position is the moment of enqueuing in microseconds, but at least ``spacing_us`` after the target's previous
    one: of a thousand tasks that come at once for one target, the last stands a second behind the first, and what
    another target of the same lane enqueues meanwhile stands among them. What was given is remembered in this process
    only; after a restart a target begins at the present again.
    """

    def __init__(
        self, now_us: Callable[[], int] = lambda: time.time_ns() // 1_000, spacing_us: int = SPACING_US
    ) -> None:
        self._now_us = now_us
        self._spacing_us = spacing_us
        self._next: dict[tuple[TaskKind, int], int] = {}
        self._latest = 0
        self._sweep_at = _SWEEP_AT

    def next(self, kind: TaskKind, target: int) -> int:
        """Give the next task of this kind and target its position (microseconds since 1970)."""
        now = self._now_us()
        if now < self._latest - SET_BACK_US:
            # What was given is in the future now: another task behind it would wait until then.
            self._next.clear()
        self._latest = now
        position = max(now, self._next.get((kind, target), 0))
        self._next[kind, target] = position + self._spacing_us
        if len(self._next) > self._sweep_at:
            self._forget_until(now)
        return position

    def _forget_until(self, now: int) -> None:
        self._next = {target: after for target, after in self._next.items() if after > now}
        # Twice what is left, so that a process with very many busy targets does not sweep on every call.
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._next))
