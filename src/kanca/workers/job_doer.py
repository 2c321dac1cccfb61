"""Who does the jobs that people asked for, portion after portion, beside the queue's work."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import structlog

from kanca.domain.ids import JOB, show_id
from kanca.domain.job import JobKind
from kanca.errors import Unavailable
from kanca.storage import jobs
from kanca.storage.dead_letter_jobs import purge_portion, retry_portion
from kanca.storage.erasing import erase_portion
from kanca.storage.jobs import Do
from kanca.storage.ports import Database, Waker

log = structlog.get_logger(__name__)

EVERY = timedelta(seconds=1)
PAUSE_S = 0.01
"""Between two portions: where there is one writer at a time, others have their turn."""
PORTIONS = 50
"""Of one job, before the others have their turn."""
_DO: Mapping[JobKind, Do] = {
    JobKind.RETRY_DEAD_LETTERS: retry_portion,
    JobKind.PURGE_DEAD_LETTERS: purge_portion,
    JobKind.ERASE_TENANT: erase_portion,
}


class JobDoer:
    """The duty that goes on with jobs. A portion and where the job stands then are one transaction.

    So whoever dies in the course of a job loses nothing of it, and of several who do this at once one does a portion.
    """

    def __init__(self, database: Database, waker: Waker) -> None:
        self._database = database
        self._waker = waker

    async def run_once(self) -> timedelta:
        """Go on with all jobs, some portions of each in turn, and say when to look for more.

        One that fails keeps no other from going on. Raises DatabaseUnavailable, and what the last that failed did.
        """
        failed: Exception | None = None
        is_more = False
        for job_id in await self._database.read(jobs.unfinished):
            try:
                is_more |= await self._go_on(job_id)
            except Unavailable:
                raise
            except Exception as error:
                log.exception("job_failed", job=show_id(JOB, job_id))
                failed = error
        if failed is not None:
            raise failed
        return timedelta(0) if is_more else EVERY

    async def _go_on(self, job_id: UUID) -> bool:
        """Do some portions of a job; whether there are more."""
        for _ in range(PORTIONS):
            is_more = await self._database.write(jobs.advance, job_id, _DO, await self._database.now())
            self._waker.wake()
            if not is_more:
                await self._tell(job_id)
                return False
            await asyncio.sleep(PAUSE_S)
        return True

    async def _tell(self, job_id: UUID) -> None:
        job = await self._database.read(jobs.get, job_id)
        if job.finished_at is not None:
            await self._database.wipe()
            log.info("job_finished", job=show_id(JOB, job_id), kind=job.kind, **job.counts)
