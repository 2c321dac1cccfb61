"""What a handler, or the function of a node, may raise to decide what follows."""

from __future__ import annotations

from datetime import timedelta


class Retry(Exception):
    """Try this again later. Counts as an attempt: after the last one the work is a dead letter."""

    def __init__(self, after: timedelta | float | None = None, reason: str = "") -> None:
        """Ask for another attempt ``after`` that long (a timedelta, or seconds; None: as the retry policy says)."""
        self.after = after if after is None or isinstance(after, timedelta) else timedelta(seconds=after)
        self.reason = reason
        super().__init__(reason or "asked for another attempt")


class Discard(Exception):
    """Nothing is to be done for this event: the handler's work ends as ``skipped``, with this reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
