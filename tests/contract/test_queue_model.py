"""Random interleavings of everything that workers do, against a model of the queue in memory."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, delete

from kanca.domain.status import OutcomeStatus
from kanca.domain.task import (
    SUSPECT_CRASHES,
    SUSPECT_LANE,
    Becomes,
    Completion,
    Dead,
    Disposition,
    Done,
    HandBack,
    Keep,
    NewTask,
    Outcome,
    Park,
    Records,
    Retry,
    Task,
    TaskKind,
    TaskState,
)
from kanca.storage.dialects import open_database
from kanca.storage.ports import Database
from kanca.storage.tables import events, outcomes, tasks, workers
from tests.databases import clock_mover
from tests.queueing import add_event, claim, claim_suspect, new_id, register, rows

T = TypeVar("T")

LEASE_S = DELAY_S = 600
"""Long against the seconds that a test takes, so that only moving the clock makes anything expire or due."""
MAX_CRASHES = 3
ENDPOINT = 70

READY, RUNNING, SCHEDULED, PARKED = TaskState
OUT_OF_ORDER_OPEN = {READY, RUNNING, SCHEDULED}


@dataclass
class Row:
    """A task as it should be."""

    kind: TaskKind
    ref: UUID
    target: int
    order_key: int | None
    state: TaskState
    attempt: int = 0
    crashes: int = 0
    fence: int = 0
    worker: int | None = None
    due_at: int | None = None

    @property
    def is_suspect(self) -> bool:
        return self.crashes >= SUSPECT_CRASHES


@dataclass
class Model:
    """What the queue should be."""

    now: int = 0
    tasks: dict[int, Row] = field(default_factory=dict)
    leases: dict[int, int] = field(default_factory=dict)
    outcomes: dict[tuple[UUID, str], bytes | None] = field(default_factory=dict)

    def is_alive(self, worker: int) -> bool:
        return self.leases.get(worker, self.now) > self.now

    def holds(self, worker: int, task: Task) -> bool:
        row = self.tasks.get(task.id)
        return row is not None and (row.state, row.worker, row.fence) == (RUNNING, worker, task.fence)

    def ready(self, *, suspects: bool) -> set[int]:
        return {n for n, row in self.tasks.items() if row.state is READY and row.is_suspect is suspects}

    def promote(self) -> int:
        moved = 0
        for row in self.tasks.values():
            if row.state is SCHEDULED and row.due_at is not None and row.due_at <= self.now:
                row.state, row.due_at = READY, None
                moved += 1
        ordered = sorted(
            (row.ref, number, row) for number, row in self.tasks.items() if row.order_key is not None
        )
        heads: dict[tuple[int, int | None], Row] = {}
        taken = {(row.target, row.order_key) for _, _, row in ordered if row.state is not PARKED}
        for _, _, row in ordered:
            if (row.target, row.order_key) not in taken:
                heads.setdefault((row.target, row.order_key), row)
        undispatched = [
            row.ref
            for row in self.tasks.values()
            if row.kind is TaskKind.DISPATCH and row.state in OUT_OF_ORDER_OPEN
        ]
        for row in heads.values():
            if not any(ref < row.ref for ref in undispatched):
                row.state = READY
                moved += 1
        return moved


class QueueMachine(RuleBasedStateMachine):
    """Each rule does one thing to the queue and to the model; after each, they are compared."""

    runner: asyncio.Runner
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.move_clock = clock_mover(self.database)
        self.model = Model()
        self.claimed: list[tuple[int, Task]] = []
        self.results = itertools.count()
        self.run(self.database.write(_empty))
        self.run(self.move_clock(0))

    def run(self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self.runner.run(wait())

    # What happens -------------------------------------------------------------------------------------

    @rule(handler=st.integers(1, 2), key=st.sampled_from([None, 5, 6]), is_dispatched=st.booleans())
    def enqueue(self, handler: int, key: int | None, is_dispatched: bool) -> None:
        """An event's dispatch, or a handler's task: of one key it must wait for its turn."""
        ref = new_id()
        self.run(add_event(self.database, ref, ENDPOINT))
        if is_dispatched:
            new = NewTask(TaskKind.DISPATCH, ref, ENDPOINT)
        else:
            new = NewTask(TaskKind.CALL, ref, handler, order_key=key)
        self.run(self.database.queue.enqueue([new]))
        self.adopt(new)

    @precondition(lambda self: len(self.model.leases) < 4)
    @rule()
    def worker_starts(self) -> None:
        worker = self.run(register(self.database.queue, timedelta(seconds=LEASE_S)))
        assert worker not in {number for number, _ in self.claimed}
        self.model.leases[worker] = self.model.now + LEASE_S

    @precondition(lambda self: self.model.leases)
    @rule(data=st.data(), limit=st.integers(1, 8))
    def claim(self, data: st.DataObject, limit: int) -> None:
        worker = self.some_worker(data)
        found = self.run(claim(self.database.queue, worker, limit))
        ready = self.model.ready(suspects=False)
        assert {task.id for task in found} <= ready
        assert len(found) == (min(limit, len(ready)) if self.model.is_alive(worker) else 0)
        self.hold(worker, found)

    @precondition(lambda self: self.model.leases)
    @rule(data=st.data())
    def claim_suspect(self, data: st.DataObject) -> None:
        worker = self.some_worker(data)
        found = self.run(claim_suspect(self.database.queue, worker))
        suspects = self.model.ready(suspects=True)
        assert {task.id for task in found} <= suspects
        assert len(found) == (min(1, len(suspects)) if self.model.is_alive(worker) else 0)
        self.hold(worker, found)

    @precondition(lambda self: self.claimed)
    @rule(data=st.data(), count=st.integers(1, 6))
    def finish(self, data: st.DataObject, count: int) -> None:
        """One worker says something of tasks that it has, or had: many of these are late."""
        worker = data.draw(st.sampled_from([worker for worker, _ in self.claimed]), label="worker")
        its = [task for number, task in self.claimed if number == worker]
        chosen = data.draw(st.lists(st.sampled_from(its), min_size=1, max_size=count), label="tasks")
        batch = [self.completion(data, task) for task in chosen]
        answers = self.run(self.database.queue.finish(worker, batch))
        for completion, answer in zip(batch, answers, strict=True):
            assert answer is self.model.holds(worker, completion.task)
            if answer:
                self.apply(completion)
        self.adopt(
            *(new for c, answer in zip(batch, answers, strict=True) if answer for new in c.records.tasks)
        )

    @precondition(lambda self: self.model.leases)
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        worker = self.some_worker(data)
        assert self.run(self.database.queue.heartbeat(worker, timedelta(seconds=LEASE_S), 0))
        self.model.leases[worker] = self.model.now + LEASE_S

    @rule(seconds=st.sampled_from([200, 700]))
    def time_passes(self, seconds: int) -> None:
        self.model.now += seconds
        self.run(self.move_clock(self.model.now))

    @precondition(lambda self: self.model.leases)
    @rule(data=st.data())
    def rescue(self, data: st.DataObject) -> None:
        """Another worker clears the expired away, and buries what is lost."""
        rescuer = self.some_worker(data)
        rescued = self.run(self.database.queue.rescue(rescuer, MAX_CRASHES))
        model = self.model
        dead = {worker for worker in model.leases if not model.is_alive(worker) and worker != rescuer}
        lost, returned = set(), 0
        for number, row in model.tasks.items():
            if row.worker in dead:
                row.crashes += 1
                if row.crashes >= MAX_CRASHES:
                    row.worker, row.fence = rescuer, row.fence + 1
                    lost.add(number)
                else:
                    row.worker, row.state = None, READY
                    returned += 1
        for worker in dead:
            del model.leases[worker]
        assert rescued.returned == returned
        assert {task.id for task in rescued.lost} == lost
        self.claimed += [(rescuer, task) for task in rescued.lost]

    @precondition(lambda self: self.model.leases)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        worker = self.some_worker(data)
        held = [row for row in self.model.tasks.values() if row.worker == worker]
        assert self.run(self.database.queue.leave(worker)) == len(held)
        for row in held:
            row.worker, row.state = None, READY
        del self.model.leases[worker]

    @rule()
    def promote(self) -> None:
        promoted = self.run(self.database.queue.promote(1_000))
        assert promoted.moved == self.model.promote()
        rows = self.model.tasks.values()
        assert promoted.is_waited == any(row.state is PARKED and row.order_key is not None for row in rows)
        assert (promoted.due_in is not None) == any(row.state is SCHEDULED for row in rows)

    @rule(of=st.sampled_from([(TaskKind.DISPATCH, ENDPOINT), (TaskKind.CALL, 1), (TaskKind.CALL, 2)]))
    def unpark(self, of: tuple[TaskKind, int]) -> None:
        parked = [
            row
            for row in self.model.tasks.values()
            if row.state is PARKED and row.order_key is None and (row.kind, row.target) == of
        ]
        assert self.run(self.database.queue.unpark(*of)) == len(parked)
        for row in parked:
            row.state = READY

    # What should be then ------------------------------------------------------------------------------

    @invariant()
    def the_rows_are_as_the_model_says(self) -> None:
        stored = {row.id: row for row in self.run(rows(self.database))}
        assert stored.keys() == self.model.tasks.keys()
        for number, row in self.model.tasks.items():
            found = stored[number]
            assert (
                found.kind,
                found.ref,
                found.target,
                found.state,
                found.attempt,
                found.crashes,
                found.fence,
                found.worker,
            ) == (row.kind, row.ref, row.target, row.state, row.attempt, row.crashes, row.fence, row.worker)
            assert (found.lane == SUSPECT_LANE) is row.is_suspect
            assert (found.due_at is not None) is (row.state is SCHEDULED)

    @invariant()
    def of_one_key_at_most_one_has_its_turn(self) -> None:
        turns = [
            (row.target, row.order_key)
            for row in self.model.tasks.values()
            if row.order_key is not None and row.state is not PARKED
        ]
        assert len(turns) == len(set(turns))

    @invariant()
    def nobody_holds_what_no_worker_has(self) -> None:
        holders = {row.worker for row in self.model.tasks.values() if row.worker is not None}
        assert holders <= self.model.leases.keys()

    def teardown(self) -> None:
        stored = {(row.event_id, row.work): row.result for row in self.run(rows(self.database, outcomes))}
        assert stored == self.model.outcomes

    # The model's side ---------------------------------------------------------------------------------

    def some_worker(self, data: st.DataObject) -> int:
        return int(data.draw(st.sampled_from(sorted(self.model.leases)), label="worker"))

    def adopt(self, *new: NewTask) -> None:
        """Learn the numbers of tasks that were just added."""
        known = self.model.tasks.keys()
        unknown = {row.ref: row for row in self.run(rows(self.database)) if row.id not in known}
        assert unknown.keys() == {task.ref for task in new}
        for task in new:
            state = READY if task.order_key is None else PARKED
            self.model.tasks[unknown[task.ref].id] = Row(
                task.kind, task.ref, task.target, task.order_key, state
            )

    def hold(self, worker: int, found: list[Task]) -> None:
        for task in found:
            row = self.model.tasks[task.id]
            row.state, row.worker, row.fence = RUNNING, worker, row.fence + 1
            assert (task.kind, task.ref, task.target) == (row.kind, row.ref, row.target)
            assert (task.attempt, task.crashes, task.fence) == (row.attempt, row.crashes, row.fence)
            self.claimed.append((worker, task))

    def completion(self, data: st.DataObject, task: Task) -> Completion:
        kind = data.draw(st.sampled_from([Done, Done, Dead, Retry, HandBack, Park, Keep]), label="said")
        after: Disposition = Retry(timedelta(seconds=DELAY_S), task.attempt + 1) if kind is Retry else kind()
        becomes = None
        if task.kind is TaskKind.DISPATCH and isinstance(after, Retry):
            becomes = Becomes(TaskKind.CALL, task.ref, 1)
        works = [
            Outcome(task.ref, "work", OutcomeStatus.SUCCEEDED, result=b"%d" % next(self.results))
            for _ in range(isinstance(after, Done | Dead))
        ]
        new: tuple[NewTask, ...] = ()
        if task.kind is TaskKind.DISPATCH and isinstance(after, Done):
            new = (NewTask(TaskKind.CALL, task.ref, 1, order_key=5),)
        return Completion(task, after, Records(outcomes=tuple(works), tasks=new), becomes)

    def apply(self, completion: Completion) -> None:
        row = self.model.tasks[completion.task.id]
        for outcome in completion.records.outcomes:
            self.model.outcomes[outcome.event_id, outcome.work] = outcome.result
        if completion.becomes is not None:
            row.kind, row.target = completion.becomes.kind, completion.becomes.target
        match completion.disposition:
            case Done() | Dead():
                del self.model.tasks[completion.task.id]
            case Retry(_, attempt):
                row.state, row.worker, row.attempt = SCHEDULED, None, attempt
                row.due_at = self.model.now + DELAY_S
            case HandBack():
                row.state, row.worker = READY, None
            case Park():
                row.state, row.worker = PARKED, None
            case Keep():
                pass


def _empty(connection: Connection) -> None:
    for table in (tasks, workers, outcomes, events):
        connection.execute(delete(table))


def test_whatever_workers_do_the_queue_is_as_the_model_says(database_url: str) -> None:
    with asyncio.Runner() as runner:
        database = runner.run(open_database(database_url))
        run_state_machine_as_test(
            type("Machine", (QueueMachine,), {"runner": runner, "database": database}),
            settings=settings(
                max_examples=25,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        runner.run(database.close())
