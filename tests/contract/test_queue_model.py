"""Random interleavings of everything that workers do, against a model of the queue in memory."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, delete

from kanca.domain.status import OutcomeStatus
from kanca.domain.task import (
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
    Wait,
)
from kanca.storage.dialects import open_database
from kanca.storage.ports import Database
from kanca.storage.signals import signal
from kanca.storage.tables import events, outcomes, tasks, workers
from tests.databases import clock_mover
from tests.queue_model import MAX_CRASHES, Model
from tests.queueing import add_event, claim, claim_suspect, new_id, register, rows

T = TypeVar("T")

LEASE = DELAY = timedelta(minutes=10)
"""Long against the seconds that a test takes: only moving the clock makes anything expire or due."""
ENDPOINT = 70


class QueueMachine(RuleBasedStateMachine):
    """Each step does one thing to the queue and to the model; after each, they are compared."""

    runner: asyncio.Runner
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.queue = self.database.queue
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

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Some work and somebody to do it, so that every step has something to interfere with."""
        for _ in range(2):
            self.worker_starts(data)
        for _ in range(4):
            self.enqueue(data)

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([happens.__name__ for happens in HAPPENINGS]), label="happens")
        getattr(self, name)(data)

    # What happens -------------------------------------------------------------------------------------

    def enqueue(self, data: st.DataObject) -> None:
        """An event's dispatch, or a handler's task: of one key it must wait for its turn."""
        ref = new_id()
        self.run(add_event(self.database, ref, ENDPOINT))
        new = data.draw(
            st.sampled_from(
                [
                    NewTask(TaskKind.DISPATCH, ref, ENDPOINT),
                    NewTask(TaskKind.CALL, ref, 1),
                    NewTask(TaskKind.CALL, ref, 1, order_key=5),
                    NewTask(TaskKind.CALL, ref, 1, order_key=6),
                    NewTask(TaskKind.CALL, ref, 2, order_key=5),
                ]
            ),
            label="task",
        )
        self.run(self.queue.enqueue([new]))
        self.adopt([new])

    def worker_starts(self, data: st.DataObject) -> None:
        if len(self.model.leases) < 3:
            worker = self.run(register(self.queue, LEASE))
            assert worker not in {number for number, _ in self.claimed}
            self.renew(worker)

    def claim(self, data: st.DataObject) -> None:
        for worker in self.one_worker(data):
            limit = data.draw(st.integers(1, 8), label="limit")
            found = self.run(claim(self.queue, worker, limit))
            self.hold(worker, found, self.model.ready(suspects=False), limit)

    def claim_suspect(self, data: st.DataObject) -> None:
        for worker in self.one_worker(data):
            found = self.run(claim_suspect(self.queue, worker))
            self.hold(worker, found, self.model.ready(suspects=True), 1)

    def finish(self, data: st.DataObject) -> None:
        """One worker says something of tasks that it has, perhaps twice of one."""
        self.say(data, [(worker, task) for worker, task in self.claimed if self.model.holds(worker, task)])

    def finish_late(self, data: st.DataObject) -> None:
        """One worker says something of tasks that are no longer its own."""
        late = [(worker, task) for worker, task in self.claimed if not self.model.holds(worker, task)]
        # What is gone altogether is not worth many words.
        self.say(data, [(worker, task) for worker, task in late if task.id in self.model.tasks] or late)

    def say(self, data: st.DataObject, about: list[tuple[int, Task]]) -> None:
        if not about:
            return
        worker = data.draw(st.sampled_from([worker for worker, _ in about]), label="worker")
        its = st.sampled_from([task for number, task in about if number == worker])
        said = data.draw(st.lists(its, min_size=1, max_size=6), label="tasks")
        batch = [self.completion(data, task) for task in said]
        answers = self.run(self.queue.finish(worker, batch))
        for completion, answer in zip(batch, answers, strict=True):
            assert answer is self.model.holds(worker, completion.task)
            if answer:
                self.model.finish(completion)
        written = [completion for completion, answer in zip(batch, answers, strict=True) if answer]
        self.adopt([new for completion in written for new in completion.records.tasks])

    def signal(self, data: st.DataObject) -> None:
        """Somebody has news for a task, which waits for it or is at work."""
        if self.model.tasks:
            number = data.draw(st.sampled_from(sorted(self.model.tasks)), label="task")
            self.run(self.database.write(signal, tasks.c.id == number, self.run(self.database.now())))
            self.model.signal(number)

    def heartbeat(self, data: st.DataObject) -> None:
        for worker in self.one_worker(data):
            self.extend(worker)

    def time_passes(self, data: st.DataObject) -> None:
        self.advance(timedelta(seconds=data.draw(st.sampled_from([200, 700]), label="seconds")))

    def worker_dies(self, data: st.DataObject) -> None:
        """One that holds something, if there is one; the others live on, and one of them notices."""
        for worker in self.one_worker(data, {row.worker for row in self.model.tasks.values() if row.worker}):
            self.advance(LEASE)
            others = [other for other in self.model.leases if other != worker]
            for other in others:
                self.extend(other)
            if others:
                self.rescue_by(others[0])

    def rescue(self, data: st.DataObject) -> None:
        for worker in self.one_worker(data):
            self.rescue_by(worker)

    def leave(self, data: st.DataObject) -> None:
        for worker in self.one_worker(data):
            assert self.run(self.queue.leave(worker)) == self.model.leave(worker)

    def promote(self, data: st.DataObject) -> None:
        promoted = self.run(self.queue.promote(1_000))
        assert promoted.moved == self.model.promote()
        states = [(row.state, row.order_key is not None) for row in self.model.tasks.values()]
        assert promoted.is_waited is ((TaskState.PARKED, True) in states)
        assert (promoted.due_in is not None) is any(state is TaskState.SCHEDULED for state, _ in states)

    def unpark(self, data: st.DataObject) -> None:
        of = data.draw(st.sampled_from([(TaskKind.DISPATCH, ENDPOINT), (TaskKind.CALL, 1)]), label="of")
        parked = self.model.parked(*of)
        assert self.run(self.queue.unpark(*of)) == len(parked)
        for row in parked:
            row.let_go(TaskState.READY)

    # What should be then ------------------------------------------------------------------------------

    @invariant()
    def the_rows_are_as_the_model_says(self) -> None:
        stored = {row.id: row for row in self.run(rows(self.database))}
        assert stored.keys() == self.model.tasks.keys()
        for number, row in self.model.tasks.items():
            found = stored[number]
            names = (
                "kind",
                "ref",
                "target",
                "order_key",
                "state",
                "attempt",
                "crashes",
                "fence",
                "worker",
                "signals",
            )
            assert {name: getattr(found, name) for name in names} == {
                name: getattr(row, name) for name in names
            }
            assert (found.lane == SUSPECT_LANE) is row.is_suspect
            assert (found.due_at is not None) is (row.due_at is not None)

    @invariant()
    def of_one_key_at_most_one_has_its_turn(self) -> None:
        turns = [
            (row.target, row.order_key)
            for row in self.model.tasks.values()
            if row.order_key is not None and row.state is not TaskState.PARKED
        ]
        assert len(turns) == len(set(turns))

    def teardown(self) -> None:
        stored = {(row.event_id, row.work): row.result for row in self.run(rows(self.database, outcomes))}
        assert stored == self.model.outcomes

    # How it is said -----------------------------------------------------------------------------------

    def one_worker(self, data: st.DataObject, among: set[int] | None = None) -> list[int]:
        """One worker, when there is one."""
        some = sorted(among if among is not None else self.model.leases)
        return [data.draw(st.sampled_from(some), label="worker")] if some else []

    def advance(self, by: timedelta) -> None:
        self.model.now += int(by.total_seconds())
        self.run(self.move_clock(self.model.now))

    def extend(self, worker: int) -> None:
        assert self.run(self.queue.heartbeat(worker, LEASE, 0))
        self.renew(worker)

    def renew(self, worker: int) -> None:
        self.model.leases[worker] = self.model.now + int(LEASE.total_seconds())

    def rescue_by(self, rescuer: int) -> None:
        """What is lost is the rescuer's own until it is buried."""
        rescued = self.run(self.queue.rescue(rescuer, MAX_CRASHES))
        assert (rescued.returned, {task.id for task in rescued.lost}) == self.model.rescue(rescuer)
        self.claimed += [(rescuer, task) for task in rescued.lost]

    def adopt(self, new: list[NewTask]) -> None:
        """Learn the numbers of tasks that were just added."""
        unknown = {row.ref: row.id for row in self.run(rows(self.database)) if row.id not in self.model.tasks}
        assert unknown.keys() == {task.ref for task in new}
        for task in new:
            self.model.add(unknown[task.ref], task)

    def hold(self, worker: int, found: list[Task], ready: set[int], limit: int) -> None:
        assert {task.id for task in found} <= ready
        assert len(found) == (min(limit, len(ready)) if self.model.is_alive(worker) else 0)
        for task in found:
            row = self.model.claim(worker, task.id)
            assert (task.kind, task.ref, task.target) == (row.kind, row.ref, row.target)
            assert (task.attempt, task.crashes, task.fence) == (row.attempt, row.crashes, row.fence)
            assert task.signals == row.signals
            self.claimed.append((worker, task))

    def completion(self, data: st.DataObject, task: Task) -> Completion:
        kind = data.draw(st.sampled_from(SAYINGS), label="said")
        after: Disposition = _SPECIAL[kind](task) if kind in _SPECIAL else kind()
        becomes: Becomes | None = None
        new: tuple[NewTask, ...] = ()
        works: tuple[Outcome, ...] = ()
        if isinstance(after, Done | Dead):
            result = b"%d" % next(self.results)
            works = (Outcome(task.ref, "work", OutcomeStatus.SUCCEEDED, result=result),)
        if task.kind is TaskKind.DISPATCH:
            if isinstance(after, Retry):
                becomes = Becomes(TaskKind.CALL, task.ref, 1)
            if isinstance(after, Done):
                new = (NewTask(TaskKind.CALL, task.ref, 1, order_key=5),)
        return Completion(task, after, Records(outcomes=works, tasks=new), becomes)


SAYINGS: list[type[Any]] = [Done, Dead, Retry, Wait, Wait, HandBack, HandBack, Park, Keep]
_SPECIAL: dict[type[Any], Callable[[Task], Disposition]] = {
    Retry: lambda task: Retry(DELAY, task.attempt + 1),
    Wait: lambda _: Wait(DELAY),
}
HAPPENINGS = [
    *[QueueMachine.enqueue] * 3,
    *[QueueMachine.claim] * 5,
    *[QueueMachine.claim_suspect] * 2,
    *[QueueMachine.finish] * 5,
    *[QueueMachine.finish_late] * 3,
    *[QueueMachine.promote] * 3,
    *[QueueMachine.signal] * 3,
    *[QueueMachine.unpark] * 1,
    *[QueueMachine.worker_starts] * 1,
    *[QueueMachine.worker_dies] * 2,
    *[QueueMachine.leave] * 1,
    *[QueueMachine.heartbeat] * 1,
    *[QueueMachine.rescue] * 1,
    *[QueueMachine.time_passes] * 1,
]
"""What may happen, and how often. Not a rule each: Hypothesis leaves rules out, and without claims nothing happens."""


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
