"""Doing what a claimed task says, whatever its kind: the task in, what is to be recorded out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from kanca.domain.endpoint import RESUME_ENDPOINT
from kanca.domain.event import StoredEvent
from kanca.domain.ids import derived_id
from kanca.domain.retry import RetryPolicy
from kanca.domain.status import RunStatus
from kanca.domain.task import Becomes, Completion, Done, HandBack, Keep, NewTask, Park, Records, TaskKind
from kanca.handlers.causes import cause, cause_of
from kanca.handlers.execution import Failed
from kanca.handlers.registry import Handler
from kanca.telemetry.tracing import is_recording
from kanca.workers.arriving import Arrivals, ResumeDetail, read_resume_detail
from kanca.workers.calls import Calls, dispatch_span
from kanca.workers.capabilities import leave_run
from kanca.workers.catalogue import Catalogue
from kanca.workers.dispatch import WORKFLOW_UNPUBLISHED, Dispatch, Entry, Several, nobody_keeps
from kanca.workers.entering import Entrance
from kanca.workers.fan_out import FanOut
from kanca.workers.indexing import fields_of
from kanca.workers.replaying import Replayer
from kanca.workers.settlement import (
    DEFAULT_TENANT,
    DISPATCH_WORK,
    INTERNAL_ERROR,
    RECORD_REFUSED,
    WORKER_LOST,
    Settling,
    Work,
)
from kanca.workers.targets import DEFAULT_TIMEOUT, KnownHandler, KnownWorkflow, Targets
from kanca.workers.workbench import Held
from kanca.workflows.engine import WorkflowEngine
from kanca.workflows.runs import RunState, detail_of, work_of

log = structlog.get_logger(__name__)

Record = Callable[[Completion], Awaitable[bool]]
GiveUp = Callable[[Completion], None]


class RecordRefused(Exception):
    """The database does not take what is to be recorded."""


@dataclass(frozen=True, slots=True)
class Performer:
    """Does the work of one worker process."""

    calls: Calls
    engine: WorkflowEngine
    catalogue: Catalogue
    settling: Settling
    entrance: Entrance
    arrivals: Arrivals
    fan_out: FanOut
    replayer: Replayer
    own: Mapping[int, Handler]
    """The handlers of this app, by their numbers."""
    published_fields: tuple[str, ...] = ()
    """Paths into the documents of published events, by whose values they are found."""
    keeps: Callable[[int], bool] = nobody_keeps
    """Whether this worker makes the deliveries to the subscription with that number, and has room for one."""

    async def perform(self, held: Held, record: Record, give_up: GiveUp) -> Completion:
        """Do what a task says, and give what is to be recorded.

        ``record`` stores checkpoints. ``give_up`` is told what is to be recorded at once of work that goes on although
        its time is long over. Raises CancelledError when cancelled; whatever else it raises is for ``fail``.
        """
        if held.task.kind is TaskKind.DISPATCH and held.event is not None and is_recording():
            with dispatch_span(held.event):
                return await self._perform(held, record, give_up)
        return await self._perform(held, record, give_up)

    async def _perform(self, held: Held, record: Record, give_up: GiveUp) -> Completion:
        match held.task.kind, held.event, held.state:
            case TaskKind.RUN, _, state if state is not None:
                return await self._run(held, state, record)
            case TaskKind.CALL, event, _ if event is not None:
                return await self._call(held, event, give_up)
            case TaskKind.RESUME, event, _ if event is not None:
                return await self.arrivals.again(held.task, event)
            case TaskKind.REPLAY, _, _:
                return await self.replayer.go_on(held.task)
            case TaskKind.RETURN, _, _:
                await self.arrivals.desk.tell_parent(held.task.ref)
                return Completion(held.task, Done())
            case TaskKind.DISPATCH, event, _ if event is not None and event.endpoint == RESUME_ENDPOINT:
                return await self.arrivals.directly(held.task, event)
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

    async def _run(self, held: Held, state: RunState, record: Record) -> Completion:
        if state.version.is_for_others:
            return leave_run(held.task, self.catalogue.others_workflows)
        if self._is_held(state):
            return Completion(held.task, Park())
        timeout = held.sender.timeout if held.sender else DEFAULT_TIMEOUT
        return await self.engine.execute(held.task, state, record, timeout=timeout)

    async def _call(self, held: Held, event: StoredEvent, give_up: GiveUp) -> Completion:
        handler = self.own.get(held.task.target)
        if handler is None:
            return Completion(held.task, HandBack())
        work = self.calls.work(held.task, event, handler.name, held.task.target)
        return await self.calls.call(work, event, held.sender, handler, give_up)

    async def _dispatch(
        self, held: Held, event: StoredEvent, targets: Targets, record: Record, give_up: GiveUp
    ) -> Completion:
        if not await self._index(held, event, record):
            return Completion(held.task, HandBack())
        fanned = await self.fan_out.of(event, targets.subscriptions) if targets.subscriptions else None
        dispatch = Dispatch(
            held.task, event, held.sender, targets, self.own, self.settling, fanned, self.keeps
        )
        match dispatch.plan():
            case KnownHandler() as known:
                handler = self.own[known.number]
                work = self.calls.work(held.task, event, handler.name, known.number)
                return await self.calls.call(work, event, held.sender, handler, give_up)
            case KnownWorkflow() as workflow:
                return await self._enter(dispatch, held, event, workflow, record)
            case Several():
                return dispatch.expand(await self._entry(targets.workflow, held, event))
            case completion:
                return completion

    async def _index(self, held: Held, event: StoredEvent, record: Record) -> bool:
        """Store the fields that the event is found by, before its work begins; False when the task is lost."""
        paths = held.sender.indexed_fields if held.sender else self.published_fields
        fields = fields_of(event, paths) if paths and not held.task.attempt else ()
        return not fields or await record(Completion(held.task, Keep(), Records(fields=fields)))

    async def _enter(
        self, dispatch: Dispatch, held: Held, event: StoredEvent, workflow: KnownWorkflow, record: Record
    ) -> Completion:
        """Let the event's only work be a workflow."""
        sender = held.sender
        match await self.entrance.find(workflow, sender, works=1):
            case None:
                return dispatch.nothing(WORKFLOW_UNPUBLISHED)
            case ResumeDetail() as detail:
                return await self.arrivals.bring(held.task, event, workflow.number, detail)
            case version if self.entrance.needs_own_task(version):
                return dispatch.expand(self.entrance.start(event, version, sender))
            case version:
                return await self.engine.start(
                    held.task,
                    event,
                    version,
                    record,
                    node_id=sender.node_id if sender else None,
                    works=1,
                    timeout=sender.timeout if sender else DEFAULT_TIMEOUT,
                )

    async def _entry(self, workflow: KnownWorkflow | None, held: Held, event: StoredEvent) -> Entry | None:
        """What lets the event enter its workflow beside its other work."""
        if workflow is None:
            return None
        match await self.entrance.find(workflow, held.sender, works=None):
            case None:
                return None
            case ResumeDetail() as detail:
                return Entry(NewTask(TaskKind.RESUME, event.id, workflow.number, detail.encode()))
            case version:
                return self.entrance.start(event, version, held.sender)

    def _is_held(self, state: RunState) -> bool:
        """Whether the run's workflow is paused. One that is to be cancelled goes on, to its end."""
        run = state.run
        is_over = (
            run.status in {RunStatus.CANCELLED, RunStatus.SUCCEEDED} or run.cancel_requested_at is not None
        )
        return not is_over and not run.is_test and state.version.number in self.catalogue.paused_workflows

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
            tenant = state.version.tenant if state else DEFAULT_TENANT
            return Work(task, event, name, task.ref, about, detail_of(task).works, now, run, tenant)
        if task.kind is TaskKind.RESUME:
            detail = read_resume_detail(task)
            name = work_of(detail.workflow_id)
            return Work(task, event, name, derived_id(task.ref, name), about, detail.works, now)
        return Work(task, event, DISPATCH_WORK, derived_id(task.ref, DISPATCH_WORK), about, 1, now)
