"""Doing what a claimed task says, whatever its kind: the task in, what is to be recorded out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from kanca.domain.event import StoredEvent
from kanca.domain.ids import derived_id
from kanca.domain.retry import RetryPolicy
from kanca.domain.task import Becomes, Completion, Done, HandBack, NewTask, RunChange, TaskKind
from kanca.handlers.causes import cause, cause_of
from kanca.handlers.execution import Failed
from kanca.handlers.registry import Handler
from kanca.workers.calls import Calls
from kanca.workers.capabilities import leave_run
from kanca.workers.catalogue import Catalogue
from kanca.workers.dispatch import WORKFLOW_UNPUBLISHED, Dispatch, Several
from kanca.workers.settlement import DISPATCH_WORK, Settling, Work
from kanca.workers.targets import DEFAULT_TIMEOUT, KnownHandler, KnownWorkflow, Targets
from kanca.workers.workbench import Held
from kanca.workflows.engine import WorkflowEngine
from kanca.workflows.loading import WorkflowLoader
from kanca.workflows.runs import WorkflowVersion, detail_of, run_of_event, work_of

log = structlog.get_logger(__name__)

Record = Callable[[Completion], Awaitable[bool]]
GiveUp = Callable[[Completion], None]

INTERNAL_ERROR = "internal_error"
RECORD_REFUSED = "record_refused"
WORKER_LOST = "worker_lost"


class RecordRefused(Exception):
    """The database does not take what is to be recorded."""


@dataclass(frozen=True, slots=True)
class Performer:
    """Does the work of one worker process."""

    calls: Calls
    engine: WorkflowEngine
    loader: WorkflowLoader
    catalogue: Catalogue
    settling: Settling
    own: Mapping[int, Handler]
    """The handlers of this app, by their numbers."""

    async def perform(self, held: Held, record: Record, give_up: GiveUp) -> Completion:
        """Do what a task says, and give what is to be recorded.

        ``record`` stores checkpoints. ``give_up`` is told what is to be recorded at once of work that goes on although
        its time is long over. Raises CancelledError when cancelled; whatever else it raises is for ``fail``.
        """
        match held.task.kind, held.event, held.state:
            case TaskKind.RUN, _, state if state is not None and state.version.is_for_others:
                return leave_run(held.task, self.catalogue.others_workflows)
            case TaskKind.RUN, _, state if state is not None:
                timeout = held.sender.timeout if held.sender else DEFAULT_TIMEOUT
                return await self.engine.execute(held.task, state, record, timeout=timeout)
            case TaskKind.CALL, event, _ if event is not None:
                handler = self.own.get(held.task.target)
                if handler is None:
                    return Completion(held.task, HandBack())
                work = self.calls.work(held.task, event, handler.name, held.task.target)
                return await self.calls.call(work, event, held.sender, handler, give_up)
            case TaskKind.DISPATCH, event, _ if event is not None:
                return await self._dispatch(held, event, held.targets or Targets(), record, give_up)
        # Retention has taken what it is about.
        log.warning("task_about_nothing", kind=held.task.kind.name, ref=str(held.task.ref))
        return Completion(held.task, Done())

    def fail(self, held: Held, error: BaseException) -> Completion:
        """What is to be recorded when ``perform`` raised: a failed attempt, in the end a dead letter."""
        if isinstance(error, RecordRefused):
            return self.refuse(held)
        log.error("task_failed", kind=held.task.kind.name, ref=str(held.task.ref), exc_info=error)
        failed = Failed(INTERNAL_ERROR, cause_of(error, INTERNAL_ERROR))
        return self.settling.fail(self._work(held), failed, RetryPolicy())

    def refuse(self, held: Held) -> Completion:
        """What is to be recorded in place of a completion that the database refused."""
        message = "the work was done, but the database does not take what there is to record of it"
        return self._bury(held, RECORD_REFUSED, message)

    def lose(self, held: Held) -> Completion:
        """What is to be recorded of a task that too many workers died of."""
        message = f"{held.task.crashes} workers died while they did this work, so it is not tried again"
        return self._bury(held, WORKER_LOST, message)

    def _bury(self, held: Held, code: str, message: str) -> Completion:
        return self.settling.bury(self._work(held), Failed(code, cause(code, message), is_final=True))

    async def _dispatch(
        self, held: Held, event: StoredEvent, targets: Targets, record: Record, give_up: GiveUp
    ) -> Completion:
        dispatch = Dispatch(held.task, event, held.sender, targets, self.own, self.settling)
        match dispatch.plan():
            case KnownHandler() as known:
                handler = self.own[known.number]
                work = self.calls.work(held.task, event, handler.name, known.number)
                return await self.calls.call(work, event, held.sender, handler, give_up)
            case KnownWorkflow() as workflow:
                version = await self._published(workflow)
                if version is None:
                    return dispatch.nothing(WORKFLOW_UNPUBLISHED)
                if version.is_for_others:
                    return dispatch.expand(self._run(held, event, version))
                return await self.engine.start(
                    held.task,
                    event,
                    version,
                    record,
                    node_id=held.sender.node_id if held.sender else None,
                    works=1,
                    timeout=held.sender.timeout if held.sender else DEFAULT_TIMEOUT,
                )
            case Several():
                version = await self._published(targets.workflow)
                if version is None:
                    return dispatch.expand(None)
                return dispatch.expand(self._run(held, event, version))
            case completion:
                return completion

    def _run(self, held: Held, event: StoredEvent, version: WorkflowVersion) -> tuple[RunChange, NewTask]:
        """What starts a workflow under a task of its own."""
        node_id = held.sender.node_id if held.sender else None
        return run_of_event(event, version, node_id, self.settling.now())

    async def _published(self, workflow: KnownWorkflow | None) -> WorkflowVersion | None:
        if workflow is None or workflow.published_version is None:
            return None
        return await self.loader.version(workflow.id, workflow.published_version)

    def _work(self, held: Held) -> Work:
        """The piece of work that a task is, as far as the task itself says it."""
        task, event, state = held.task, held.event, held.state
        if task.kind is TaskKind.CALL and event is not None:
            return self.calls.work(task, event, held.handler_name or str(task.target), task.target)
        about = Becomes(task.kind, task.ref, task.target, task.detail)
        now = self.settling.now()
        if task.kind is TaskKind.RUN:
            name = work_of(state.version.id) if state else "workflow"
            run = state.run if state else None
            return Work(task, event, name, task.ref, about, detail_of(task).works, now, run)
        return Work(task, event, DISPATCH_WORK, derived_id(task.ref, DISPATCH_WORK), about, 1, now)
