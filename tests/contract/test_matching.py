from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Row

from kanca.domain.status import RunStatus, WaitStatus
from kanca.domain.task import (
    Becomes,
    Completion,
    Dead,
    NewTask,
    Park,
    RunChange,
    Task,
    TaskKind,
    TaskState,
    Wait,
)
from kanca.storage import dead_letters, waits
from kanca.storage.ports import Database
from kanca.storage.seeking import (
    ALREADY_RESUMED,
    KEYLESS,
    NO_WAIT,
    NOT_HELD,
    WAIT_CANCELLED,
    WAIT_TIMED_OUT,
    Ambiguous,
    Early,
    Missed,
    Taken,
)
from kanca.storage.tables import early_events, runs
from tests.databases import ClockOffset
from tests.queueing import claim, dead, done, register, rows, said
from tests.waiting import (
    HOUR,
    MOMENT,
    WORKFLOW,
    arrival,
    dispatches_at_work,
    match,
    match_one,
    new_run,
    opening,
    runs_at_work,
    wait_id,
)

KEYLESS_KEYS = ((KEYLESS, KEYLESS),)


async def task_row(database: Database, task: Task) -> Row[Any]:
    (row,) = [row for row in await rows(database) if row.id == task.id]
    return row


async def sleep(database: Database, worker: int, *held: Task) -> None:
    """Say of these tasks that they wait for a signal."""
    assert all(await database.queue.finish(worker, [said(task, Wait(24 * HOUR)) for task in held]))


async def state_of(database: Database, task: Task) -> TaskState:
    return TaskState((await task_row(database, task)).state)


async def early_ids(database: Database) -> list[Any]:
    return [row.event_id for row in await rows(database, early_events)]


async def test_an_event_resumes_the_run_that_waits_and_nobody_else(database: Database) -> None:
    worker = await register(database.queue)
    one, other = await runs_at_work(database, worker, 2)
    (event,) = await dispatches_at_work(database, worker)
    first, second = await match(database, opening(one, "a"), opening(other, "b"))
    assert (first.status, second.status) == (WaitStatus.OPEN, WaitStatus.OPEN)
    await sleep(database, worker, one, other)

    answer = await match_one(database, arrival(event, "a"))

    assert answer.wait == replace(
        first, status=WaitStatus.CLAIMED, ended_at=answer.wait.ended_at, event_id=event.ref
    )
    assert await state_of(database, one) is TaskState.READY
    assert await state_of(database, other) is TaskState.SCHEDULED
    assert await match_one(database, arrival(event, "a")) == answer
    assert await match_one(database, opening(one, "a")) == answer.wait


async def test_a_signal_that_comes_while_the_task_is_held_is_not_slept_through(database: Database) -> None:
    worker = await register(database.queue)
    (run,) = await runs_at_work(database, worker)
    (event,) = await dispatches_at_work(database, worker)
    await match(database, opening(run), arrival(event, "a"))

    await sleep(database, worker, run)

    assert await state_of(database, run) is TaskState.READY


async def test_a_task_that_is_parked_with_news_is_ready_at_once(database: Database) -> None:
    worker = await register(database.queue)
    (run,) = await runs_at_work(database, worker)
    await database.write(waits.request_cancel, run.ref, await database.now())

    assert await database.queue.finish(worker, [said(run, Park())]) == [True]

    assert await state_of(database, run) is TaskState.READY
    (again,) = await claim(database.queue, worker)
    assert await database.queue.finish(worker, [said(again, Park())]) == [True]
    assert await state_of(database, run) is TaskState.PARKED


async def test_the_oldest_event_that_came_early_is_taken(database: Database) -> None:
    worker = await register(database.queue)
    (run,) = await runs_at_work(database, worker)
    old, young, other = await dispatches_at_work(database, worker, 3)
    answers = await match(database, arrival(young, "a"), arrival(other, "b"), arrival(old, "a"))
    assert all(isinstance(answer, Early) for answer in answers)

    wait = await match_one(database, opening(run))

    assert (wait.status, wait.event_id) == (WaitStatus.CLAIMED, min(old.ref, young.ref))
    assert sorted(await early_ids(database)) == sorted({old.ref, young.ref, other.ref} - {wait.event_id})


async def test_an_event_whose_dispatch_has_not_said_yet_that_it_waits_is_told_that_it_was_taken(
    database: Database,
) -> None:
    worker = await register(database.queue)
    (run,) = await runs_at_work(database, worker)
    (event,) = await dispatches_at_work(database, worker)
    await match_one(database, arrival(event, "a"))
    await match_one(database, opening(run))

    becomes = Becomes(TaskKind.RESUME, event.ref, WORKFLOW)
    assert await database.queue.finish(worker, [Completion(event, Wait(24 * HOUR), becomes=becomes)]) == [
        True
    ]

    assert await state_of(database, event) is TaskState.READY
    assert isinstance(await match_one(database, arrival(event, "a")), Taken)


async def test_an_event_that_several_runs_wait_for_is_given_to_none(database: Database) -> None:
    worker = await register(database.queue)
    held = await runs_at_work(database, worker, 2)
    (event,) = await dispatches_at_work(database, worker)
    await match(database, *(opening(task) for task in held))

    answer = await match_one(database, arrival(event, "a"))

    assert isinstance(answer, Ambiguous)
    assert set(answer.run_ids) == {task.ref for task in held}
    assert await early_ids(database) == []


async def test_an_event_is_kept_only_so_long(database: Database, clock_offset: ClockOffset) -> None:
    worker = await register(database.queue, 24 * HOUR)
    (run,) = await runs_at_work(database, worker)
    (event,) = await dispatches_at_work(database, worker)
    kept = await match_one(database, arrival(event, "a"))
    await clock_offset(600)
    assert await match_one(database, arrival(event, "a")) == kept
    await clock_offset(3601)

    assert (await match_one(database, opening(run))).status is WaitStatus.OPEN
    await database.write(waits.expire, [wait_id(run.ref)], await database.now())
    assert await match_one(database, arrival(event, "a")) == Missed(NO_WAIT)
    assert await early_ids(database) == []


async def test_an_event_for_one_wait_that_another_one_has_resumed_is_kept_no_longer(
    database: Database,
) -> None:
    worker = await register(database.queue)
    (run,) = await runs_at_work(database, worker)
    held = sorted(await dispatches_at_work(database, worker, 2), key=lambda task: task.ref)
    wanted = {"wait_id": wait_id(run.ref)}
    for event in held:
        assert isinstance(await match_one(database, arrival(event, **wanted)), Early)
    assert (await match_one(database, opening(run))).event_id == held[0].ref

    assert await match_one(database, arrival(held[1], **wanted)) == Missed(ALREADY_RESUMED)

    assert await early_ids(database) == []


@pytest.mark.parametrize(
    ("end", "reason"),
    [(waits.expire, WAIT_TIMED_OUT), (waits.cancel, WAIT_CANCELLED)],
)
async def test_a_wait_that_has_ended_says_how_to_an_event_that_names_it(
    database: Database, end: Any, reason: str
) -> None:
    worker = await register(database.queue)
    (run,) = await runs_at_work(database, worker)
    (event,) = await dispatches_at_work(database, worker)
    await match_one(database, opening(run))
    await database.write(end, [wait_id(run.ref)], await database.now())

    late = arrival(event, wait_id=wait_id(run.ref), may_be_early=False)

    assert await match_one(database, late) == Missed(reason)


async def test_a_wait_that_was_cancelled_opens_again_and_takes_what_came_meanwhile(
    database: Database,
) -> None:
    worker = await register(database.queue)
    (run,) = await runs_at_work(database, worker)
    by_key, directly = await dispatches_at_work(database, worker, 2)
    await match_one(database, opening(run))
    await database.write(waits.cancel, [wait_id(run.ref)], await database.now())
    assert isinstance(await match_one(database, arrival(by_key, "a")), Early)
    assert isinstance(await match_one(database, arrival(directly, wait_id=wait_id(run.ref))), Early)

    again = await match_one(database, opening(run))

    assert (again.status, again.event_id) == (WaitStatus.CLAIMED, min(by_key.ref, directly.ref))


async def test_whoever_lost_the_task_or_the_run_opens_no_wait(database: Database) -> None:
    worker = await register(database.queue)
    lost, cancelled = await runs_at_work(database, worker, 2)
    (event,) = await dispatches_at_work(database, worker)
    await database.write(waits.request_cancel, cancelled.ref, await database.now())
    kept = await match_one(database, arrival(event, "a"))
    assert isinstance(kept, Early)

    answers = await match(
        database,
        opening(replace(lost, fence=lost.fence - 1)),
        opening(cancelled),
        opening(replace(lost, ref=new_run().id)),
    )

    assert answers == [None, None, None]
    assert await early_ids(database) == [event.ref]


async def test_whoever_lost_the_task_of_an_event_brings_it_to_nobody(database: Database) -> None:
    worker = await register(database.queue)
    waiting, other = await runs_at_work(database, worker, 2)
    late, early, taken = await dispatches_at_work(database, worker, 3)
    await match(
        database, opening(waiting, "a"), opening(other, "b"), arrival(early, "c"), arrival(taken, "b")
    )

    answers = [
        await match_one(database, arrival(replace(event, fence=event.fence - 1), key))
        for event, key in ((late, "a"), (early, "c"), (taken, "b"))
    ]

    assert answers[:2] == [Missed(NOT_HELD)] * 2
    assert answers[2].wait.run_id == other.ref
    assert await early_ids(database) == [early.ref]
    assert await database.queue.finish(worker, [done(late)]) == [True]
    assert await match_one(database, arrival(late, "a")) == Missed(NOT_HELD)


async def test_an_event_that_names_no_key_means_the_only_unfinished_run(database: Database) -> None:
    worker = await register(database.queue)
    (run,) = await runs_at_work(database, worker)
    event, second = await dispatches_at_work(database, worker, 2)
    await match_one(database, opening(run, KEYLESS, rule=KEYLESS))
    await runs_at_work(database, worker, status=RunStatus.SUCCEEDED)
    answer = await match_one(database, arrival(event, keys=KEYLESS_KEYS))
    assert answer.wait.run_id == run.ref

    (another,) = await runs_at_work(database, worker)

    ambiguous = await match_one(database, arrival(second, keys=KEYLESS_KEYS))
    assert set(ambiguous.run_ids) == {run.ref, another.ref}


async def test_events_without_a_key_look_again_when_a_second_run_waits(database: Database) -> None:
    worker = await register(database.queue)
    held = await dispatches_at_work(database, worker, 3)
    for event in held[:2]:
        assert isinstance(await match_one(database, arrival(event, keys=KEYLESS_KEYS)), Early)
    one, _ = await runs_at_work(database, worker, 2)
    assert isinstance(await match_one(database, arrival(held[2], wait_id=wait_id(one.ref))), Early)
    await sleep(database, worker, *held)

    wait = await match_one(database, opening(one, KEYLESS, rule=KEYLESS))

    # The one that names the wait is not ambiguous, though it came last.
    assert wait.event_id == held[2].ref
    again = await claim(database.queue, worker)
    assert {task.id for task in again} == {task.id for task in held}
    for event in again:
        if event.ref == wait.event_id:
            continue
        assert isinstance(await match_one(database, arrival(event, keys=KEYLESS_KEYS)), Ambiguous)
    assert await early_ids(database) == []


async def test_without_keys_a_run_takes_nothing_that_was_received_before_it_began(database: Database) -> None:
    worker = await register(database.queue)
    before, after = await dispatches_at_work(database, worker, 2)
    await match_one(database, arrival(before, keys=KEYLESS_KEYS, received_at=MOMENT - HOUR))
    await match_one(database, arrival(after, keys=KEYLESS_KEYS, received_at=MOMENT + HOUR))
    (run,) = await runs_at_work(database, worker)

    wait = await match_one(database, opening(run, KEYLESS, rule=KEYLESS, not_before=MOMENT))

    assert wait.event_id == after.ref


async def test_an_event_has_the_keys_of_several_versions_and_resumes_one_run(database: Database) -> None:
    worker = await register(database.queue)
    old, young = await runs_at_work(database, worker, 2)
    first, second = await dispatches_at_work(database, worker, 2)
    keys = (("old", "1"), ("new", "2"))
    kept = await match_one(database, arrival(first, keys=keys))
    assert isinstance(kept, Early)
    assert len(await early_ids(database)) == 2

    wait = await match_one(database, opening(old, "1", rule="old"))

    assert wait.event_id == first.ref
    assert (await match_one(database, opening(young, "2", rule="new"))).status is WaitStatus.OPEN
    assert (await match_one(database, arrival(second, keys=keys))).wait.run_id == young.ref


async def test_a_run_that_was_given_up_takes_nothing_until_it_is_retried(database: Database) -> None:
    worker = await register(database.queue)
    (run,) = await runs_at_work(database, worker)
    by_key, directly = await dispatches_at_work(database, worker, 2)
    await match_one(database, opening(run))
    failed = new_run(id=run.ref, status=RunStatus.FAILED, finished_at=MOMENT)
    letter = replace(dead(run).records.dead_letters[0], event_id=None)
    given_up = said(run, Dead(), runs=(failed,), dead_letters=(letter,))
    assert await database.queue.finish(worker, [given_up]) == [True]

    named = arrival(directly, wait_id=wait_id(run.ref))
    assert isinstance(await match_one(database, arrival(by_key, "a")), Early)
    assert await match_one(database, replace(named, may_be_early=False)) == Missed(WAIT_CANCELLED)
    assert isinstance(await match_one(database, named), Early)

    assert await database.write(dead_letters.retry, letter.id, await database.now())
    (again,) = await claim(database.queue, worker)
    wait = await match_one(database, opening(again))
    assert (wait.status, wait.task_id) == (WaitStatus.CLAIMED, again.id)


async def test_a_run_that_was_given_up_with_open_waits_is_signalled_under_its_new_task(
    database: Database,
) -> None:
    worker = await register(database.queue)
    (run,) = await runs_at_work(database, worker)
    (event,) = await dispatches_at_work(database, worker)
    await match_one(database, opening(run))
    failed = new_run(id=run.ref, status=RunStatus.FAILED, finished_at=MOMENT)
    letter = replace(dead(run).records.dead_letters[0], event_id=None)
    assert await database.queue.finish(
        worker, [said(run, Dead(), runs=(failed,), dead_letters=(letter,))]
    ) == [True]
    assert await database.write(dead_letters.retry, letter.id, await database.now())
    (again,) = await claim(database.queue, worker)
    assert (await match_one(database, opening(again))).status is WaitStatus.OPEN
    await sleep(database, worker, again)

    assert isinstance(await match_one(database, arrival(event, "a")), Taken)

    assert await state_of(database, again) is TaskState.READY


async def test_a_child_that_was_begun_is_begun_once(database: Database) -> None:
    worker = await register(database.queue)
    (run,) = await runs_at_work(database, worker)
    child = new_run(parent_run_id=run.ref, parent_wait=wait_id(run.ref), status=RunStatus.PENDING)
    begun = opening(run, rule="@run", child=(child, _task_of(child)))
    other = new_run(parent_run_id=run.ref, parent_wait=wait_id(run.ref), status=RunStatus.PENDING)
    wait = await match_one(database, begun)

    assert await match_one(database, replace(begun, child=(other, _task_of(other)))) == wait
    assert wait.child_run_id == child.id
    assert other.id not in {row.id for row in await rows(database, runs)}

    now = await database.now()
    assert not await database.write(waits.child_ended, other, now)
    assert await database.write(waits.child_ended, child, now)
    assert not await database.write(waits.child_ended, child, now)


async def test_closing_a_wait_asks_the_run_that_it_is_for_to_end(database: Database) -> None:
    worker = await register(database.queue)
    (run,) = await runs_at_work(database, worker)
    child = new_run(parent_run_id=run.ref, parent_wait=wait_id(run.ref), status=RunStatus.PENDING)
    await match_one(database, opening(run, rule="@run", child=(child, _task_of(child))))

    assert await database.write(waits.request_cancel, run.ref, await database.now())

    asked = {row.id for row in await rows(database, runs) if row.cancel_requested_at is not None}
    assert asked == {run.ref, child.id}
    assert not await database.write(waits.request_cancel, run.ref, await database.now())


async def test_the_versions_that_unfinished_runs_have_are_told_without_those_of_tests(
    database: Database,
) -> None:
    worker = await register(database.queue)
    await runs_at_work(database, worker, 3, version=2)
    await runs_at_work(database, worker, 2, version=5, status=RunStatus.WAITING)
    await runs_at_work(database, worker, version=3, status=RunStatus.FAILED)
    await runs_at_work(database, worker, version=4, is_test=True)
    await runs_at_work(database, worker, version=9, workflow_id="other")

    assert await database.read(waits.versions_in_use, "w") == [2, 5]


def _task_of(run: RunChange) -> NewTask:
    return NewTask(TaskKind.RUN, run.id, WORKFLOW)
