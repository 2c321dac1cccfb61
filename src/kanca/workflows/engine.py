"""The engine: goes on with a run until it is complete, has to wait for another attempt, or has failed.

What is stored before what:

    pure nodes          computed whenever they can be; stored with the next checkpoint or with the end
    a node with effects starts only once everything before it is stored (the first time, the task also becomes the run)
    its result          is stored before what follows it starts, and at once while other nodes are still at work
    the end             steps, run and outcome in one completion; a run of pure nodes has no other

So after a crash the run goes on after the last stored step. A node whose result was not stored runs again, under the
same call id; a stored step never does.
"""

from __future__ import annotations

from datetime import timedelta

from kanca.domain.event import StoredEvent
from kanca.domain.status import OutcomeStatus, RunStatus
from kanca.domain.task import Completion, Done, HandBack, Outcome, Records, Task, Wait
from kanca.errors import CommitQueueFull, ExpressionFailed, InvalidWorkflow, Unavailable
from kanca.workflows.calling import Failed, cause
from kanca.workflows.correlation import key_of
from kanca.workflows.execution import Execution
from kanca.workflows.recording import Recorder
from kanca.workflows.runs import RunDetail, RunState, WorkflowVersion, detail_of, new_run, work_of
from kanca.workflows.scope import event_scope
from kanca.workflows.surroundings import Record, Surroundings

__all__ = ["Record", "Surroundings", "WorkflowEngine"]

DEFAULT_TIMEOUT = timedelta(seconds=30)
CONCURRENCY_LIMIT = "concurrency_limit"
KEY_FAILED = "concurrency_key_failed"
UNTIL_ITS_TURN = timedelta(minutes=5)
"""When a run that waits for its turn looks again, should nobody tell it."""


class WorkflowEngine:
    """Runs workflows. One for a process; any number of runs at once.

    Cancelling a call is how a run is stopped: it answers with ``HandBack`` and what is not stored yet. It raises only
    what ``record`` raises, but for ``Unavailable``: then it answers with an empty ``HandBack``, for whether the
    checkpoint was written is not known.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings

    async def start(
        self,
        task: Task,
        event: StoredEvent,
        version: WorkflowVersion,
        record: Record,
        *,
        node_id: str | None,
        works: int | None,
        timeout: timedelta = DEFAULT_TIMEOUT,
    ) -> Completion:
        """Run the published ``version`` for an event, under its dispatch task, and give what is to be finished.

        For an event whose only target is this workflow, whose runs take no turns. ``node_id`` is the endpoint's (None:
        the workflow's only trigger); ``works`` stands on the outcome (1, for the only piece of work); ``timeout`` is
        for one attempt of a node that says nothing of its own (the endpoint's ``webhook_timeout``).
        """
        run = new_run(event, version, self._surroundings.now())
        state = RunState(run, version, (), event)
        detail = RunDetail(start=node_id, works=works)
        return await Execution(self._surroundings, task, state, detail, record, timeout).run()

    async def execute(
        self, task: Task, state: RunState, record: Record, *, timeout: timedelta = DEFAULT_TIMEOUT
    ) -> Completion:
        """Go on with a run under its ``RUN`` task, and give what is to be finished.

        ``state`` is what is stored of the run now (``kanca.workflows.loading``); ``timeout`` as for ``start``.
        """
        if state.run.status is RunStatus.SUCCEEDED:
            return Completion(task, Done())
        if state.run.status is RunStatus.CANCELLED:
            return self._cancelled(task, state)
        if state.run.status is RunStatus.PENDING and state.run.cancel_requested_at is None:
            not_now = await self._wait_for_turn(task, state)
            if not_now is not None:
                return not_now
        return await Execution(self._surroundings, task, state, detail_of(task), record, timeout).run()

    async def _wait_for_turn(self, task: Task, state: RunState) -> Completion | None:
        """What is to be said of a run whose turn it is not; None: it may begin."""
        try:
            workflow = state.version.ready()
        except InvalidWorkflow:
            return None  # the run will say so
        limits = workflow.definition.settings.concurrency
        if limits is None or state.run.is_test:
            return None
        recorder, now = Recorder(task, state, detail_of(task)), self._surroundings.now()
        try:
            key = key_of(workflow.turn_key, {"event": event_scope(state.event, state.run)})
        except ExpressionFailed as error:
            failed = Failed(KEY_FAILED, cause(None, KEY_FAILED, error.detail), is_final=True)
            return recorder.dead(self._surroundings.new_id(), failed, 1, now)
        number, run_id = state.version.number, state.run.id
        try:
            is_its_turn = await self._surroundings.desk.take_turn(run_id, task, number, key, limits.limit)
        except (Unavailable, CommitQueueFull):
            return Completion(task, HandBack())
        if is_its_turn:
            return None
        if limits.when_full == "skip":
            told = cause(
                None, CONCURRENCY_LIMIT, f"{limits.limit} runs are unfinished, and more are not wanted"
            )
            return recorder.cancelled(now, CONCURRENCY_LIMIT, told)
        return Completion(task, Wait(UNTIL_ITS_TURN))

    def _cancelled(self, task: Task, state: RunState) -> Completion:
        if state.event is None or state.run.is_test:
            return Completion(task, Done())
        outcome = Outcome(
            state.event.id,
            work_of(state.version.id),
            OutcomeStatus.SKIPPED,
            works=detail_of(task).works,
            reason="run_cancelled",
            started_at=state.run.started_at,
            finished_at=self._surroundings.now(),
            ref=state.run.id,
        )
        return Completion(task, Done(), Records(outcomes=(outcome,)))
