"""Circuit breakers: after so many failures in a row nothing is sent for a while, then one attempt tries. Pure."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_BREAK_S = 5.0
LONGEST_BREAK_S = 300.0
EARLY_S = FIRST_BREAK_S / 2
"""How long after it opened a delivery that was tried before may try."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class Breaker:
    """What stands between Kanca and a receiver that does not answer. Times are seconds of a clock that never jumps."""

    threshold: int
    """Failures in a row that open it."""
    failures: int = 0
    """In a row."""
    break_s: float = 0.0
    """How long it was opened for the last time."""
    opens_at: float = 0.0
    """When the next attempt may try."""
    is_probing: bool = False
    """One attempt is trying."""
    has_tried_early: bool = False
    """A delivery that was tried before has tried in this break."""

    @property
    def is_open(self) -> bool:
        """Whether only an attempt that tries may be made, and not before ``opens_at``."""
        return self.failures >= self.threshold

    def lets_through(self, now: float) -> bool:
        """Whether an attempt may be made now."""
        return not self.is_open or (not self.is_probing and now >= self.opens_at)

    def opens_to_retries_at(self, now: float) -> float:
        """When a delivery that was tried before may ask whether it may try: one in each break may be early.

        Else a receiver that refuses every first attempt, and takes the next, would be tried with first attempts only.
        While one tries, the breaker may close at any moment.
        """
        if self.is_probing:
            return now
        early_at = self.opens_at - self.break_s + EARLY_S
        return self.opens_at if self.has_tried_early else min(early_at, self.opens_at)

    def lets_retry_through(self, now: float) -> bool:
        """Whether an attempt of a delivery that was tried before may be made now."""
        return not self.is_open or (not self.is_probing and now >= self.opens_to_retries_at(now))

    def begun(self, now: float) -> None:
        """An attempt has begun."""
        if self.is_open:
            self.is_probing = True
            self.has_tried_early = now < self.opens_at

    def succeeded(self) -> None:
        """The receiver has answered as it should."""
        self.failures = 0
        self.break_s = 0.0
        self.is_probing = False

    def failed(self, now: float) -> None:
        """It has not."""
        was_open = self.is_open
        self.failures += 1
        if self.is_probing and now < self.opens_at:
            self.is_probing = False  # it was early: the break goes on
        elif self.is_open and (self.is_probing or not was_open):
            self.has_tried_early = False
            self.break_s = min(max(self.break_s * 2, FIRST_BREAK_S), LONGEST_BREAK_S)
            self.opens_at = now + self.break_s
            self.is_probing = False

    def left(self) -> None:
        """An attempt ended without a word about the receiver: it was cut short."""
        self.is_probing = False
