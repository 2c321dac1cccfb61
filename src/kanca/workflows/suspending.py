"""The waits of a run, as others see them: opened, closed when nobody needs them, and looked at when there is news."""

from __future__ import annotations

import asyncio
from datetime import datetime

from kanca.domain.status import StepStatus, WaitStatus
from kanca.workflows.attempting import Attempts
from kanca.workflows.calling import Failed, Succeeded
from kanca.workflows.keeping import CannotRecord, ask
from kanca.workflows.recording import Times
from kanca.workflows.settling import Settler
from kanca.workflows.stretch import Ended, Stretch
from kanca.workflows.waiting import Waiting


class Suspending:
    """Does what ``Suspensions`` says is due."""

    def __init__(self, stretch: Stretch, waiting: Waiting, attempts: Attempts, settler: Settler) -> None:
        self._stretch = stretch
        self._around = stretch.around
        self._held = stretch.held
        self._regions = stretch.regions
        self._waiting = waiting
        self._attempts = attempts
        self._settler = settler

    async def open(self) -> bool:
        """Wait where nodes wait; whether something has come already."""
        if not self._held.to_open or self._stretch.is_decided():
            return False
        asked = list(self._held.to_open.items())
        waits = await asyncio.gather(*(ask(self._waiting.open(at, for_what)) for at, for_what in asked))
        self._held.to_open.clear()
        is_new = False
        for (at, _), opened in zip(asked, waits, strict=True):
            if opened is None:
                raise CannotRecord  # it is over, or no longer this worker's
            if isinstance(opened, Failed):
                region = self._regions.of(at)
                value = region.input_of(at.node_id) if region else None
                number = self._held.failures[at].count + 1 if at in self._held.failures else 1
                now = self._around.now()
                self._settler.settle(Ended(at, value, number, Times(now, now), opened))
                is_new = True
                continue
            self._held.waits[at] = opened
            if opened.status is not WaitStatus.OPEN:
                self._regions.touch_at(at)
                is_new = True
        return is_new

    async def close(self) -> bool:
        """Close the waits that nobody needs; an event that came just before stays what the wait ended with."""
        if not self._held.to_close:
            return False
        closing, self._held.to_close = self._held.to_close, {}
        await ask(self._around.desk.cancel([self._held.waits[at].id for at in closing]))
        await self.look()
        for at, region in closing.items():
            wait = self._held.ended_wait(at)
            if wait is None:
                self._settler.skip(region, at, StepStatus.CANCELLED)
                continue
            ended = await self._attempts.came_to(region, at, wait)
            if isinstance(ended.result, Succeeded):
                self._settler.leave(region, ended, ended.result)
            else:
                # Nobody needs it, so it fails nothing.
                self._settler.skip(region, at, StepStatus.CANCELLED)
        return True

    async def look(self) -> None:
        """See what others have done to the run."""
        news = await ask(self._around.desk.news(self._stretch.state.run.id))
        self._stretch.is_cancelled |= news.is_cancelled
        for at in self._held.update(news.waits, self._stretch.recorder.detail.generation):
            self._regions.touch_at(at)

    async def wake(self, now: datetime) -> None:
        """Go on with what has waited until now."""
        held = self._held
        for at in [at for at in held.retrying if held.failures[at].due_at <= now]:
            held.retrying.discard(at)
            self._regions.touch_at(at)
        for at in [at for at, until in held.sleeps.items() if until <= now and at not in held.slept]:
            # It goes on when the run has come to it, which may be in a loop that is not entered yet.
            held.slept.add(at)
            self._regions.touch_at(at)
        expired = [wait.id for wait in held.open_waits() if wait.due_at <= now]
        if expired:
            await ask(self._around.desk.expire(expired))
            await self.look()
