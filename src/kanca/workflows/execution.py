"""One stretch of one run: from where it stands as far as it can go now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from kanca.domain.ids import CALL, show_id
from kanca.domain.retry import GiveUp, after_failure
from kanca.domain.status import RunStatus, StepStatus, WaitStatus
from kanca.domain.task import Completion, HandBack, Keep, Park, Retry, Step, Task, Wait
from kanca.domain.trace import Trace
from kanca.domain.wait import Wait as StoredWait
from kanca.errors import InvalidInput, InvalidWorkflow
from kanca.workflows.calling import CallResult, Failed, Succeeded, Suspended, call, cause, resume
from kanca.workflows.crew import Crew
from kanca.workflows.keeping import CannotRecord, ask, store
from kanca.workflows.loops import Loop
from kanca.workflows.node_type import ERROR
from kanca.workflows.playing import is_played, played
from kanca.workflows.progress import At, Fate, Progress
from kanca.workflows.publishing import published
from kanca.workflows.recording import Recorder, Times, shown
from kanca.workflows.runs import NodeFailures, RunDetail, RunFailure, RunState, start_of
from kanca.workflows.scope import event_scope, run_scope
from kanca.workflows.step import AwaitEvent, Came, Left, Publication, Sleep, StepContext, Suspension
from kanca.workflows.surroundings import Record, Surroundings
from kanca.workflows.suspension import Suspensions
from kanca.workflows.tracing import run_span, step_span
from kanca.workflows.validation import PreparedNode
from kanca.workflows.values import read_json, write_json
from kanca.workflows.waiting import Waiting

MAX_ASKED_DELAY = timedelta(days=30)
"""The longest that a node may ask for before its next attempt."""
LONG_COMPUTATION = timedelta(milliseconds=5)
"""After a node that took so long, the other runs of the process have their turn."""
LONGEST_WAIT = timedelta(days=365)
EARLY = timedelta(milliseconds=20)
"""What is due so soon is done now: clocks differ, and a task that came too early would come again at once."""


@dataclass(slots=True)
class _Ended:
    """An attempt of a node that ended."""

    at: At
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
        self._record = record
        self._timeout = timeout
        self._recorder = Recorder(task, state, detail)
        self._held = Suspensions.stored(state, detail)
        self._loops: dict[str, Loop] = {}
        self._dirty: dict[int, Progress] = {}
        """Parts of the run in which something has ended since they were looked at."""
        self._at_work: Crew[_Ended] = Crew()
        self._noticed = asyncio.Event()
        self._must_store = False
        self._is_cancelled = state.run.cancel_requested_at is not None
        self._end: tuple[Failed, int] | None = None
        """What the run failed of, and after how many attempts."""
        self._stopped: tuple[Any] | None = None
        """The output of a node that ended the run."""
        self._trace: Callable[[], Trace]

    async def run(self) -> Completion:
        """Go as far as possible, and say how it stands. Being cancelled is answered with ``HandBack``."""
        try:
            with self._span(), self._around.watch(self._task, self._noticed.set):
                # What is not wanted ends, whether it could go on or not.
                return await (self._cancelled() if self._is_cancelled else self._go_on())
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
            self._workflow = self._state.version.ready()
            start = start_of(self._workflow, self._recorder.detail.start)
        except InvalidInput as error:
            code = error.code if isinstance(error, InvalidWorkflow) else "start_impossible"
            failed = Failed(code, cause(self._recorder.detail.start, code, error.detail))
            return self._recorder.dead(self._around.new_id(), failed, 1, self._around.now())
        self._restore(start)
        if self._state.run.status is not RunStatus.PENDING:
            await self._wake_due()
        while True:
            if self._is_cancelled:
                return await self._cancelled()
            ready = [] if self._is_paused() else await self._compute()
            if await self._begin(ready):
                continue
            if self._stopped is not None or not self._at_work:
                if await self._heard():
                    continue
                return await self._conclude()
            await self._something()

    def _restore(self, start: str) -> None:
        """Put together where the run is, from what is stored."""
        self._event = event_scope(self._state.event, self._state.run)
        self._run = run_scope(self._state.run)
        self._waiting = Waiting(self._around, self._task, self._state, self._recorder.detail, self._workflow)
        self._loop_of = {node: loop for loop, body in self._workflow.loops.items() for node in body.order}
        self._stored: dict[tuple[str, int], list[Step]] = {}
        for step in self._state.steps:
            self._stored.setdefault((self._loop_of.get(step.node_id, ""), step.iteration), []).append(step)
        self._main = Progress(self._workflow, self._workflow.part(start)).start_at(start, self._event["data"])
        self._touch(self._main)
        if self._state.steps:
            self._main.restore(self._stored.get(("", 0), ()))
            self._decide_again(self._main)
            self._close_left_over()
        failure = self._recorder.detail.failed
        if failure is not None:
            self._end = Failed(failure.code, failure.cause), failure.attempts
        limit = self._workflow.definition.settings.timeout
        if limit is not None and self._recorder.detail.deadline is None:
            deadline = self._around.now() + timedelta(seconds=limit)
            self._recorder.detail = replace(self._recorder.detail, deadline=deadline)

    def _decide_again(self, region: Progress) -> None:
        """What stored steps decided for others is decided for those that are not stored, too."""
        for node_id in region.order:
            node = self._workflow.nodes[node_id]
            if node.joins_first and node_id in region.outputs:
                self._drop(region, region.unfinished(self._workflow.losers(node_id)))
            if node.type.ends_run and node_id in region.outputs:
                self._stopped = (region.outputs[node_id],)
        if region.error is not None:
            self._drop(region, region.unfinished())

    def _close_left_over(self) -> None:
        """Waits of items whose loop has ended without them are closed, as they would have been but for the crash."""
        for at, wait in self._held.waits.items():
            loop = self._loop_of.get(at.node_id)
            if loop is None or wait.status is WaitStatus.CANCELLED or not self._main.has_ended(loop):
                continue
            body = Progress(self._workflow, self._workflow.loops[loop], at.iteration)
            body.enter(loop, None, self._main).restore(self._stored.get((loop, at.iteration), ()))
            self._drop(body, body.unfinished([at.node_id]))

    # Deciding -----------------------------------------------------------------------------------

    async def _compute(self) -> list[At]:
        """End all that ends without effects; gives the nodes with effects that can begin."""
        ready: dict[At, None] = {}
        while self._dirty and not self._is_decided():
            region = self._dirty.pop(next(iter(self._dirty)))
            for node_id in region.order:
                at = At(node_id, region.iteration)
                if self._is_decided():
                    return []
                is_open = not (region.has_ended(node_id) or at in ready or self._is_busy(at))
                if is_open and await self._advance(region, at):
                    ready[at] = None
            self._end_item(region)
        return [] if self._is_decided() else [at for at in ready if self._is_open(at)]

    def _is_open(self, at: At) -> bool:
        """Whether a node has not ended: another one may have made it needless."""
        region = self._region(at)
        return region is not None and not region.has_ended(at.node_id)

    def _is_decided(self) -> bool:
        """Whether nothing more is to be begun: the run has failed, or a node ended it."""
        return self._end is not None or self._stopped is not None

    async def _advance(self, region: Progress, at: At) -> bool:
        """Do with a node what can be done at once; whether it is to be begun."""
        match region.fate(at.node_id):
            case Fate.WAITS:
                return False
            case Fate.SKIPPED:
                self._skip(region, at, StepStatus.SKIPPED)
                return False
        node = self._workflow.nodes[at.node_id]
        wait = self._held.ended_wait(at)
        if wait is not None:
            self._settle(await self._resumed(region, at, await self._came(wait)))
        elif at in self._held.slept:
            self._settle(await self._resumed(region, at, Came()))
        elif node.type.is_loop and not self._is_played(node):
            await self._enter(region, at)
        elif node.type.has_effects and not self._is_played(node):
            return True
        else:
            ended = await self._call(region, at)
            self._settle(ended)
            if ended.times.finished_at - ended.times.started_at > LONG_COMPUTATION:
                await asyncio.sleep(0)  # others want to be served too
        return False

    def _is_played(self, node: PreparedNode) -> bool:
        return is_played(self._recorder.detail.test, node)

    def _is_busy(self, at: At) -> bool:
        return self._held.holds(at) or at in self._at_work or at.node_id in self._loops

    def _is_paused(self) -> bool:
        is_held = self._around.is_paused(self._task.target) and not self._state.run.is_test
        return is_held and self._recorder.has_begun

    def _touch(self, region: Progress) -> None:
        self._dirty[id(region)] = region

    def _region(self, at: At) -> Progress | None:
        """What a node is part of; None when that has ended."""
        if not at.iteration:
            return self._main
        loop = self._loops.get(self._loop_of[at.node_id])
        return loop.at_work.get(at.iteration) if loop else None

    # Loops --------------------------------------------------------------------------------------

    async def _enter(self, region: Progress, at: At) -> None:
        """Begin with the items of a loop."""
        node = self._workflow.nodes[at.node_id]
        ended = await self._call(region, at)
        if not isinstance(ended.result, Succeeded) or self._is_played(node):
            self._settle(ended)
            return
        items = ended.result.output
        body = self._workflow.loops[at.node_id]

        def begin(number: int, item: Any) -> Progress:
            progress = Progress(self._workflow, body, number).enter(at.node_id, item, region)
            progress.restore(self._stored.pop((at.node_id, number), ()))
            return progress

        loop = Loop(
            at.node_id,
            items,
            node.settings.config.concurrency,
            begin,
            continues_on_error=node.settings.continues_on_error,
        )
        self._loops[at.node_id] = loop
        self._held.begun_at[at] = ended.times.started_at
        self._begin_items(loop)

    def _begin_items(self, loop: Loop) -> None:
        for body in loop.begin_more():
            self._touch(body)
            self._decide_again(body)
        if loop.is_complete:
            del self._loops[loop.node_id]
            at = At(loop.node_id)
            value = self._main.input_of(loop.node_id)
            result = Succeeded("out", loop.results(), write_json(loop.results()), None)
            now = self._around.now()
            self._settle(_Ended(at, value, 1, Times(self._held.begun_at.pop(at, now), now), result))

    def _end_item(self, body: Progress) -> None:
        """Go on with the next items, if one is done with."""
        if not body.iteration or not body.is_complete():
            return
        loop = self._loops.get(body.loop or "")
        if loop is not None and loop.at_work.get(body.iteration) is body:
            loop.end(body)
            self._begin_items(loop)

    # Doing --------------------------------------------------------------------------------------

    async def _begin(self, ready: Sequence[At]) -> bool:
        """Start nodes with effects, and wait where nodes wait, once what came before is stored.

        Gives whether there is something to be decided anew.
        """
        held = self._held
        if ready or self._at_work or held.to_open or held.to_close or self._must_store:
            await self._store()
        for at in ready:
            region = self._region(at)
            assert region is not None  # noqa: S101 - it was found in there
            self._at_work.begin(at, self._call(region, at))
        return bool(await self._open() | await self._close())

    async def _call(self, region: Progress, at: At) -> _Ended:
        node = self._workflow.nodes[at.node_id]
        step = self._context(region, at)
        started_at = step.now
        plan = self._recorder.detail.test
        if plan is not None and is_played(plan, node):
            result: CallResult = played(plan, node, step.input, is_waiting_trigger=step.is_waiting_trigger)
        else:
            with step_span(self._trace, step, node) as span:
                if node.type.is_of_an_app or node.type.has_effects:
                    step.trace_headers = span.trace.headers
                try:
                    result = await call(node, step, self._around.threads)
                except asyncio.CancelledError:
                    if self._at_work.is_stopping or not node.type.has_effects:
                        raise
                    # Nobody stops the run: the node has cancelled itself.
                    told = cause(at.node_id, "node_cancelled", "the node was cancelled from inside")
                    result = Failed("node_cancelled", told)
                if isinstance(result, Failed):
                    span.fail(result.code)
        return _Ended(at, step.input, step.attempt_number, Times(started_at, self._around.now()), result)

    def _context(self, region: Progress, at: At) -> StepContext:
        node = self._workflow.nodes[at.node_id]
        before = self._held.failures.get(at)
        return StepContext(
            input=region.input_of(at.node_id),
            event=self._event,
            run=self._waiting.scope(self._run, at.iteration),
            outputs=region.outputs_before(at.node_id),
            node_id=at.node_id,
            iteration=at.iteration,
            generation=self._recorder.detail.generation,
            call_id=show_id(CALL, self._recorder.call_id(at)),
            attempt_number=before.count + 1 if before else 1,
            timeout=node.settings.timeout or self._timeout,
            now=self._around.now(),
            new_id=self._around.new_id,
            http=self._around.http,
            is_waiting_trigger=at.node_id in self._workflow.waits,
            credentials=self._around.credentials,
            resume_urls=self._waiting.urls(at) if self._waiting.takes_events(node) else {},
        )

    async def _resumed(self, region: Progress, at: At, came: Any) -> _Ended:
        step = self._context(region, at)
        result = resume(self._workflow.nodes[at.node_id], step, came)
        if isinstance(result, Failed):
            # Another attempt waits anew.
            wait = self._held.waits.pop(at, None)
            if wait is not None:
                await ask(self._around.desk.give_up([wait.id]))
        started_at = self._held.begun_at.pop(at, None) or self._held.opened_at(at) or step.now
        return _Ended(at, step.input, step.attempt_number, Times(started_at, self._around.now()), result)

    async def _open(self) -> bool:
        """Wait where nodes wait; whether something has come already."""
        if not self._held.to_open or self._is_decided():
            return False
        asked = list(self._held.to_open.items())
        waits = await asyncio.gather(*(ask(self._waiting.open(at, for_what)) for at, for_what in asked))
        self._held.to_open.clear()
        is_new = False
        for (at, _), opened in zip(asked, waits, strict=True):
            if opened is None:
                raise CannotRecord  # it is over, or no longer this worker's
            if isinstance(opened, Failed):
                region = self._region(at)
                value = region.input_of(at.node_id) if region else None
                number = self._held.failures[at].count + 1 if at in self._held.failures else 1
                now = self._around.now()
                self._settle(_Ended(at, value, number, Times(now, now), opened))
                is_new = True
                continue
            self._held.waits[at] = opened
            if opened.status is not WaitStatus.OPEN:
                self._touch_at(at)
                is_new = True
        return is_new

    async def _close(self) -> bool:
        """Close the waits that nobody needs; an event that came just before stays what the wait ended with."""
        if not self._held.to_close:
            return False
        closing, self._held.to_close = self._held.to_close, {}
        await ask(self._around.desk.cancel([self._held.waits[at].id for at in closing]))
        await self._look()
        for at, region in closing.items():
            wait = self._held.ended_wait(at)
            if wait is None:
                self._skip(region, at, StepStatus.CANCELLED)
                continue
            ended = await self._resumed(region, at, await self._came(wait))
            if isinstance(ended.result, Succeeded):
                self._leave(region, ended, ended.result)
            else:
                self._skip(region, at, StepStatus.CANCELLED)  # nobody needs it, so it fails nothing
        return True

    async def _came(self, wait: StoredWait) -> Came:
        return await ask(self._waiting.came(wait))

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
        await self._look()
        return True

    async def _look(self) -> None:
        """See what others have done to the run."""
        news = await ask(self._around.desk.news(self._state.run.id))
        self._is_cancelled |= news.is_cancelled
        for at in self._held.update(news.waits, self._recorder.detail.generation):
            self._touch_at(at)

    async def _wake_due(self) -> None:
        """Go on with what has waited long enough."""
        now = self._around.now() + EARLY
        held = self._held
        for at in [at for at in held.retrying if held.failures[at].due_at <= now]:
            held.retrying.discard(at)
            self._touch_at(at)
        for at in [at for at, until in held.sleeps.items() if until <= now and at not in held.slept]:
            # It goes on when the run has come to it, which may be in a loop that is not entered yet.
            held.slept.add(at)
            self._touch_at(at)
        expired = [wait.id for wait in held.open_waits() if wait.due_at <= now]
        if expired:
            await ask(self._around.desk.expire(expired))
            await self._look()
        deadline = self._recorder.detail.deadline
        if deadline is not None and deadline <= now:
            if not self._is_decided():
                told = cause(None, "run_timeout", "the run took longer than its time")
                self._fail(Failed("run_timeout", told, is_final=True), 1)
            await self._stop_nodes()

    # Settling -----------------------------------------------------------------------------------

    def _settle_ended(self) -> None:
        for ended in self._at_work.ended():
            self._settle(ended)

    def _settle(self, ended: _Ended) -> None:
        """Take over how an attempt ended."""
        region = self._region(ended.at)
        if region is None or region.has_ended(ended.at.node_id):
            return  # it was decided without it
        match ended.result:
            case Failed() as failed:
                self._settle_failure(region, ended, failed)
            case Suspended(for_what=for_what):
                self._suspend(ended, for_what)
            case result:
                self._leave(region, ended, result)

    def _leave(self, region: Progress, ended: _Ended, result: Succeeded) -> None:
        at, left = ended.at, result.left
        self._held.drop(at)
        region.end(at.node_id, result.port, result.output)
        self._touch(region)
        self._recorder.step(
            at,
            StepStatus.SUCCEEDED,
            ended.times,
            port=result.port,
            input=shown(ended.input),
            output=shown(result.output) if result.stored is None else result.stored,
            attempt_number=ended.attempt_number,
        )
        node = self._workflow.nodes[at.node_id]
        self._must_store |= node.type.is_stored_at_once
        if left is not None and (left.publishes or left.answer):
            self._say(left)
        if node.joins_first:
            self._drop(region, region.unfinished(self._workflow.losers(at.node_id)))
        if node.type.ends_run:
            self._stopped = (result.output,)

    def _say(self, left: Left) -> None:
        """What a node says besides its output goes with its step, but not out of a test."""
        self._publish(left.publishes)
        if left.answer is not None and not self._state.run.is_test:
            self._recorder.answer(left.answer, self._around.now())

    def _publish(self, publications: Iterable[Publication]) -> None:
        if self._state.run.is_test:
            return
        for publication in publications:
            event = published(publication, self._state, self._recorder.detail, self._around.now())
            self._recorder.publish(event)

    def _suspend(self, ended: _Ended, for_what: Suspension) -> None:
        self._held.begun_at.setdefault(ended.at, ended.times.started_at)
        if isinstance(for_what, Sleep):
            self._held.sleeps[ended.at] = for_what.until
            self._must_store |= bool(self._at_work)  # else it is stored when the task goes to sleep
            if for_what.until <= self._around.now() + EARLY:
                self._held.slept.add(ended.at)
                self._touch_at(ended.at)
        else:
            self._held.to_open[ended.at] = for_what
            if isinstance(for_what, AwaitEvent):
                self._publish(for_what.publishes)

    def _settle_failure(self, region: Progress, ended: _Ended, failed: Failed) -> None:
        at, number = ended.at, ended.attempt_number
        node = self._workflow.nodes[at.node_id]
        self._recorder.failed_attempt(self._around.new_id(), at, number, failed, ended.times)
        asked = failed.retry_after and min(failed.retry_after, MAX_ASKED_DELAY)
        follows = after_failure(number, node.settings.policy, self._around.chance(), asked)
        if isinstance(follows, GiveUp) or failed.is_final or not node.type.has_effects:
            self._held.drop(at)
            self._out_of_attempts(region, ended, failed)
        else:
            self._held.failures[at] = NodeFailures(number, ended.times.finished_at + follows.delay)
            self._held.retrying.add(at)

    def _out_of_attempts(self, region: Progress, ended: _Ended, failed: Failed) -> None:
        """Go on by the error port, or as if nothing were wrong, or without this item; else the run has failed."""
        at = ended.at
        node = self._workflow.nodes[at.node_id]
        error = read_json(failed.cause)
        port = ERROR if node.has_error_port else node.ports[0] if node.settings.continues_on_error else None
        loop = self._loops.get(region.loop or "")
        status = StepStatus.FAILED
        if port is not None:
            region.end(at.node_id, port, {"error": error, "input": ended.input})
            self._touch(region)
        elif loop is not None and loop.continues_on_error:
            region.error = error
            region.skip(at.node_id)
            self._drop(region, region.unfinished())
            self._touch(region)
        else:
            self._fail(failed, ended.attempt_number)
            status = StepStatus.DEAD
        self._recorder.step(
            at,
            status,
            ended.times,
            port=port,
            input=shown(ended.input),
            output=write_json(region.outputs[at.node_id]) if port is not None else None,
            error=failed.cause,
            attempt_number=ended.attempt_number,
        )

    def _fail(self, failed: Failed, attempts: int) -> None:
        """The run has failed; a crash before it is over does not change that."""
        if self._end is None:
            self._end = failed, attempts
            failure = RunFailure(failed.code, failed.cause, attempts)
            self._recorder.detail = replace(self._recorder.detail, failed=failure)

    def _skip(self, region: Progress, at: At, status: StepStatus) -> None:
        if region.has_ended(at.node_id):
            return
        region.skip(at.node_id)
        self._touch(region)
        now = self._around.now()
        self._recorder.step(at, status, Times(self._held.begun_at.pop(at, now), now))

    def _drop(self, region: Progress, node_ids: Iterable[str]) -> None:
        """Let these nodes end without having run, or before they have: nobody needs them any more."""
        for node_id in node_ids:
            at = At(node_id, region.iteration)
            wait = self._held.waits.get(at)
            if wait is not None and wait.status is not WaitStatus.CANCELLED:
                self._held.to_close[at] = region
                continue
            had_begun = self._held.drop(at)
            had_begun |= self._at_work.drop(at)
            loop = self._loops.pop(node_id, None)
            for body in list(loop.at_work.values()) if loop else ():
                self._drop(body, body.unfinished())
                had_begun = True
            self._skip(region, at, StepStatus.CANCELLED if had_begun else StepStatus.SKIPPED)

    def _touch_at(self, at: At) -> None:
        region = self._region(at)
        if region is not None:
            self._touch(region)

    # Storing and ending -------------------------------------------------------------------------

    async def _store(self) -> None:
        """Store what is new, or raise CannotRecord."""
        must_store, self._must_store = self._must_store, False
        if not (must_store or self._recorder.has_news):
            return
        self._recorder.waits(self._held.failures, self._held.sleeps)
        await store(self._record, self._recorder.checkpoint(Keep()))

    async def _conclude(self) -> Completion:
        if self._end is not None:
            failed, attempts = self._end
            await self._close_all()
            return self._recorder.dead(self._around.new_id(), failed, attempts, self._around.now())
        if self._stopped is not None:
            await self._stop_nodes()
            await self._close_all()
            (output,) = self._stopped
            for node_id in self._main.unfinished():
                self._skip(self._main, At(node_id), StepStatus.CANCELLED)
            return self._recorder.succeeded(output, self._around.now())
        if self._main.is_complete():
            await self._close_all()
            return self._recorder.succeeded(self._main.result(), self._around.now())
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

    async def _stop_nodes(self) -> None:
        """Cancel what is at work; what ended all the same is taken in."""
        await self._at_work.stop()
        self._settle_ended()

    def _next_due(self) -> datetime | None:
        moments = (self._held.next_due(), self._recorder.detail.deadline)
        return min((moment for moment in moments if moment is not None), default=None)
