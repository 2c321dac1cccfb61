"""Which days may go: decided the same for every database, and without asking one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime

ATTEMPTS = "attempts"


def days_to_drop(
    stored: Mapping[str, Collection[date]], before: datetime, held: Collection[date]
) -> list[tuple[date, str]]:
    """Say which days of which tables end: those wholly before ``before`` to which nothing unfinished refers (``held``).

    The oldest day comes first. Attempts are stored under the day on which they were made, perhaps long after their
    event's: they stay as long as a day before theirs does.
    """
    first_held = min(held, default=None)
    return sorted(
        (day, table)
        for table, days in stored.items()
        for day in days
        if day < before.date()
        and day not in held
        and not (table == ATTEMPTS and first_held is not None and first_held < day)
    )
