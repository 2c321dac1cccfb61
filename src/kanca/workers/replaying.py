"""Going on with a replay: one portion of its deliveries under each task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from kanca.domain.task import Completion, Done, Records, Replay, Task
from kanca.outbound.matching import Subscribers
from kanca.outbound.replaying import PORTION, Chooser, Wants
from kanca.storage import replays
from kanca.storage.ports import Database

AHEAD_S = 5.0
"""Of a replay with a rate, so many seconds are queued at a time."""


@dataclass(frozen=True, slots=True)
class Replayer:
    """Does the work of replays.

    A portion is queued in one transaction with the position behind it, whatever becomes of the task: whoever does the
    task again goes on behind it. Each portion has a task of its own, so that workers that die in the course of a long
    replay do not add up.
    """

    database: Database
    subscribers: Callable[[], Awaitable[Subscribers]]
    """All subscriptions as they are now."""
    wants: Wants
    now: Callable[[], datetime]
    wake: Callable[[], None]
    """Tells workers that there is work."""

    async def go_on(self, task: Task) -> Completion:
        """Queue the next portion of the replay that a task is about, and give what is to be recorded.

        Raises DatabaseUnavailable.
        """
        replay = await self.database.read(replays.get, task.ref)
        if replay is None or replay.status not in replays.GOES_ON:
            return Completion(task, Done())
        chooser = Chooser(self.database, await self.subscribers(), self.wants)
        portion = await chooser.choose(replay, _portion_of(replay))
        after = await self.database.write(replays.advance, replay, portion, self.now())
        if portion.keys:
            self.wake()
        if after is None or after.status not in replays.GOES_ON:
            return Completion(task, Done())
        return Completion(task, Done(), Records(tasks=(replays.task_of(after, self._due_at(replay, after)),)))

    def _due_at(self, before: Replay, after: Replay) -> datetime | None:
        """When the next portion is queued: once the rate has let this one through."""
        if after.rate_per_second is None:
            return None
        return self.now() + timedelta(seconds=max(0, after.queued - before.queued) / after.rate_per_second)


def _portion_of(replay: Replay) -> int:
    """How many deliveries are queued at a time."""
    if replay.rate_per_second is None:
        return PORTION
    return max(1, min(PORTION, int(replay.rate_per_second * AHEAD_S)))
