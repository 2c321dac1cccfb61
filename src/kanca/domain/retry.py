"""What follows a failed attempt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how fast failed work is tried again."""

    max_attempts: int = 5
    """Attempts in all, the first one included."""
    initial_delay: timedelta = timedelta(seconds=1)
    backoff_factor: float = 2.0
    max_delay: timedelta = timedelta(seconds=300)
    jitter: float = 0.2
    """Part of the delay that chance takes away: 0.2 gives 80 to 100 %."""
    schedule: tuple[timedelta, ...] = ()
    """The delays one by one, in place of the growing ones; the last one goes for all that follow."""


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Try again once this much time has passed."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Out of attempts: the work becomes a dead letter."""


def after_failure(
    attempt_number: int, policy: RetryPolicy, chance: float, asked_delay: timedelta | None = None
) -> RetryAfter | GiveUp:
    """Say what follows the failure of attempt ``attempt_number`` (1 is the first).

    ``chance`` is a number from 0 to 1 for the jitter. ``asked_delay`` is what the work itself asked for; it replaces
    the schedule, not the limit of attempts.
    """
    if attempt_number >= policy.max_attempts:
        return GiveUp()
    if asked_delay is not None:
        return RetryAfter(max(asked_delay, timedelta(0)))
    if policy.schedule:
        delay = policy.schedule[min(attempt_number, len(policy.schedule)) - 1]
        return RetryAfter(delay * (1 - policy.jitter * chance))
    # The exponent is capped so that a policy with thousands of attempts does not overflow a float.
    growth = policy.backoff_factor ** min(attempt_number - 1, 64)
    seconds = min(policy.initial_delay.total_seconds() * growth, policy.max_delay.total_seconds())
    return RetryAfter(timedelta(seconds=seconds * (1 - policy.jitter * chance)))
