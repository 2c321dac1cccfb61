"""Who takes payloads away once they have been kept for as long as they may be."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from kanca.storage.payload_retention import due, retentions, sweep, sweep_those_in_use
from kanca.storage.ports import Database

PAUSE_S = 0.01
"""Between two transactions: where there is one writer at a time, others have their turn."""

log = structlog.get_logger(__name__)


class PayloadCleaner:
    """Expunges what is older than the payload retention of its endpoint. Several may do so at once."""

    def __init__(
        self, database: Database, default: timedelta | None, every: timedelta = timedelta(minutes=10)
    ) -> None:
        """``default`` is for endpoints that say nothing; None: they keep payloads as long as events."""
        self._database = database
        self._default = default
        self._every = every

    async def run_once(self) -> timedelta:
        """Expunge all that is due. Raises DatabaseUnavailable."""
        now = await self._database.now()
        kept = await self._database.read(retentions, self._default)
        expunged = 0
        for endpoint in await self._database.read(due, kept, now) if kept else []:
            expunged += await self._sweep(endpoint, now - kept[endpoint], now)
        if expunged:
            await self._database.wipe()
            log.info("payloads_expunged", looked_at=expunged)
        return self._every

    async def _sweep(self, endpoint: int, before: datetime, now: datetime) -> int:
        swept = 0
        after: UUID | None = None
        while (after := await self._database.write(sweep_those_in_use, endpoint, after, now)) is not None:
            pass
        # Short transactions, so that nobody who accepts waits for one.
        while some := await self._database.write(sweep, endpoint, before, now):
            swept += some
            await asyncio.sleep(PAUSE_S)
        return swept
