"""Attempts of nodes: a node is called, or goes on after a wait, and it is said how that ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from kanca.domain.ids import CALL, show_id
from kanca.domain.trace import Trace
from kanca.domain.wait import Wait
from kanca.workflows.calling import CallResult, Failed, call, cause, resume
from kanca.workflows.keeping import ask
from kanca.workflows.playing import is_played, played
from kanca.workflows.progress import At, Progress
from kanca.workflows.recording import Times
from kanca.workflows.scope import run_scope
from kanca.workflows.step import Came, StepContext
from kanca.workflows.stretch import Ended, Stretch
from kanca.workflows.tracing import step_span
from kanca.workflows.waiting import Waiting


class Attempts:
    """Makes attempts of the nodes of one run."""

    def __init__(
        self, stretch: Stretch, waiting: Waiting, timeout: timedelta, trace: Callable[[], Trace]
    ) -> None:
        """``timeout``: of a node that says nothing of its own."""
        self._stretch = stretch
        self._around = stretch.around
        self._workflow = stretch.workflow
        self._recorder = stretch.recorder
        self._held = stretch.held
        self._waiting = waiting
        self._timeout = timeout
        self._trace = trace
        self._run = run_scope(stretch.state.run)

    async def make(self, region: Progress, at: At) -> Ended:
        """Call a node, or play it as the test of the run wants it."""
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
                    if self._stretch.at_work.is_stopping or not node.type.has_effects:
                        raise
                    # Nobody stops the run: the node has cancelled itself.
                    told = cause(at.node_id, "node_cancelled", "the node was cancelled from inside")
                    result = Failed("node_cancelled", told)
                if isinstance(result, Failed):
                    span.fail(result.code)
        return Ended(at, step.input, step.attempt_number, Times(started_at, self._around.now()), result)

    async def came_to(self, region: Progress, at: At, wait: Wait) -> Ended:
        """Go on with a node whose wait has ended."""
        return await self.resumed(region, at, await ask(self._waiting.came(wait)))

    async def resumed(self, region: Progress, at: At, came: Came) -> Ended:
        """Go on with a node for which something came: an event, a run, or its moment."""
        step = self._context(region, at)
        result = resume(self._workflow.nodes[at.node_id], step, came)
        if isinstance(result, Failed):
            # Another attempt waits anew.
            wait = self._held.waits.pop(at, None)
            if wait is not None:
                await ask(self._around.desk.give_up([wait.id]))
        started_at = self._held.begun_at.pop(at, None) or self._held.opened_at(at) or step.now
        return Ended(at, step.input, step.attempt_number, Times(started_at, self._around.now()), result)

    def _context(self, region: Progress, at: At) -> StepContext:
        node = self._workflow.nodes[at.node_id]
        before = self._held.failures.get(at)
        return StepContext(
            input=region.input_of(at.node_id),
            event=self._stretch.event,
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
