"""One stretch of one run: from where it stands as far as it can go now.

What is known of the run meanwhile is its ``Stretch``. Four work on it:

    Advance     computes what has no effects, and says which nodes can begin      ``advancing.py``
    Attempts    calls a node, or lets it go on after a wait                       ``attempting.py``
    Settler     takes over how an attempt ended, and decides what follows         ``settling.py``
    Suspending  opens and closes waits, and sees what has come                    ``suspending.py``
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from kanca.domain.status import RunStatus, StepStatus, WaitStatus
from kanca.domain.task import Completion, HandBack, Keep, Park, Retry, Task, Wait
from kanca.domain.trace import Trace
from kanca.errors import InvalidInput, InvalidWorkflow
from kanca.workflows.advancing import Advance
from kanca.workflows.attempting import Attempts
from kanca.workflows.calling import Failed, cause
from kanca.workflows.crew import Crew
from kanca.workflows.keeping import CannotRecord, ask, store
from kanca.workflows.progress import At
from kanca.workflows.recording import Recorder
from kanca.workflows.regions import Regions
from kanca.workflows.runs import RunDetail, RunState, start_of
from kanca.workflows.scope import event_scope
from kanca.workflows.settling import Settler
from kanca.workflows.stretch import EARLY, Ended, Stretch
from kanca.workflows.surroundings import Record, Surroundings
from kanca.workflows.suspending import Suspending
from kanca.workflows.suspension import Suspensions
from kanca.workflows.tracing import run_span
from kanca.workflows.validation import Workflow
from kanca.workflows.waiting import Waiting

LONGEST_WAIT = timedelta(days=365)


class Execution:
    """Goes on with one run, once."""

    def __init__(
        self,
        surroundings: Surroundings,
        task: Task,
        state: RunState,
        detail: RunDetail,
        record: Record,
        timeout: timedelta,
    ) -> None:
        self._around = surroundings
        self._task = task
        self._state = state
        self._record = record
        self._timeout = timeout
        self._recorder = Recorder(task, state, detail)
        self._held = Suspensions.stored(state, detail)
        self._at_work: Crew[Ended] = Crew()
        self._noticed = asyncio.Event()
        self._trace: Callable[[], Trace]

    async def run(self) -> Completion:
        """Go as far as possible, and say how it stands. Being cancelled is answered with ``HandBack``."""
        try:
            with self._span(), self._around.watch(self._task, self._noticed.set):
                # What is not wanted ends, whether it could go on or not.
                is_wanted = self._state.run.cancel_requested_at is None
                return await (self._go_on() if is_wanted else self._cancelled())
        except CannotRecord:
            return Completion(self._task, HandBack())
        except asyncio.CancelledError:
            return await self._hand_back()
        finally:
            await self._stop_nodes()

    @contextmanager
    def _span(self) -> Iterator[None]:
        with run_span(self._state, self._recorder.detail, self._task.fence) as span:
            self._trace = lambda: span.trace
            yield

    async def _go_on(self) -> Completion:
        try:
            workflow = self._state.version.ready()
            start = start_of(workflow, self._recorder.detail.start)
        except InvalidInput as error:
            code = error.code if isinstance(error, InvalidWorkflow) else "start_impossible"
            failed = Failed(code, cause(self._recorder.detail.start, code, error.detail))
            return self._recorder.dead(self._around.new_id(), failed, 1, self._around.now())
        self._restore(workflow, start)
        if self._state.run.status is not RunStatus.PENDING:
            await self._wake_due()
        while True:
            if self._stretch.is_cancelled:
                return await self._cancelled()
            ready = [] if self._is_paused() else await self._advance.compute()
            if await self._begin(ready):
                continue
            if self._stretch.stopped is not None or not self._at_work:
                if await self._heard():
                    continue
                return await self._conclude()
            await self._something()

    def _restore(self, workflow: Workflow, start: str) -> None:
        """Put together where the run is, from what is stored."""
        event = event_scope(self._state.event, self._state.run)
        waiting = Waiting(self._around, self._task, self._state, self._recorder.detail, workflow)
        regions = Regions(workflow, start, event["data"], self._state.steps)
        self._stretch = stretch = Stretch(
            self._around, self._state, workflow, event, self._recorder, self._held, regions, self._at_work
        )
        attempts = Attempts(stretch, waiting, self._timeout, self._trace)
        self._attempts = attempts
        self._settler = Settler(stretch)
        self._suspending = Suspending(stretch, waiting, attempts, self._settler)
        self._advance = Advance(stretch, attempts, self._settler)
        if self._state.steps:
            self._settler.decide_again(regions.main)
            self._close_left_over()
        failure = self._recorder.detail.failed
        if failure is not None:
            stretch.failure = Failed(failure.code, failure.cause), failure.attempts
        limit = workflow.definition.settings.timeout
        if limit is not None and self._recorder.detail.deadline is None:
            deadline = self._around.now() + timedelta(seconds=limit)
            self._recorder.detail = replace(self._recorder.detail, deadline=deadline)

    def _close_left_over(self) -> None:
        """Waits of items whose loop has ended without them are closed, as they would have been but for the crash."""
        for at, wait in self._held.waits.items():
            body = None if wait.status is WaitStatus.CANCELLED else self._stretch.regions.left_over(at)
            if body is not None:
                self._settler.drop(body, body.unfinished([at.node_id]))

    def _is_paused(self) -> bool:
        is_held = self._around.is_paused(self._task.target) and not self._state.run.is_test
        return is_held and self._recorder.has_begun

    # Doing --------------------------------------------------------------------------------------

    async def _begin(self, ready: Sequence[At]) -> bool:
        """Start nodes with effects, and wait where nodes wait, once what came before is stored.

        Gives whether there is something to be decided anew.
        """
        held = self._held
        if ready or self._at_work or held.to_open or held.to_close or self._stretch.must_store:
            await self._store()
        for at in ready:
            region = self._stretch.regions.of(at)
            assert region is not None  # noqa: S101 - it was found in there
            self._at_work.begin(at, self._attempts.make(region, at))
        return bool(await self._suspending.open() | await self._suspending.close())

    async def _store(self) -> None:
        """Store what is new, or raise CannotRecord."""
        must_store, self._stretch.must_store = self._stretch.must_store, False
        if not (must_store or self._recorder.has_news):
            return
        self._recorder.waits(self._held.failures, self._held.sleeps)
        await store(self._record, self._recorder.checkpoint(Keep()))

    async def _something(self) -> None:
        """Wait until something ends, is due, or comes."""
        due = self._next_due()
        left = max((due - self._around.now()).total_seconds(), 0) if due else None
        await self._at_work.wait(self._noticed, left)
        self._settle_ended()
        await self._heard()
        if self._at_work:
            await self._wake_due()  # else the task itself is scheduled for it

    async def _heard(self) -> bool:
        """See what there is news of, if there is; whether there was.

        The task counts as told of it from then on: it would not be told again.
        """
        if not self._noticed.is_set():
            return False
        self._noticed.clear()
        await self._suspending.look()
        return True

    async def _wake_due(self) -> None:
        """Go on with what has waited long enough."""
        now = self._around.now() + EARLY
        await self._suspending.wake(now)
        deadline = self._recorder.detail.deadline
        if deadline is not None and deadline <= now:
            if not self._stretch.is_decided():
                told = cause(None, "run_timeout", "the run took longer than its time")
                self._settler.fail(Failed("run_timeout", told, is_final=True), 1)
            await self._stop_nodes()

    def _next_due(self) -> datetime | None:
        moments = (self._held.next_due(), self._recorder.detail.deadline)
        return min((moment for moment in moments if moment is not None), default=None)

    async def _stop_nodes(self) -> None:
        """Cancel what is at work; what ended all the same is taken in."""
        await self._at_work.stop()
        self._settle_ended()

    def _settle_ended(self) -> None:
        for ended in self._at_work.ended():
            self._settler.settle(ended)

    # Ending -------------------------------------------------------------------------------------

    async def _conclude(self) -> Completion:
        main = self._stretch.regions.main
        if self._stretch.failure is not None:
            failed, attempts = self._stretch.failure
            await self._close_all()
            return self._recorder.dead(self._around.new_id(), failed, attempts, self._around.now())
        if self._stretch.stopped is not None:
            await self._stop_nodes()
            await self._close_all()
            (output,) = self._stretch.stopped
            for node_id in main.unfinished():
                self._settler.skip(main, At(node_id), StepStatus.CANCELLED)
            return self._recorder.succeeded(output, self._around.now())
        if main.is_complete():
            await self._close_all()
            return self._recorder.succeeded(main.result(), self._around.now())
        self._recorder.waits(self._held.failures, self._held.sleeps)
        if self._is_paused():
            return self._recorder.checkpoint(Park(), self._recorder.status)
        return self._go_to_sleep()

    def _go_to_sleep(self) -> Completion:
        now = self._around.now()
        due = self._next_due() or now + LONGEST_WAIT
        delay = min(max(due - now, timedelta(0)), LONGEST_WAIT)
        if self._held.retrying:
            count = max(self._held.failures[at].count for at in self._held.retrying)
            return self._recorder.checkpoint(Retry(delay, count))
        return self._recorder.checkpoint(Wait(delay), RunStatus.WAITING)

    async def _cancelled(self) -> Completion:
        await self._stop_nodes()
        await self._close_all()
        return self._recorder.cancelled(self._around.now())

    async def _close_all(self) -> None:
        """Let nothing come for the run any more."""
        open_waits = [wait.id for wait in self._held.open_waits()]
        if open_waits:
            await ask(self._around.desk.cancel(open_waits))

    async def _hand_back(self) -> Completion:
        await self._stop_nodes()
        if not self._recorder.has_begun:
            return Completion(self._task, HandBack())
        self._recorder.waits(self._held.failures, self._held.sleeps)
        return self._recorder.checkpoint(HandBack(), self._recorder.status)
