"""Events for runs that wait: the event in, what is to be recorded out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import msgspec

from kanca.domain.event import StoredEvent
from kanca.domain.ids import RUN, derived_id, read_id, show_id
from kanca.domain.resumption import mark_in
from kanca.domain.status import OutcomeStatus, RunStatus
from kanca.domain.task import Becomes, Completion, Done, Outcome, Records, Task, TaskKind, Wait
from kanca.errors import ExpressionFailed
from kanca.handlers.causes import cause
from kanca.handlers.execution import Failed
from kanca.storage import owners
from kanca.storage.ports import Database
from kanca.storage.seeking import Ambiguous, Arrival, Early, Missed, Taken
from kanca.workers.settlement import Settling, Work
from kanca.workflows.desk import StoredDesk
from kanca.workflows.entry import config_of, keys_in, trigger_of
from kanca.workflows.loading import WorkflowLoader
from kanca.workflows.nodes.webhook_trigger import WebhookTriggerConfig
from kanca.workflows.runs import work_of
from kanca.workflows.values import write_json

WAIT_AMBIGUOUS = "wait_ambiguous"
EVENT_KEY_FAILED = "event_key_failed"
RUN_GONE = "run_gone"
DIRECT_PATIENCE = timedelta(days=30)
"""How long an event is kept that names a wait which is not there yet."""


class ResumeDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the task of an event carries that looks for its run."""

    workflow_id: str
    node_id: str
    works: int | None = None
    """1 when it is the event's only piece of work (see ``Outcome.works``)."""
    wait_id: str | None = None
    """The one wait that it is for."""

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)


def read_resume_detail(task: Task) -> ResumeDetail:
    """What the task of an event carries that looks for its run."""
    return msgspec.json.decode(task.detail or b"", type=ResumeDetail)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Brings events to runs that wait for them."""

    database: Database
    desk: StoredDesk
    loader: WorkflowLoader
    settling: Settling

    async def again(self, task: Task, event: StoredEvent) -> Completion:
        """Go on with an event that looks for its run under a task of its own."""
        return await self.bring(task, event, task.target, read_resume_detail(task))

    async def directly(self, task: Task, event: StoredEvent) -> Completion:
        """Bring an event that came in at the address of a wait, under its dispatch."""
        mark = mark_in(event.request)
        run_id = read_id(RUN, str(mark.get("run")))
        run = await self.desk.run(run_id) if run_id else None
        version = await self.loader.version(run.workflow_id, run.version) if run else None
        if run is None or version is None:
            outcome = Outcome(event.id, "dispatch", OutcomeStatus.SKIPPED, works=1, reason=RUN_GONE)
            return self._done(task, outcome)
        detail = ResumeDetail(run.workflow_id, str(mark["node"]), 1, str(mark["wait"]))
        return await self.bring(task, await self._labelled(event, run.id), version.number, detail)

    async def _labelled(self, event: StoredEvent, run_id: UUID) -> StoredEvent:
        """The event with the label of its run: what erases a tenant, or lists its events, goes by that."""
        tenant = await self.database.read(owners.of_run, run_id)
        if tenant is None or tenant == event.tenant:
            return event
        await self.database.write(owners.give_event, event.id, tenant)
        return replace(event, tenant=tenant)

    async def bring(self, task: Task, event: StoredEvent, number: int, detail: ResumeDetail) -> Completion:
        """Bring an event to the run that waits for it, or keep it for one that will. Raises Unavailable."""
        about = Becomes(TaskKind.RESUME, event.id, number, detail.encode())
        name = work_of(detail.workflow_id)
        now = self.settling.now()
        work = Work(task, event, name, derived_id(event.id, name), about, detail.works, now)
        try:
            arrival = await self._arrival(task, event, number, detail)
        except ExpressionFailed as error:
            told = cause(EVENT_KEY_FAILED, f"The event's key cannot be told: {error.detail}", **error.facts)
            return self.settling.bury(work, Failed(EVENT_KEY_FAILED, told, is_final=True))
        match await self.desk.arrive(arrival):
            case Taken(wait):
                result = write_json({"run_id": show_id(RUN, wait.run_id), "node_id": wait.node_id})
                return self._done(
                    task, self._outcome(work, OutcomeStatus.SUCCEEDED, wait.run_id, result=result)
                )
            case Early(expires_at):
                delay = max(expires_at - await self.database.now(), timedelta(0))
                return Completion(task, Wait(delay), becomes=about)
            case Ambiguous(run_ids):
                return self._ambiguous(work, run_ids)
            case Missed(reason):
                return self._done(task, self._outcome(work, OutcomeStatus.SKIPPED, None, reason=reason))

    async def _arrival(self, task: Task, event: StoredEvent, number: int, detail: ResumeDetail) -> Arrival:
        arrival = Arrival(
            event_id=event.id,
            task=task,
            workflow=number,
            workflow_id=detail.workflow_id,
            node_id=detail.node_id,
            keys=(),
            received_at=event.received_at,
            patience=DIRECT_PATIENCE,
        )
        if detail.wait_id is not None:
            return replace(
                arrival, wait_id=UUID(hex=detail.wait_id), may_be_early=await self._may_come_to_wait(event)
            )
        configs = await self._configs(detail, await self.desk.versions(detail.workflow_id))
        return replace(
            arrival,
            keys=keys_in(configs, event),
            patience=timedelta(seconds=max((config.early_for for config in configs), default=0)),
            may_be_early=bool(configs),
        )

    async def _configs(self, detail: ResumeDetail, versions: Collection[int]) -> list[WebhookTriggerConfig]:
        """What the versions say of the trigger that may be waited at."""
        configs = []
        for number in sorted(versions):
            version = await self.loader.version(detail.workflow_id, number)
            node = trigger_of(version.definition, detail.node_id) if version and version.definition else None
            config = config_of(node) if node else None
            if config is not None:
                configs.append(config)
        return configs

    async def _may_come_to_wait(self, event: StoredEvent) -> bool:
        """Whether the run that the event names may still wait for it: it is at it, or has failed and may be retried."""
        run_id = read_id(RUN, str(mark_in(event.request).get("run")))
        run = await self.desk.run(run_id) if run_id else None
        if run is None or run.cancel_requested_at is not None:
            return False
        return run.status not in {RunStatus.SUCCEEDED, RunStatus.CANCELLED}

    def _ambiguous(self, work: Work, run_ids: tuple[UUID, ...]) -> Completion:
        shown = [show_id(RUN, run_id) for run_id in run_ids]
        message = f"Several runs could be meant, and none was guessed: {', '.join(shown)}"
        told = cause(WAIT_AMBIGUOUS, message, run_ids=shown)
        return self.settling.bury(work, Failed(WAIT_AMBIGUOUS, told, is_final=True))

    def _outcome(
        self,
        work: Work,
        status: OutcomeStatus,
        ref: UUID | None,
        *,
        reason: str | None = None,
        result: bytes | None = None,
    ) -> Outcome:
        assert work.event is not None  # noqa: S101 - there are no arrivals without one
        return Outcome(
            work.event.id,
            work.name,
            status,
            works=work.works,
            reason=reason,
            result=result,
            started_at=work.started_at,
            finished_at=self.settling.now(),
            ref=ref,
        )

    def _done(self, task: Task, outcome: Outcome) -> Completion:
        return Completion(task, Done(), Records(outcomes=(outcome,)))
