"""Who makes room: for the days to come, and by removing what is over."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from kanca.storage import audit
from kanca.storage.dead_letters import remove_old
from kanca.storage.ports import Database
from kanca.storage.statistics import roll_up

log = structlog.get_logger(__name__)


class Cleaner:
    """Keeps the database's size: drops what is older than its retention, merges statistics, prepares partitions."""

    def __init__(
        self,
        database: Database,
        retention: timedelta,
        every: timedelta = timedelta(minutes=10),
        dead_letters: timedelta | None = None,
        audit_retention: timedelta = timedelta(days=365),
    ) -> None:
        """``dead_letters``: how long those are kept; None: they go with the day of their event."""
        self._database = database
        self._retention = retention
        self._audit_retention = audit_retention
        self._every = every
        self._dead_letters = dead_letters

    async def run_once(self) -> timedelta:
        """Clean once. Raises DatabaseUnavailable."""
        await self._database.prepare_storage()
        now = await self._database.now()
        has_own = self._dead_letters is not None
        dropped = await self._database.drop_expired(now - self._retention, keeps_dead_letters=has_own)
        dropped += await self._drop_dead_letters(now)
        merged = 0
        # Short transactions, so that nobody waits for a counter.
        while some := await self._database.write(roll_up, now):
            merged += some
        await self._database.wipe()
        forgotten = 0
        while some := await self._database.write(audit.remove_before, now - self._audit_retention):
            forgotten += some
        if dropped or merged or forgotten:
            log.info("cleaned", dropped=dropped, statistics_merged=merged, audit_entries=forgotten)
        return self._every

    async def _drop_dead_letters(self, now: datetime) -> int:
        """Those that are older than their own retention."""
        dropped = 0
        while self._dead_letters is not None:
            some = await self._database.write(remove_old, now - self._dead_letters)
            dropped += some
            if not some:
                break
        return dropped
