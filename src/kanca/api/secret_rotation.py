"""How one secret takes another's place, decided purely: for a while both are valid."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from kanca.domain.endpoint import Secret

MOST_SECRETS = 5
"""Secrets that one thing has at once: each live one is tried with, or signs, every request."""
CLOCKS_DIFFER_BY = timedelta(minutes=1)
"""A secret without a grace ends this long ago, so that no process uses it whose clock is slow."""


def rotated_secrets(
    before: Sequence[Secret], newest: str, grace: timedelta, now: datetime
) -> tuple[Secret, ...]:
    """The secrets with a new one in front; those before it end after the grace.

    Those that have ended stay, until ``EndedSecrets`` takes them out.
    """
    ends_at = now + grace if grace else now - CLOCKS_DIFFER_BY
    # None ends before an older one, so the bound takes away what has ended first.
    ending = [
        Secret(old.value, min(ends_at, old.expires_at or ends_at)) for old in before if old.value != newest
    ]
    return (Secret(newest), *ending)[:MOST_SECRETS]


def live(secrets: Sequence[Secret], now: datetime) -> tuple[Secret, ...]:
    """Those of the secrets that are valid at ``now``, the newest first."""
    return tuple(each for each in secrets if each.expires_at is None or each.expires_at > now)


def masked(secret: str) -> str:
    """Enough of a secret to tell it from another."""
    return f"…{secret[-4:]}" if len(secret) >= 24 else "…"
