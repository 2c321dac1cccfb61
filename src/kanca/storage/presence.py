"""Says in the log that a database is away and that it is back: once each, however many notice it.

Everything in a process asks the database all the time, so that a minute without it would be thousands of lines.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from kanca.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

CALM_S = 2.0
"""It is back when nothing has failed for so long: in between, some statements may work and others not."""
SUMMARY_EVERY_S = 60.0


class Presence:
    """What one process knows of its database. May be told from any thread: at worst a line is said twice."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, *, is_quiet: bool = False) -> None:
        """``is_quiet``: nothing is said, because whoever asks the database tells people what it raises."""
        self._monotonic = monotonic
        self._is_quiet = is_quiet
        self._since: float | None = None
        self._said_at = self._failed_at = 0.0
        self._failures = 0

    def failed(self, error: DatabaseUnavailable) -> None:
        """Note that something could not be done: a line when that is new, and a summary each minute."""
        if self._is_quiet:
            return
        now = self._failed_at = self._monotonic()
        self._failures += 1
        if self._since is None:
            self._since = self._said_at = now
            log.warning("database_away", code=error.code, why=error.detail, cause=_cause(error))
        elif now - self._said_at >= SUMMARY_EVERY_S:
            self._said_at = now
            log.warning(
                "database_still_away",
                code=error.code,
                why=error.detail,
                cause=_cause(error),
                for_s=round(now - self._since, 1),
                failures=self._failures,
            )

    def worked(self) -> None:
        """Note that something was done: a line when that is new."""
        if self._since is None:
            return
        now = self._monotonic()
        if now - self._failed_at >= CALM_S:
            log.warning("database_back", after_s=round(now - self._since, 1), failures=self._failures)
            self._since, self._failures = None, 0


def _cause(error: DatabaseUnavailable) -> str:
    return "" if error.__cause__ is None else type(error.__cause__).__name__
