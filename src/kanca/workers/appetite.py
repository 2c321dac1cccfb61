"""How many tasks a worker claims beyond its slots.

Quick tasks end faster than a claim takes, so a worker that only filled its slots would wait for the database most of
the time. It claims ahead what it begins within a moment: much of quick work, nothing of slow work, which other workers
can begin at once.
"""

from __future__ import annotations

MOMENT_S = 0.1
MOST_AHEAD = 250
CAUTIOUS_S = 1.0
"""What a task is taken to need as long as nothing is known, and after a mistake."""
_WEIGHT = 0.1


class Appetite:
    """Learns from the tasks that ended how many to claim ahead."""

    def __init__(self) -> None:
        self._mean_s = CAUTIOUS_S
        self._is_blocked = False

    def ended(self, took_s: float) -> None:
        """Learn that a task needed its slot for so long."""
        self._mean_s += (took_s - self._mean_s) * _WEIGHT
        self._is_blocked = False

    def was_too_large(self) -> None:
        """Learn that claimed tasks had to wait: nothing more is claimed ahead until something has ended."""
        self._mean_s = max(self._mean_s, CAUTIOUS_S)
        self._is_blocked = True

    def ahead(self, slots: int) -> int:
        """How many tasks to have in hand beyond the slots."""
        if self._is_blocked:
            return 0
        return min(int(slots * MOMENT_S / max(self._mean_s, 1e-6)), MOST_AHEAD)
