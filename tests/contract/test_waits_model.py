"""Random interleavings of runs that wait, events that come, and workers that die between any two transactions."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection, delete

from kanca.domain.status import OutcomeStatus, RunStatus, WaitStatus
from kanca.domain.task import (
    Becomes,
    Completion,
    Dead,
    DeadLetter,
    Disposition,
    Done,
    Keep,
    Outcome,
    Records,
    RunChange,
    Task,
    TaskKind,
    TaskState,
    Wait,
)
from kanca.domain.wait import Wait as StoredWait
from kanca.storage import dead_letters, matching, waits
from kanca.storage.dialects import open_database
from kanca.storage.ports import Database
from kanca.storage.seeking import KEYLESS, Arrival, Early, Opening, Taken
from kanca.storage.tables import dead_letters as letters
from kanca.storage.tables import early_events, outcomes, runs, tasks, workers
from kanca.storage.tables import waits as waits_table
from tests.databases import clock_mover
from tests.queueing import claim, claim_suspect, dispatch, new_id, register, rows
from tests.waiting import MOMENT, RULE, WORKFLOW, add_runs, arrival, new_run, opening, wait_id
from tests.waits_model import Stored, of_arrival, of_opening, read

T = TypeVar("T")

LEASE, PATIENCE, TIMEOUT = timedelta(minutes=10), timedelta(minutes=20), timedelta(minutes=30)
"""Long against the seconds that a test takes: only moving the clock makes anything expire or due."""
ROUNDS = 2
"""How often each run waits, one time after the other."""
NOBODY_DIES_OF_IT = 1_000
PLACES = [*[("paid", RULE, "a"), ("paid", RULE, "b")] * 3, ("any", KEYLESS, KEYLESS)]
"""Where runs wait: node, rule and key."""
NUMBERS = st.lists(st.integers(0, 2**16), min_size=8, max_size=8)


class Dice:
    """Choices out of numbers that were drawn before: what two processes do at once must not decide what is drawn."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = itertools.cycle(numbers)

    def below(self, limit: int) -> int:
        return next(self._numbers) % limit

    def one(self, among: Sequence[T]) -> T:
        return among[self.below(len(among))]

    def some(self, among: Collection[T], most: int) -> list[T]:
        """Some of them, up to ``most``, when there are any."""
        left = list(among)
        count = min(1 + self.below(most), len(left))
        return [left.pop(self.below(len(left))) for _ in range(count)]


@dataclass
class Held:
    """A claimed task, and what its worker remembers of it: all of which is forgotten when the worker dies."""

    worker: int
    task: Task
    answer: Any = None
    is_closing: bool = False

    @property
    def round(self) -> int:
        return int(self.task.detail or b"0")


class WaitsMachine(RuleBasedStateMachine):
    """Each step is one transaction, or two at once; after each, what is stored is looked at."""

    runner: asyncio.Runner
    database: Database
    other: Database

    def __init__(self) -> None:
        super().__init__()
        self.move_clock = clock_mover(self.database)
        self.move_other_clock = clock_mover(self.other)
        self.passed = timedelta(0)
        self.places: dict[UUID, tuple[str, str, str]] = {}
        """Where each run waits."""
        self.wants: dict[UUID, dict[str, Any]] = {}
        """How each event looks for its run."""
        self.held: dict[int, Held] = {}
        self.late: list[Held] = []
        """What workers still believe to have that are taken for dead."""
        self.said: dict[UUID, Any] = {}
        """What each event's work ended with."""
        self.claimed: dict[UUID, UUID] = {}
        """Which event resumed which wait."""
        self.run(self.database.write(_empty))
        self.advance(timedelta(0))
        self.worker = self.run(register(self.database.queue, LEASE))
        self.stored = self.look()

    def run(self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self.runner.run(wait())

    def look(self) -> Stored:
        return self.run(self.database.read(read))

    def now(self) -> datetime:
        return self.run(self.database.now())

    @initialize(numbers=NUMBERS)
    def begin(self, numbers: list[int]) -> None:
        dice = Dice(numbers)
        for _ in range(2):
            self.run_starts(dice)
            self.event_comes(dice)
        self.claim(dice)

    @rule(name=st.deferred(lambda: st.sampled_from(HAPPENINGS)), numbers=NUMBERS)
    def something_happens(self, name: str, numbers: list[int]) -> None:
        getattr(self, name)(Dice(numbers))

    # What happens -------------------------------------------------------------------------------------

    def run_starts(self, dice: Dice) -> None:
        if len(self.places) < 4:
            started = new_run()
            self.places[started.id] = dice.one(PLACES)
            self.run(add_runs(self.database, [started]))

    def event_comes(self, dice: Dice) -> None:
        """One that names a key, or none, or one wait, which may not be there yet."""
        if len(self.wants) >= 8:
            return
        event_id = new_id()
        node_id, its_rule, key = dice.one(PLACES)
        self.wants[event_id] = {"node_id": node_id, "keys": ((its_rule, key),)}
        if self.places and dice.below(4) == 0:
            run_id = dice.one(sorted(self.places))
            node_id, address = self.places[run_id][0], self.address(run_id, dice.below(ROUNDS))
            self.wants[event_id] = {"node_id": node_id, "keys": (), "wait_id": address}
        self.run(self.database.queue.enqueue([dispatch(ref=event_id)]))

    def claim(self, dice: Dice) -> None:
        self.claim_all(1 + dice.below(6))

    def match_one(self, dice: Dice) -> None:
        """An opening or an arrival, perhaps once more: its answer may have been lost."""
        for held in dice.some(self.matchable(), 1):
            self.match([held])

    def match_batch(self, dice: Dice) -> None:
        self.match(dice.some(self.matchable(), 5))

    def match_at_once(self, dice: Dice) -> None:
        """In transactions of two processes."""
        chosen = dice.some(self.matchable(), 6)
        parts = [part for part in (chosen[::2], chosen[1::2]) if part]
        now = self.now()

        async def both() -> list[list[Any]]:
            databases = (self.database, self.other)
            return await asyncio.gather(
                *(
                    database.write(matching.match, [self.asked(held) for held in part], now)
                    for database, part in zip(databases, parts, strict=False)
                )
            )

        for part, answers in zip(parts, self.run(both()), strict=True):
            for held, answer in zip(part, answers, strict=True):
                held.answer = answer

    def late_match(self, dice: Dice) -> None:
        """A worker that was taken for dead goes on all the same."""
        for held in dice.some(self.late, 1):
            self.match([held])
            assert self.run(self.database.queue.finish(held.worker, [Completion(held.task, Done())])) == [
                False
            ]

    def go_on(self, dice: Dice) -> None:
        """Something that is in hand gets further."""
        ready = [held for held in self.held.values() if held.answer is not None or held.is_closing]
        for held in dice.some(ready, 1):
            if held.task.ref in self.wants:
                self.settle(held)
            else:
                self.run_goes_on(held, dice.one(ENDS))

    def cancel(self, dice: Dice) -> None:
        for run_id in dice.some(sorted(self.places), 1):
            self.run(self.database.write(waits.request_cancel, run_id, self.now()))

    def retry(self, dice: Dice) -> None:
        for letter in dice.some(self.run(rows(self.database, letters)), 1):
            assert self.run(self.database.write(dead_letters.retry, letter.id, self.now()))

    def worker_dies(self, dice: Dice) -> None:
        """And another one goes on; what was in its memory is gone."""
        self.advance(LEASE)
        self.worker = self.run(register(self.database.queue, LEASE))
        self.run(self.database.queue.rescue(self.worker, NOBODY_DIES_OF_IT))
        self.late = list(self.held.values())
        self.held = {}

    def time_passes(self, dice: Dice) -> None:
        self.let_pass(timedelta(minutes=dice.one([3, 15, 25])))

    # What a worker does -------------------------------------------------------------------------------

    def claim_all(self, limit: int) -> list[Task]:
        found = self.run(claim(self.database.queue, self.worker, limit))
        found += self.run(claim_suspect(self.database.queue, self.worker))
        self.held |= {task.id: Held(self.worker, task) for task in found}
        return found

    def matchable(self) -> list[Held]:
        return [held for held in self.held.values() if not held.is_closing]

    def asked(self, held: Held) -> Opening | Arrival:
        if held.task.ref in self.wants:
            return arrival(held.task, **{"patience": PATIENCE, **self.wants[held.task.ref]})
        node_id, its_rule, key = self.places[held.task.ref]
        more = {"node_id": node_id, "rule": its_rule, "iteration": held.round, "timeout": TIMEOUT}
        return opening(held.task, key, **more)

    def match(self, chosen: list[Held]) -> None:
        """One alone is answered just as the model says; of several, each may change what the next one finds."""
        batch, now = [self.asked(held) for held in chosen], self.now()
        expected = [self.expected(each, now) for each in batch]
        answers = self.run(self.database.write(matching.match, batch, now))
        for held, answer in zip(chosen, answers, strict=True):
            held.answer = answer
        if len(batch) == 1:
            assert [_shown(answer) for answer in answers] == expected

    def expected(self, each: Opening | Arrival, now: datetime) -> Any:
        stored = self.look()
        return of_opening(stored, each, now) if isinstance(each, Opening) else of_arrival(stored, each, now)

    def settle(self, held: Held) -> None:
        """Say what became of an event."""
        event_id, answer = held.task.ref, held.answer
        if isinstance(answer, Early):
            after = Wait(max(answer.expires_at - self.now(), timedelta(0)))
            about = Becomes(TaskKind.RESUME, event_id, WORKFLOW)
            self.finish(held, Completion(held.task, after, becomes=about))
            return
        outcome = Outcome(event_id, "workflow:w", OutcomeStatus.SUCCEEDED, works=1)
        self.finish(held, Completion(held.task, Done(), Records(outcomes=(outcome,))))
        assert event_id not in self.said
        self.said[event_id] = answer

    def run_goes_on(self, held: Held, otherwise: str) -> None:
        wait: StoredWait | None = held.answer
        run = self.look().runs[held.task.ref]
        if run.cancel_requested_at is not None:
            self.end(held, RunStatus.CANCELLED, Done())
        elif held.is_closing:
            self.end(held, RunStatus.FAILED, Dead())
        elif wait is None:
            raise AssertionError("a run that nobody wants to end may wait")
        elif wait.status is not WaitStatus.OPEN:
            self.leave(held)
        elif wait.due_at <= self.now():
            self.run(self.database.write(waits.expire, [wait.id], self.now()))
            held.answer = None
        elif otherwise == "close":
            self.run(self.database.write(waits.cancel, [wait.id], self.now()))
            held.is_closing = True
        elif otherwise == "give up":
            self.end(held, RunStatus.FAILED, Dead())
        else:
            self.finish(held, Completion(held.task, Wait(max(wait.due_at - self.now(), timedelta(0)))))

    def leave(self, held: Held) -> None:
        """What was waited for has come, or will not: go on with the next wait, or end."""
        if held.round + 1 == ROUNDS:
            self.end(held, RunStatus.SUCCEEDED, Done())
            return
        detail = b"%d" % (held.round + 1)
        about = Becomes(TaskKind.RUN, held.task.ref, WORKFLOW, detail)
        task = held.task
        self.finish(held, Completion(task, Keep(), becomes=about))
        self.held[task.id] = Held(held.worker, replace(task, detail=detail))

    def end(self, held: Held, status: RunStatus, after: Disposition) -> None:
        task = held.task
        run = RunChange(task.ref, "w", 1, None, status, MOMENT, finished_at=MOMENT)
        records = Records(runs=(run,))
        if isinstance(after, Dead):
            records.dead_letters = (_letter(task),)
        self.finish(held, Completion(task, after, records))

    def finish(self, held: Held, completion: Completion) -> None:
        assert self.run(self.database.queue.finish(held.worker, [completion])) == [True]
        del self.held[held.task.id]

    # What should be then ------------------------------------------------------------------------------

    @invariant()
    def nothing_is_taken_twice_and_nothing_is_lost(self) -> None:
        before, self.stored = self.stored, self.look()
        stored = self.stored
        taken = [wait.event_id for wait in stored.waits.values() if wait.event_id is not None]
        assert len(taken) == len(set(taken))
        for wait in stored.waits.values():
            assert (wait.status == "claimed") is (wait.event_id is not None)
            if wait.status == "claimed" and wait.id not in self.claimed:
                self.claimed[wait.id] = wait.event_id
                assert wait.run_id not in before.runs or before.is_alive(wait.run_id)
                assert wait.run_id not in before.runs or before.runs[wait.run_id].cancel_requested_at is None
        assert self.claimed == {wait.id: wait.event_id for wait in stored.waits.values() if wait.event_id}
        for event_id, answer in self.said.items():
            assert bool(stored.taken_by(event_id)) is isinstance(answer, Taken)
            assert event_id not in {row.event_id for row in stored.early}
        at_work = {row.ref for row in stored.tasks.values()}
        assert self.wants.keys() - self.said.keys() <= at_work

    @invariant()
    def nobody_sleeps_through_what_is_for_him(self) -> None:
        stored = self.stored
        by_ref = {row.ref: row for row in stored.tasks.values()}
        for wait in stored.waits.values():
            task = by_ref.get(wait.run_id)
            if wait.status == "claimed":
                if task is not None and wait.iteration == int(task.detail or b"0"):
                    self.is_awake(task)
                if wait.event_id in by_ref:
                    self.is_awake(by_ref[wait.event_id])
            if wait.status == "open" and stored.is_alive(wait.run_id):
                assert task is not None
                assert wait.task_id == task.id
        for run in stored.runs.values():
            if run.cancel_requested_at is not None and run.status not in _OVER:
                self.is_awake(by_ref[run.id])
                assert not [w for w in stored.waits.values() if w.run_id == run.id and w.status == "open"]

    def is_awake(self, row: Any) -> None:
        """It is ready, or its worker knows, or will not be let to sleep."""
        assert row.state in {TaskState.READY, TaskState.RUNNING}
        held = self.held.get(row.id)
        if row.state == TaskState.RUNNING and held is not None and _is_ignorant(held.answer):
            assert row.signals > held.task.signals

    @invariant()
    def no_event_is_kept_beside_a_wait_that_is_open_for_it(self) -> None:
        stored, now = self.stored, self.now()
        for row in stored.early:
            is_asleep = stored.tasks[row.task_id].state == TaskState.SCHEDULED
            if row.expires_at > now and row.rule != KEYLESS:
                assert not stored.open_at(row.node_id, row.rule, row.key)
            if row.expires_at > now and row.rule == KEYLESS and is_asleep and not stored.several_runs():
                assert not stored.open_at(row.node_id, row.rule, row.key)

    def teardown(self) -> None:
        """Everything comes to rest, and then every event has had its end."""
        for _ in range(40):
            self.worker_dies(Dice([0]))
            while self.claim_all(100):
                while self.held:
                    held = next(iter(self.held.values()))
                    if held.answer is None and not held.is_closing:
                        self.match([held])
                    if held.task.ref in self.wants:
                        self.settle(held)
                    else:
                        self.run_goes_on(held, "sleep")
                    self.nothing_is_taken_twice_and_nothing_is_lost()
                    self.nobody_sleeps_through_what_is_for_him()
            if not self.look().tasks:
                break
            self.let_pass(PATIENCE)
        assert self.look().tasks == {}
        assert self.said.keys() == self.wants.keys()
        assert self.look().early == []

    # How it is said -----------------------------------------------------------------------------------

    def address(self, run_id: UUID, iteration: int) -> UUID:
        return wait_id(run_id, self.places[run_id][0], iteration)

    def let_pass(self, by: timedelta) -> None:
        """Nobody dies of it."""
        while by > timedelta(0):
            part = min(by, LEASE / 2)
            self.advance(part)
            assert self.run(self.database.queue.heartbeat(self.worker, LEASE, 0))
            by -= part
        self.run(self.database.queue.promote(1_000))

    def advance(self, by: timedelta) -> None:
        self.passed += by
        self.run(self.move_clock(self.passed.total_seconds()))
        self.run(self.move_other_clock(self.passed.total_seconds()))


_OVER = {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED}
ENDS = ["sleep", "sleep", "sleep", "close", "give up"]
HAPPENINGS: list[str] = [
    *["run_starts"] * 2,
    *["event_comes"] * 3,
    *["claim"] * 5,
    *["match_one"] * 6,
    *["match_batch"] * 2,
    *["match_at_once"] * 3,
    *["late_match"] * 2,
    *["go_on"] * 8,
    *["cancel"] * 1,
    *["retry"] * 2,
    *["worker_dies"] * 2,
    *["time_passes"] * 2,
]
"""What may happen, and how often."""


def _is_ignorant(answer: Any) -> bool:
    """Whether who has this answer would go to sleep."""
    return isinstance(answer, Early) or (isinstance(answer, StoredWait) and answer.status is WaitStatus.OPEN)


def _shown(answer: Any) -> tuple[str | None, UUID | None]:
    """An answer as the model gives it."""
    match answer:
        case None:
            return None, None
        case StoredWait():
            return answer.status, answer.event_id
        case Taken(wait):
            return "Taken", wait.id
    return type(answer).__name__, None


def _letter(task: Task) -> DeadLetter:
    what = (new_id(), task.kind, task.ref, task.target, task.detail, None, None, "workflow:w", None)
    return DeadLetter(*what, "default", "order.created", 1, "failed", b"{}", MOMENT, b"")


def _empty(connection: Connection) -> None:
    for table in (tasks, workers, outcomes, runs, waits_table, early_events, letters):
        connection.execute(delete(table))


def test_whatever_happens_every_event_finds_its_run_or_is_told_why_not(database_url: str) -> None:
    with asyncio.Runner() as runner:
        database, other = (runner.run(open_database(database_url)) for _ in range(2))
        run_state_machine_as_test(
            type("Machine", (WaitsMachine,), {"runner": runner, "database": database, "other": other}),
            settings=settings(
                max_examples=20,
                stateful_step_count=35,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        runner.run(database.close())
        runner.run(other.close())
