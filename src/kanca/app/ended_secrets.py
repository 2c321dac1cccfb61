"""Secrets that have ended do not stay in the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from kanca.storage import sealed_secrets
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox

PERIOD = timedelta(hours=1)
KEPT_AFTER_END = timedelta(days=1)
"""Until then a rejection can say that its sender still signs with a secret that was rotated out."""
AT_ONCE = 100
"""They are opened in a millisecond; webhooks wait that long."""


class EndedSecrets:
    """Takes secrets out of storage whose grace is over. Nobody accepts them any more by then."""

    def __init__(
        self, database: Database, box: SecretBox, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._box = box
        self._now = now

    async def run_once(self) -> timedelta:
        """Look through all of them, and say when to look again. Raises DatabaseUnavailable."""
        async for values in sealed_secrets.portions(self._database, AT_ONCE):
            anew = sealed_secrets.without_ended(self._box, values, self._now() - KEPT_AFTER_END)
            if anew:
                await self._database.write(sealed_secrets.replace, anew)
        return PERIOD
