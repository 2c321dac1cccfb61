"""How a subscription's receiver is, and what follows from it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

FAILING_AFTER = timedelta(minutes=10)
"""People are told of a receiver of which every attempt failed for so long."""
NOTED_EVERY = timedelta(minutes=1)
"""How old what is stored of a receiver may become that goes on as it did."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a subscription's receiver is."""

    subscription: int
    """The subscription's number."""
    failing_since: datetime | None = None
    """Every attempt since then failed."""
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    last_error: str | None = None
    """The code of the last failure."""

    def after_success(self, at: datetime) -> Health:
        """As it is when an attempt went well."""
        return replace(self, failing_since=None, last_success_at=at)

    def after_failure(self, at: datetime, code: str) -> Health:
        """As it is when an attempt failed."""
        return replace(self, failing_since=self.failing_since or at, last_failure_at=at, last_error=code)


class Condition(Enum):
    """What follows from a receiver's health."""

    WELL = "well"
    FAILING = "failing"
    """People are told."""
    LOST = "lost"
    """Its subscription is disabled."""


def condition(health: Health, now: datetime, disable_after: timedelta) -> Condition:
    """Say what follows."""
    if health.failing_since is None:
        return Condition.WELL
    failing_for = now - health.failing_since
    if failing_for >= disable_after:
        return Condition.LOST
    return Condition.FAILING if failing_for >= min(FAILING_AFTER, disable_after / 2) else Condition.WELL


def is_worth_noting(stored: Health, now: Health) -> bool:
    """Whether what is stored of a receiver is to be replaced."""
    if (stored.failing_since is None) != (now.failing_since is None):
        return True
    for before, after in (
        (stored.last_success_at, now.last_success_at),
        (stored.last_failure_at, now.last_failure_at),
    ):
        if after is not None and (before is None or after - before >= NOTED_EVERY):
            return True
    return False
