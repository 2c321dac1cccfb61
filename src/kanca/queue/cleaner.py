"""Who makes room: for the days to come, and by removing what is over."""

from __future__ import annotations

from datetime import timedelta

import structlog

from kanca.storage.ports import Database
from kanca.storage.statistics import roll_up

CLEANED_EVERY = timedelta(minutes=10)

log = structlog.get_logger(__name__)


class Cleaner:
    """Keeps the database's size: drops what is older than retention, merges statistics, prepares partitions."""

    def __init__(self, database: Database, retention: timedelta, every: timedelta = CLEANED_EVERY) -> None:
        self._database = database
        self._retention = retention
        self._every = every

    async def run_once(self) -> timedelta:
        """Clean once. Raises DatabaseUnavailable."""
        await self._database.prepare_storage()
        now = await self._database.now()
        dropped = await self._database.drop_expired(now - self._retention)
        merged = 0
        # Short transactions, so that nobody waits for a counter.
        while some := await self._database.write(roll_up, now):
            merged += some
        if dropped or merged:
            log.info("cleaned", dropped=dropped, statistics_merged=merged)
        return self._every
