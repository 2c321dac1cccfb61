"""One stretch of one run: from where it stands as far as it can go now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from kanca.domain.ids import CALL, show_id
from kanca.domain.retry import GiveUp, after_failure
from kanca.domain.status import StepStatus
from kanca.domain.task import Completion, HandBack, Keep, Retry, Task
from kanca.egress import EgressClient
from kanca.errors import InvalidInput, InvalidWorkflow, Unavailable
from kanca.workflows.calling import CallResult, Failed, Threads, call, cause
from kanca.workflows.progress import Fate, Progress
from kanca.workflows.recording import Recorder, Times, shown
from kanca.workflows.runs import NodeFailures, RunDetail, RunState, start_of
from kanca.workflows.scope import event_scope, run_scope
from kanca.workflows.step import StepContext

Record = Callable[[Completion], Awaitable[bool]]
"""Stores a completion whose disposition is ``Keep``. False: the lease is lost, and nothing was stored."""

MAX_ASKED_DELAY = timedelta(days=30)
"""The longest that a node may ask for before its next attempt."""
LONG_COMPUTATION = timedelta(milliseconds=5)
"""After a node that took so long, the other runs of the process have their turn."""
CANCEL_PATIENCE = timedelta(seconds=1)
"""How long a run that is stopped waits for its nodes to notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the engine needs from outside."""

    http: EgressClient
    """For nodes that call others."""
    threads: Threads
    """For nodes that are sync functions."""
    now: Callable[[], datetime]
    new_id: Callable[[], UUID]
    chance: Callable[[], float]
    """A number from 0 to 1, for the jitter of retries."""


class _CannotRecord(Exception):
    """Nothing can be stored under this claim any more, or it is not known whether it was."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """An attempt of a node that ended."""

    node_id: str
    input: Any
    attempt_number: int
    times: Times
    result: CallResult


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
        self._start = detail.start
        self._record = record
        self._timeout = timeout
        self._recorder = Recorder(task, state, detail)
        self._failures: dict[str, NodeFailures] = dict(detail.failures)
        self._held = self._not_due()
        """Nodes that are at work or wait for their next attempt."""
        self._at_work: dict[asyncio.Task[_Ended], str] = {}
        self._is_stopping = False
        self._end: tuple[Failed, int] | None = None
        """What the run failed of, and after how many attempts."""

    async def run(self) -> Completion:
        """Go as far as possible, and say how it stands. Being cancelled is answered with ``HandBack``."""
        try:
            return await self._go_on()
        except _CannotRecord:
            return Completion(self._task, HandBack())
        except asyncio.CancelledError:
            return await self._hand_back()
        finally:
            await self._stop_nodes()

    async def _go_on(self) -> Completion:
        try:
            self._workflow = self._state.version.ready()
            start = start_of(self._workflow, self._start)
        except InvalidInput as error:
            code = error.code if isinstance(error, InvalidWorkflow) else "start_impossible"
            failed = Failed(code, cause(self._start, code, error.detail))
            return self._recorder.dead(self._around.new_id(), failed, 1, self._around.now())
        self._event = event_scope(self._state.event, self._state.run)
        self._run = run_scope(self._state.run)
        self._progress = Progress(self._workflow, start, self._event["data"])
        self._progress.restore(self._state.steps)
        while True:
            await self._begin(await self._compute())
            if not self._at_work:
                return self._conclude()
            ended, _ = await asyncio.wait(self._at_work, return_when=asyncio.FIRST_COMPLETED)
            self._take_in(ended)

    async def _compute(self) -> list[str]:
        """End all that ends without effects; gives the nodes with effects that can begin."""
        ready: list[str] = []
        for node_id in self._progress.order:
            if self._end is not None:
                return []
            if node_id in self._held or self._progress.has_ended(node_id):
                continue
            fate = self._progress.fate(node_id)
            if fate is Fate.SKIPPED:
                self._progress.skip(node_id)
                now = self._around.now()
                self._recorder.step(node_id, StepStatus.SKIPPED, Times(now, now))
            elif fate is Fate.RUNS and self._workflow.nodes[node_id].type.has_effects:
                ready.append(node_id)
            elif fate is Fate.RUNS:
                ended = await self._call(node_id)
                self._settle(ended)
                if ended.times.finished_at - ended.times.started_at > LONG_COMPUTATION:
                    await asyncio.sleep(0)  # others want to be served too
        return ready

    async def _begin(self, node_ids: list[str]) -> None:
        """Start nodes with effects, once what came before them is stored."""
        if node_ids or self._at_work:
            await self._store()
        for node_id in node_ids:
            self._held.add(node_id)
            self._at_work[asyncio.create_task(self._call(node_id))] = node_id

    async def _call(self, node_id: str) -> _Ended:
        node = self._workflow.nodes[node_id]
        value = self._progress.input_of(node_id)
        before = self._failures.get(node_id)
        step = StepContext(
            input=value,
            event=self._event,
            run=self._run,
            outputs=self._progress.outputs_before(node_id),
            node_id=node_id,
            call_id=show_id(CALL, self._recorder.call_id(node_id)),
            attempt_number=before.count + 1 if before else 1,
            timeout=node.settings.timeout or self._timeout,
            http=self._around.http,
        )
        started_at = self._around.now()
        try:
            result = await call(node, step, self._around.threads)
        except asyncio.CancelledError:
            if self._is_stopping or not node.type.has_effects:
                raise
            # Nobody stops the run: the node has cancelled itself.
            result = Failed(
                "node_cancelled", cause(node_id, "node_cancelled", "the node was cancelled from inside")
            )
        return _Ended(node_id, value, step.attempt_number, Times(started_at, self._around.now()), result)

    def _take_in(self, ended: set[asyncio.Task[_Ended]]) -> None:
        for task in ended:
            node_id = self._at_work.pop(task)
            self._held.discard(node_id)
            self._settle(task.result())

    def _settle(self, ended: _Ended) -> None:
        """Take over how an attempt ended."""
        node_id, result = ended.node_id, ended.result
        if isinstance(result, Failed):
            self._settle_failure(ended, result)
            return
        self._failures.pop(node_id, None)
        self._progress.end(node_id, result.port, result.output)
        self._recorder.step(
            node_id,
            StepStatus.SUCCEEDED,
            ended.times,
            port=result.port,
            input=shown(ended.input),
            output=shown(result.output) if result.stored is None else result.stored,
            attempt_number=ended.attempt_number,
        )

    def _settle_failure(self, ended: _Ended, failed: Failed) -> None:
        node_id, number = ended.node_id, ended.attempt_number
        node = self._workflow.nodes[node_id]
        self._recorder.failed_attempt(self._around.new_id(), node_id, number, failed, ended.times)
        asked = failed.retry_after and min(failed.retry_after, MAX_ASKED_DELAY)
        follows = after_failure(number, node.settings.policy, self._around.chance(), asked)
        if isinstance(follows, GiveUp) or failed.is_final or not node.type.has_effects:
            self._end = self._end or (failed, number)
            self._recorder.step(
                node_id,
                StepStatus.DEAD,
                ended.times,
                input=shown(ended.input),
                error=failed.cause,
                attempt_number=number,
            )
        else:
            self._failures[node_id] = NodeFailures(number, ended.times.finished_at + follows.delay)
        self._held.add(node_id)

    async def _store(self) -> None:
        """Store what is new, or raise _CannotRecord."""
        if not self._recorder.has_news:
            return
        self._recorder.waits(self._failures)
        storing = asyncio.ensure_future(self._record(self._recorder.checkpoint(Keep())))
        try:
            is_stored = await asyncio.shield(storing)
        except asyncio.CancelledError:
            # What is handed back goes on from this checkpoint, so it has to be known whether it was written.
            await asyncio.wait({storing})
            if storing.cancelled() or storing.exception() is not None or not storing.result():
                raise _CannotRecord from None
            raise
        except Unavailable:
            raise _CannotRecord from None
        if not is_stored:
            raise _CannotRecord

    def _conclude(self) -> Completion:
        now = self._around.now()
        if self._end is not None:
            failed, attempts = self._end
            return self._recorder.dead(self._around.new_id(), failed, attempts, now)
        if self._progress.is_complete():
            return self._recorder.succeeded(self._progress.result(), now)
        self._recorder.waits(self._failures)
        due_at = min(failures.due_at for failures in self._failures.values())
        attempt = max(failures.count for failures in self._failures.values())
        return self._recorder.checkpoint(Retry(max(due_at - now, timedelta(0)), attempt))

    async def _hand_back(self) -> Completion:
        await self._stop_nodes()
        if not self._recorder.has_begun:
            return Completion(self._task, HandBack())
        self._recorder.waits(self._failures)
        return self._recorder.checkpoint(HandBack())

    async def _stop_nodes(self) -> None:
        """Cancel what is at work; what ended all the same is taken in."""
        if not self._at_work:
            return
        self._is_stopping = True
        for task in self._at_work:
            task.cancel()
        ended, _ = await asyncio.wait(self._at_work, timeout=CANCEL_PATIENCE.total_seconds())
        self._take_in({task for task in ended if not task.cancelled()})
        self._at_work.clear()

    def _not_due(self) -> set[str]:
        """The failed nodes whose turn has not come. The one that is due first is what the task was scheduled for."""
        if not self._failures:
            return set()
        due_at = max(self._around.now(), min(failures.due_at for failures in self._failures.values()))
        return {node_id for node_id, failures in self._failures.items() if failures.due_at > due_at}
