"""Writing completions: many in one transaction, again while the database is away, a refused one as a dead letter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import structlog

from kanca.domain.task import Completion, Retry
from kanca.errors import CommitQueueFull, ShuttingDown, Unavailable
from kanca.queue.group_commit import GroupCommit
from kanca.storage.ports import QueueStore

log = structlog.get_logger(__name__)

COMMIT_TIMEOUT = timedelta(seconds=10)
MAX_BATCH = 500
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
REFUSED_DELAY = timedelta(minutes=5)
"""Until work is tried again of which the database takes not even the dead letter."""


class Finishing:
    """Writes what a worker says of its tasks, under one lease."""

    def __init__(self, queue: QueueStore, worker: int) -> None:
        self._commits: GroupCommit[Completion, bool] = GroupCommit(
            partial(queue.finish, worker), timeout=COMMIT_TIMEOUT, max_batch=MAX_BATCH, max_waiting=100_000
        )

    async def keep(self, completion: Completion) -> bool:
        """Write a checkpoint. False: the task is no longer this worker's. Raises what the database does."""
        return await self._commits.submit(completion)

    async def finish(
        self, completion: Completion, instead: Callable[[], Completion] | None
    ) -> Completion | None:
        """Write a completion, however long the database is away; gives what was written.

        None: the task is no longer this worker's, or this is closed. When the database refuses the values, what
        ``instead`` gives is written (a dead letter), so that the work ends all the same.
        """
        pause_s = FIRST_PAUSE_S
        refusals = 0
        while True:
            try:
                return completion if await self._commits.submit(completion) else None
            except ShuttingDown:
                return None
            except (Unavailable, CommitQueueFull):
                # Whether it was written is not known: if it was, the next answer is False.
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            except Exception:
                refusals += 1
                log.exception("completion_refused", task=completion.task.id, refusals=refusals)
                if refusals == 1 and instead is not None:
                    completion = instead()
                else:
                    # At least it leaves the worker; later, so that what nobody can record does not keep all busy.
                    completion = Completion(
                        completion.task, Retry(REFUSED_DELAY, completion.task.attempt + 1)
                    )

    async def close(self, limit: timedelta) -> None:
        """Write what is at hand within ``limit``, and take no more."""
        await self._commits.close(limit)
