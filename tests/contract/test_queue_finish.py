from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from kanca.domain.ids import id_at
from kanca.domain.status import OutcomeStatus, RunStatus, StepStatus
from kanca.domain.task import (
    Becomes,
    Completion,
    Dead,
    Done,
    HandBack,
    Keep,
    Outcome,
    Park,
    Retry,
    RunChange,
    Step,
    Task,
    TaskKind,
    TaskState,
    Wait,
    lane_of,
)
from kanca.errors import InvalidInput
from kanca.storage.dialects import open_database
from kanca.storage.ports import Database
from kanca.storage.signals import signal
from kanca.storage.tables import attempts, dead_letters, outcomes, runs, steps, tasks
from tests.queueing import (
    call,
    claim,
    dead,
    dispatch,
    done,
    failed_attempt,
    new_id,
    outcome,
    register,
    rows,
    said,
)

MOMENT = datetime(2026, 3, 4, 5, 6, 7, 890123, UTC)


def step(number: int) -> Step:
    return Step(
        new_id(),
        new_id(),
        f"node-{number}",
        0,
        StepStatus.SUCCEEDED,
        "out",
        b"in",
        b"out",
        None,
        1,
        MOMENT,
        MOMENT,
    )


async def test_a_finished_task_is_gone_and_its_outcome_stands(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch() for _ in range(3)])
    claimed = await claim(database.queue, worker)
    batch = [
        done(task, works=1, result=b'{"a":1}', attempt_number=2, started_at=MOMENT, finished_at=MOMENT)
        for task in claimed
    ]
    assert await database.queue.finish(worker, batch) == [True] * 3
    assert await rows(database) == []
    stored = await rows(database, outcomes)
    assert {row.event_id for row in stored} == {task.ref for task in claimed}
    assert {tuple(row)[1:] for row in stored} == {
        ("dispatch:1", "succeeded", 1, None, b'{"a":1}', 2, MOMENT, MOMENT, None)
    }


async def test_every_way_to_go_on_leaves_the_row_that_says_so(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([call(target) for target in range(5)])
    again, back, park, keep, other = await claim(database.queue, worker)
    batch = [
        said(again, Retry(timedelta(minutes=5), attempt=1), attempts=(failed_attempt(again),)),
        said(back, HandBack()),
        said(park, Park()),
        said(keep, Keep()),
        Completion(other, Retry(timedelta(0), 3), becomes=Becomes(TaskKind.RUN, other.ref, 99, b"{}")),
    ]
    assert await database.queue.finish(worker, batch) == [True] * 5
    by_id = {row.id: row for row in await rows(database)}
    states = {number: TaskState(row.state) for number, row in by_id.items()}
    assert states == {
        again.id: TaskState.SCHEDULED,
        back.id: TaskState.READY,
        park.id: TaskState.PARKED,
        keep.id: TaskState.RUNNING,
        other.id: TaskState.SCHEDULED,
    }
    assert {number: row.worker for number, row in by_id.items() if row.worker} == {keep.id: worker}
    now = await database.now()
    assert timedelta(minutes=4) < by_id[again.id].due_at - now <= timedelta(minutes=5)
    assert [by_id[task.id].attempt for task in (again, back, park, keep)] == [1, 0, 0, 0]
    became = by_id[other.id]
    assert (became.kind, became.ref, became.target, became.detail, became.attempt) == (
        TaskKind.RUN,
        other.ref,
        99,
        b"{}",
        3,
    )
    assert became.lane == lane_of(TaskKind.RUN, 99)
    assert [row.code for row in await rows(database, attempts)] == ["handler_error"]


async def test_a_kept_task_can_be_finished_with_the_same_fence(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch()])
    (task,) = await claim(database.queue, worker)
    both = [
        said(task, Keep(), steps=(step(1),)),
        said(task, Keep(), steps=(step(2),)),
        done(task),
        done(task),
    ]
    assert await database.queue.finish(worker, both) == [True, True, True, False]
    assert {row.node_id for row in await rows(database, steps)} == {"node-1", "node-2"}


async def test_the_late_result_of_a_fenced_worker_writes_nothing(database: Database) -> None:
    late, rescuer = await register(database.queue, timedelta(seconds=-1)), await register(database.queue)
    await database.queue.heartbeat(late, timedelta(seconds=30), 0)
    await database.queue.enqueue([dispatch()])
    (task,) = await claim(database.queue, late)
    await database.queue.heartbeat(late, timedelta(seconds=-1), 0)
    assert (await database.queue.rescue(rescuer, 3)).returned == 1
    for completion in (done(task), said(task, Retry(timedelta(0), 1)), dead(task), said(task, Keep())):
        assert await database.queue.finish(late, [completion]) == [False]
    (again,) = await claim(database.queue, rescuer)
    # Not even in the name of the worker that has it now.
    assert await database.queue.finish(rescuer, [done(task)]) == [False]
    assert await database.queue.finish(late, [done(again)]) == [False]
    for table in (outcomes, attempts, dead_letters):
        assert await rows(database, table) == []
    assert await database.queue.finish(rescuer, [done(again)]) == [True]
    assert len(await rows(database, outcomes)) == 1


async def test_in_one_batch_only_what_is_still_mine_is_written(database: Database) -> None:
    worker, thief = await register(database.queue), await register(database.queue)
    await database.queue.enqueue([dispatch() for _ in range(6)])
    claimed = await claim(database.queue, worker)
    assert (
        await database.queue.finish(worker, [said(task, HandBack()) for task in claimed[::2]]) == [True] * 3
    )
    await claim(database.queue, thief)
    assert await database.queue.finish(worker, [done(task) for task in claimed]) == [False, True] * 3
    assert {row.event_id for row in await rows(database, outcomes)} == {task.ref for task in claimed[1::2]}


@pytest.mark.parametrize("bad", ["a number that is too large", "a lone surrogate"])
async def test_a_completion_that_the_database_refuses_fails_alone(database: Database, bad: str) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch() for _ in range(9)])
    claimed = await claim(database.queue, worker)
    batch = [done(task) for task in claimed]
    more = {"attempt_number": 2**70} if bad.startswith("a number") else {"reason": "\ud800"}
    batch[4] = done(claimed[4], **more)
    answers = await database.queue.finish(worker, batch)
    assert [answer is True for answer in answers] == [True] * 4 + [False] + [True] * 4
    assert isinstance(answers[4], InvalidInput)
    assert [(row.id, row.state) for row in await rows(database)] == [(claimed[4].id, TaskState.RUNNING)]
    # What is wrong is the record, not the task: it can still be ended.
    assert await database.queue.finish(worker, [done(claimed[4])]) == [True]


async def test_a_nul_in_a_text_disturbs_nobody_else(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch() for _ in range(4)])
    claimed = await claim(database.queue, worker)
    answers = await database.queue.finish(
        worker, [done(claimed[0], reason="a\0b"), *(done(task) for task in claimed[1:])]
    )
    assert answers[1:] == [True] * 3


async def test_records_of_days_without_a_partition_find_their_place(database: Database) -> None:
    worker = await register(database.queue)
    days = [datetime(2024, 2, 29, tzinfo=UTC), datetime.now(UTC) + timedelta(days=400)]
    refs = [id_at(day) for day in days]
    await database.queue.enqueue([dispatch(ref=ref) for ref in refs])
    claimed = await claim(database.queue, worker)
    assert await database.queue.finish(worker, [done(task) for task in claimed]) == [True, True]
    assert [row.event_id for row in await rows(database, outcomes)] == refs


async def test_a_retried_piece_of_work_replaces_its_outcome_and_keeps_the_number_of_works(
    database: Database,
) -> None:
    worker = await register(database.queue)
    ref = new_id()
    await database.queue.enqueue([dispatch(ref=ref)])
    (task,) = await claim(database.queue, worker)
    await database.queue.finish(worker, [dead(task)])
    await database.queue.enqueue([dispatch(ref=ref)])
    (again,) = await claim(database.queue, worker)
    assert await database.queue.finish(worker, [done(again, result=b"2")]) == [True]
    (row,) = await rows(database, outcomes)
    assert (row.status, row.works, row.result, row.ref) == ("succeeded", 1, b"2", None)


async def test_a_dead_letter_holds_the_cause_and_all_that_a_retry_needs(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([call(5, detail=b"{}", key=None)])
    (task,) = await claim(database.queue, worker)
    again = said(task, Retry(timedelta(0), 1), attempts=(failed_attempt(task),))
    await database.queue.finish(worker, [again])
    await database.queue.promote(10)
    (task,) = await claim(database.queue, worker)
    assert task.attempt == 1
    completion = dead(task)
    assert await database.queue.finish(worker, [completion]) == [True]
    (letter,) = await rows(database, dead_letters)
    (expected,) = completion.records.dead_letters
    assert {name: getattr(letter, name) for name in letter._fields} == {
        name: getattr(expected, name) for name in letter._fields
    }
    assert (letter.code, letter.attempts, letter.body) == ("handler_error", 2, b"the body")
    assert [row.attempt_number for row in await rows(database, attempts)] == [1]
    assert await rows(database) == []


async def test_a_run_is_inserted_then_changed_and_keeps_its_beginning(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([call()])
    (task,) = await claim(database.queue, worker)
    begun = RunChange(task.ref, "w", 3, None, RunStatus.RUNNING, MOMENT, input=b'{"x":1}')
    ended = RunChange(
        task.ref, "w", 3, None, RunStatus.SUCCEEDED, MOMENT + timedelta(1), finished_at=MOMENT, output=b"1"
    )
    assert await database.queue.finish(worker, [said(task, Keep(), runs=(begun,), steps=(step(1),))]) == [
        True
    ]
    assert await database.queue.finish(worker, [said(task, Done(), runs=(ended,))]) == [True]
    (run,) = await rows(database, runs)
    assert (run.status, run.input, run.output, run.started_at, run.finished_at) == (
        "succeeded",
        b'{"x":1}',
        b"1",
        MOMENT,
        MOMENT,
    )


async def test_a_dispatch_with_several_targets_becomes_a_task_for_each(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch()])
    (task,) = await claim(database.queue, worker)
    later = await database.now() + timedelta(hours=1)
    new = (call(1, task.ref), call(2, task.ref, key="k"), call(3, task.ref, due_at=later))
    expanded = outcome(task, OutcomeStatus.EXPANDED, works=3)
    assert await database.queue.finish(worker, [said(task, Done(), outcomes=(expanded,), tasks=new)]) == [
        True
    ]
    born = {row.target: TaskState(row.state) for row in await rows(database)}
    assert born == {1: TaskState.READY, 2: TaskState.PARKED, 3: TaskState.SCHEDULED}
    positions = [row.position for row in await rows(database)]
    assert all(position > 0 for position in positions)


async def test_a_batch_stands_or_falls_together_with_nothing_half_written(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch()])
    (task,) = await claim(database.queue, worker)
    twice = failed_attempt(task)
    answers = await database.queue.finish(
        worker, [said(task, Dead(), outcomes=(outcome(task),), attempts=(twice, twice))]
    )
    assert isinstance(answers[0], InvalidInput)
    assert await rows(database, outcomes) == await rows(database, attempts) == []
    assert len(await rows(database)) == 1


async def test_workers_that_finish_at_the_same_time_do_not_disturb_each_other(
    database: Database, database_url: str
) -> None:
    other = await open_database(database_url)
    await database.queue.enqueue([dispatch(number) for number in range(200)])

    async def work(mine: Database) -> int:
        worker = await register(mine.queue)
        finished = 0
        while claimed := await claim(mine.queue, worker, 15):
            shuffled = claimed[::-1] if worker % 2 else claimed
            finished += sum(
                answer is True for answer in await mine.queue.finish(worker, list(map(done, shuffled)))
            )
        return finished

    finished = sum(await asyncio.gather(*map(work, (database, other) * 2))) + await work(database)
    await other.close()
    assert finished == 200
    assert len(await rows(database, outcomes)) == 200


async def test_new_tasks_of_one_target_stand_apart(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch()])
    (task,) = await claim(database.queue, worker)
    await database.queue.finish(worker, [said(task, Done(), tasks=tuple(call(4) for _ in range(50)))])
    positions = sorted(row.position for row in await rows(database))
    assert all(later - earlier >= 1_000 for earlier, later in pairwise(positions))


async def test_two_outcomes_of_one_piece_of_work_in_a_batch_are_both_taken(database: Database) -> None:
    worker = await register(database.queue)
    ref = new_id()
    await database.queue.enqueue([call(1, ref), call(2, ref)])
    first, second = await claim(database.queue, worker)
    same = [
        said(task, Done(), outcomes=(Outcome(ref, "handler:x", OutcomeStatus.SUCCEEDED, result=result),))
        for task, result in ((first, b"1"), (second, b"2"))
    ]
    assert await database.queue.finish(worker, same) == [True, True]
    assert [row.result for row in await rows(database, outcomes)] == [b"2"]


async def test_what_is_signalled_while_it_is_written_is_written_all_the_same(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch() for _ in range(8)])
    claimed = await claim(database.queue, worker)

    async def both(task: Task) -> bool | Exception:
        _, (answer,) = await asyncio.gather(
            database.write(signal, tasks.c.id == task.id, MOMENT),
            database.queue.finish(worker, [said(task, Keep())]),
        )
        return answer

    for _ in range(10):
        assert await asyncio.gather(*map(both, claimed)) == [True] * 8
    assert {row.signals for row in await rows(database)} == {10}
    assert await database.queue.finish(worker, [said(task, Done()) for task in claimed]) == [True] * 8


async def test_news_for_an_event_that_is_about_to_wait_is_not_lost(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue([dispatch()])
    (task,) = await claim(database.queue, worker)

    assert await database.write(signal, tasks.c.id == task.id, MOMENT) == 1
    becomes = Becomes(TaskKind.RESUME, task.ref, 99, b"{}")
    assert await database.queue.finish(
        worker, [Completion(task, Wait(timedelta(days=1)), becomes=becomes)]
    ) == [True]

    (row,) = await rows(database)
    assert (row.kind, row.state) == (TaskKind.RESUME, TaskState.READY)
