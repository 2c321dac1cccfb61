"""Dispatching: an event and its targets in, what follows out. Pure, but for order keys that an app computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from kanca.bodies import event_data
from kanca.domain.event import StoredEvent
from kanca.domain.ids import CALL, derived_id, show_id
from kanca.domain.status import OutcomeStatus
from kanca.domain.task import (
    Becomes,
    Completion,
    DeadLetter,
    Done,
    HandBack,
    Keep,
    NewTask,
    Outcome,
    Park,
    Records,
    RunChange,
    Task,
    TaskKind,
)
from kanca.errors import ExpressionFailed, InvalidExpression, KancaError
from kanca.expressions.filtering import FILTERED
from kanca.handlers.causes import cause, cause_of
from kanca.handlers.execution import Failed
from kanca.handlers.ordering import key_by_function, key_by_path
from kanca.handlers.payloads import PayloadInvalid, read_payload
from kanca.handlers.registry import Handler
from kanca.workers.calls import handed, work_of
from kanca.workers.fan_out import FannedOut
from kanca.workers.settlement import DISPATCH_WORK, Settling, Work
from kanca.workers.targets import KnownHandler, KnownWorkflow, Sender, Targets
from kanca.workflows.runs import work_of as work_of_workflow

NO_TARGET = "no_target"
FILTER_FAILED = "filter_failed"
WORKFLOW_UNPUBLISHED = "workflow_unpublished"


@dataclass(frozen=True, slots=True)
class Several:
    """The event has several pieces of work, or one that only another task can do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """How an event enters the workflow of its endpoint, under a task of its own."""

    task: NewTask
    run: RunChange | None = None
    """The run that it starts; None: it is for one that waits."""


Plan = Completion | KnownHandler | KnownWorkflow | Several
"""What follows: it is over, this is the only target and it is done at once, or each target gets a task."""


def nobody_keeps(_subscription: int) -> bool:
    """Leave deliveries to others."""
    return False


class Dispatch(msgspec.Struct, frozen=True):
    """One event on its way to its targets."""

    task: Task
    event: StoredEvent
    sender: Sender | None
    targets: Targets
    own: Mapping[int, Handler]
    """The handlers of this app, by their numbers."""
    settling: Settling
    fanned: FannedOut | None = None
    """What becomes of it for those who subscribed to it."""
    keeps: Callable[[int], bool] = nobody_keeps
    """Whether this worker makes the deliveries to the subscription with that number, and has room for one."""

    @property
    def works(self) -> int:
        """How many pieces of work the event has."""
        return self.targets.works + (self.fanned.works if self.fanned else 0)

    def plan(self) -> Plan:
        """Say what follows."""
        held_up = self._held_up()
        if held_up is not None:
            return held_up
        workflow = self.targets.workflow
        match self.works:
            case 0:
                return self.nothing(NO_TARGET)
            case 1 if self.fanned is not None and (only := self.fanned.only) and not self.task.attempt:
                return self._becomes(only)
            case 1 if workflow is not None:
                return workflow
            case 1 if self.targets.handlers and self._can_be_done_here(self.targets.handlers[0]):
                return self.targets.handlers[0]
        return Several()

    def _held_up(self) -> Completion | None:
        """What follows when nobody gets the event, or not now."""
        if self.sender is not None and self.sender.is_paused:
            return Completion(self.task, Park())
        if self.sender is not None and self.sender.filter is not None:
            try:
                if not self.sender.filter.lets_through(self.event):
                    return self.nothing(FILTERED)
            except (ExpressionFailed, InvalidExpression) as error:
                return self._filter_failed(error)
        if self.targets.ordered_by_function and not self.targets.ordered_by_function <= self.own.keys():
            # Workers that know of such a handler claim no dispatches; this one has learnt of it since it claimed.
            return Completion(self.task, HandBack())
        return None

    def expand(self, entry: Entry | None) -> Completion:
        """Give each target a task. ``entry``: the workflow's; None: there is none, or it is not published."""
        runs: tuple[RunChange, ...] = ()
        tasks: list[NewTask] = []
        outcomes = [self._outcome(DISPATCH_WORK, OutcomeStatus.EXPANDED, works=self.works)]
        letters: list[DeadLetter] = []
        if entry is not None:
            runs = (entry.run,) if entry.run else ()
            tasks.append(entry.task)
        elif self.targets.workflow is not None:
            name = work_of_workflow(self.targets.workflow.id)
            outcomes.append(self._outcome(name, OutcomeStatus.SKIPPED, reason=WORKFLOW_UNPUBLISHED))
        for known in self.targets.handlers:
            try:
                key = self._order_key(known)
            except Exception as error:  # noqa: BLE001 - the app's function may raise anything; the others go on
                buried = self.settling.bury(
                    self._call(known), Failed("order_key_failed", cause_of(error, "order_key_failed"))
                )
                outcomes += buried.records.outcomes
                letters += buried.records.dead_letters
            else:
                tasks.append(NewTask(TaskKind.CALL, self.event.id, known.number, order_key=key))
        fanned = self.fanned or FannedOut()
        records = Records(
            outcomes=tuple(outcomes),
            dead_letters=(*letters, *fanned.letters),
            runs=runs,
            tasks=(*tasks, *fanned.tasks),
            deliveries=tuple(fanned.deliveries),
        )
        return Completion(self.task, Done(), records)

    def _becomes(self, delivery: NewTask) -> Completion:
        """Turn into the only delivery, which this worker goes on with, or whoever makes those to its receiver."""
        outcome = self._outcome(DISPATCH_WORK, OutcomeStatus.EXPANDED, works=1)
        about = Becomes(delivery.kind, delivery.ref, delivery.target, delivery.detail)
        after = Keep() if self.keeps(delivery.target) else HandBack()
        return Completion(self.task, after, Records(outcomes=(outcome,)), about)

    def _can_be_done_here(self, known: KnownHandler) -> bool:
        return known.number in self.own and known.spec.order is None

    def nothing(self, reason: str) -> Completion:
        """Nobody does anything for the event."""
        outcome = self._outcome(DISPATCH_WORK, OutcomeStatus.SKIPPED, reason=reason, works=0)
        return Completion(self.task, Done(), Records(outcomes=(outcome,)))

    def _filter_failed(self, error: KancaError) -> Completion:
        """A dead letter: whether anybody wants the event cannot be said until the filter, or its data, is right."""
        why = cause(FILTER_FAILED, f"The endpoint's filter failed: {error.detail}", **error.facts)
        about = Becomes(TaskKind.DISPATCH, self.event.id, self.task.target, self.task.detail)
        call_id = derived_id(self.event.id, DISPATCH_WORK)
        work = Work(self.task, self.event, DISPATCH_WORK, call_id, about, 1, self.settling.now())
        return self.settling.bury(work, Failed(FILTER_FAILED, why, is_final=True))

    def _outcome(
        self, work: str, status: OutcomeStatus, *, reason: str | None = None, works: int | None = None
    ) -> Outcome:
        now = self.settling.now()
        return Outcome(
            self.event.id, work, status, works=works, reason=reason, started_at=now, finished_at=now
        )

    def _call(self, known: KnownHandler) -> Work:
        name = work_of(known.spec.name)
        about = Becomes(TaskKind.CALL, self.event.id, known.number)
        call_id = derived_id(self.event.id, name)
        return Work(self.task, self.event, name, call_id, about, None, self.settling.now())

    def _order_key(self, known: KnownHandler) -> int | None:
        match known.spec.order:
            case "path":
                return key_by_path(known.spec.order_path or "", event_data(self.event))
            case "function":
                return self._computed_key(self.own[known.number])
        return None

    def _computed_key(self, handler: Handler) -> int | None:
        try:
            payload = read_payload(self.event, handler.payload)
        except PayloadInvalid:
            return None  # the call will say so
        call_id = show_id(CALL, derived_id(self.event.id, work_of(handler.name)))
        assert handler.order_by is not None  # noqa: S101 - the spec says that it has one
        return key_by_function(handler.order_by, handed(self.event, payload, self.sender, 1, call_id))
