from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import timedelta

from sqlalchemy import delete

from kanca.domain.task import Completion, Done, HandBack, Park, Retry, Task, TaskKind, TaskState
from kanca.storage.dialects import open_database
from kanca.storage.ports import Database
from kanca.storage.tables import tasks
from tests.databases import ClockOffset
from tests.queueing import add_event, call, claim, dispatch, done, new_id, register, rows, said

MINUTE = timedelta(minutes=1)
RACES = 5
KEYS = 1_000


async def test_a_retry_comes_back_when_it_is_due_and_not_before(
    database: Database, clock_offset: ClockOffset
) -> None:
    queue = database.queue
    worker = await register(queue, timedelta(days=1))
    await queue.enqueue([dispatch()])
    for attempt in (1, 2, 3):
        (task,) = await claim(queue, worker)
        assert task.attempt == attempt - 1
        await queue.finish(worker, [said(task, Retry(MINUTE, attempt))])
        promoted = await queue.promote(10)
        assert promoted.moved == 0
        assert promoted.due_in is not None
        assert timedelta(seconds=50) < promoted.due_in <= MINUTE
        assert await claim(queue, worker) == []
        await clock_offset(attempt * 61)
        promoted = await queue.promote(10)
        assert (promoted.moved, promoted.due_in) == (1, None)


async def test_a_task_can_be_enqueued_for_later(database: Database, clock_offset: ClockOffset) -> None:
    worker = await register(database.queue, timedelta(days=1))
    await database.queue.enqueue([call(due_at=await database.now() + MINUTE)])
    assert (await database.queue.promote(10)).moved == 0
    await clock_offset(61)
    assert (await database.queue.promote(10)).moved == 1
    assert len(await claim(database.queue, worker)) == 1


async def test_a_promotion_moves_so_many_at_most_and_those_due_first(
    database: Database, clock_offset: ClockOffset
) -> None:
    now = await database.now()
    await database.queue.enqueue([call(number, due_at=now + number * MINUTE) for number in range(6)])
    await clock_offset(3 * 60 + 1)
    assert (await database.queue.promote(3)).moved == 3
    assert {row.target for row in await rows(database) if row.state == TaskState.READY} == {0, 1, 2}
    promoted = await database.queue.promote(3)
    assert promoted.moved == 1
    assert promoted.due_in is not None
    assert timedelta(0) < promoted.due_in <= MINUTE


async def test_with_nothing_to_promote_there_is_nothing_to_wait_for(database: Database) -> None:
    promoted = await database.queue.promote(10)
    assert (promoted.moved, promoted.is_waited, promoted.due_in) == (0, False, None)


async def test_parked_dispatches_come_back_together_when_their_endpoint_is_resumed(
    database: Database,
) -> None:
    queue = database.queue
    worker = await register(queue)
    await queue.enqueue([dispatch(1), dispatch(1), dispatch(2), call(1)])
    await queue.finish(worker, [said(task, Park()) for task in await claim(queue, worker)])
    assert (await queue.promote(10)).moved == 0
    assert await queue.unpark(TaskKind.DISPATCH, 1) == 2
    assert await queue.unpark(TaskKind.DISPATCH, 1) == 0
    claimed = await claim(queue, worker)
    assert [(task.kind, task.target, task.attempt) for task in claimed] == [(TaskKind.DISPATCH, 1, 0)] * 2


async def test_unparking_leaves_ordered_tasks_alone(database: Database) -> None:
    await database.queue.enqueue([call(1, key="a")])
    assert await database.queue.unpark(TaskKind.CALL, 1) == 0


async def test_many_parked_tasks_are_unparked_in_parts(database: Database) -> None:
    queue = database.queue
    worker = await register(queue)
    for _ in range(4):
        await queue.enqueue([dispatch(1) for _ in range(1500)])
    claimed = await claim(queue, worker, 6000)
    await queue.finish(worker, [said(task, Park()) for task in claimed])
    assert await queue.unpark(TaskKind.DISPATCH, 1) == 6000


# Order keys --------------------------------------------------------------------------------------


async def test_ordered_tasks_run_one_after_the_other_in_the_order_of_their_events(database: Database) -> None:
    queue = database.queue
    worker = await register(queue)
    refs = [new_id() for _ in range(8)]
    shuffled = [call(1, ref, key="order-1") for ref in sorted(refs)]
    random.Random(1).shuffle(shuffled)
    await queue.enqueue(shuffled)
    seen = []
    for _ in refs:
        assert (await queue.promote(10)).moved == 1
        assert (await queue.promote(10)).moved == 0
        (task,) = await claim(queue, worker)
        assert (await queue.promote(10)).moved == 0
        seen.append(task.ref)
        await queue.finish(worker, [done(task)])
    assert seen == sorted(refs)
    promoted = await queue.promote(10)
    assert (promoted.moved, promoted.is_waited) == (0, False)


async def test_other_keys_and_other_targets_do_not_wait(database: Database) -> None:
    worker = await register(database.queue)
    await database.queue.enqueue(
        [call(target, key=key) for target in (1, 2) for key in "abc" for _ in range(2)]
    )
    promoted = await database.queue.promote(100)
    assert (promoted.moved, promoted.is_waited) == (6, True)
    claimed = await claim(database.queue, worker)
    assert len({(task.target, task.order_key) for task in claimed}) == 6


async def test_a_retry_keeps_its_place_before_its_successors(
    database: Database, clock_offset: ClockOffset
) -> None:
    queue = database.queue
    worker = await register(queue, timedelta(days=1))
    first, second = sorted(new_id() for _ in range(2))
    await queue.enqueue([call(1, ref, key="k") for ref in (first, second)])
    await queue.promote(10)
    (task,) = await claim(queue, worker)
    await queue.finish(worker, [said(task, Retry(MINUTE, 1))])
    assert (await queue.promote(10)).moved == 0
    await clock_offset(61)
    assert (await queue.promote(10)).moved == 1
    (task,) = await claim(queue, worker)
    assert task.ref == first
    await queue.finish(worker, [said(task, HandBack())])
    assert (await queue.promote(10)).moved == 0
    (task,) = await claim(queue, worker)
    await queue.finish(worker, [done(task)])
    await queue.promote(10)
    assert [task.ref for task in await claim(queue, worker)] == [second]


async def test_an_ordered_task_waits_for_the_dispatch_of_every_earlier_event_of_its_endpoint(
    database: Database,
) -> None:
    """The later event is dispatched first; its task must not run before the earlier event's."""
    queue = database.queue
    worker = await register(queue)
    refs = sorted(new_id() for _ in range(2))
    for ref in refs:
        await add_event(database, ref, endpoint=7)
    await queue.enqueue([dispatch(7, ref) for ref in refs])
    earlier, later = sorted(await claim(queue, worker), key=lambda task: task.ref)

    await queue.finish(worker, [_expanded(later)])
    promoted = await queue.promote(10)
    assert (promoted.moved, promoted.is_waited) == (0, True)
    # A dispatch that is tried again, or was handed back, is still to come.
    await queue.finish(worker, [said(earlier, HandBack())])
    assert (await queue.promote(10)).moved == 0
    (earlier,) = await claim(queue, worker)
    await queue.finish(worker, [said(earlier, Retry(timedelta(0), 1))])
    assert (await queue.promote(10)).moved == 1
    (earlier,) = await claim(queue, worker)
    assert earlier.kind is TaskKind.DISPATCH
    await queue.finish(worker, [_expanded(earlier)])

    ran = []
    while (await queue.promote(10)).moved:
        (task,) = await claim(queue, worker)
        ran.append(task.ref)
        await queue.finish(worker, [done(task)])
    assert ran == refs


async def test_an_earlier_event_of_another_endpoint_holds_up_nobody(database: Database) -> None:
    queue = database.queue
    refs = sorted(new_id() for _ in range(2))
    for ref, endpoint in zip(refs, (8, 7), strict=True):
        await add_event(database, ref, endpoint)
    await queue.enqueue([dispatch(8, refs[0]), call(1, refs[1], key="k")])
    assert (await queue.promote(10)).moved == 1


async def test_an_older_task_that_comes_late_waits_for_the_one_that_runs(database: Database) -> None:
    """As when a dead letter is retried: its event is older than all that runs now."""
    queue = database.queue
    worker = await register(queue)
    older, newer, newest = sorted(new_id() for _ in range(3))
    await queue.enqueue([call(1, newer, key="k"), call(1, newest, key="k")])
    await queue.promote(10)
    (task,) = await claim(queue, worker)
    await queue.enqueue([call(1, older, key="k")])
    assert (await queue.promote(10)).moved == 0
    await queue.finish(worker, [done(task)])
    await queue.promote(10)
    assert [task.ref for task in await claim(queue, worker)] == [older]


async def test_an_ordered_task_for_later_holds_up_its_successors(
    database: Database, clock_offset: ClockOffset
) -> None:
    first, second = sorted(new_id() for _ in range(2))
    later = await database.now() + MINUTE
    await database.queue.enqueue([call(1, first, key="k", due_at=later), call(1, second, key="k")])
    assert (await database.queue.promote(10)).moved == 0
    await clock_offset(61)
    assert (await database.queue.promote(10)).moved == 1
    ready = [row.ref for row in await rows(database) if row.state == TaskState.READY]
    assert ready == [first]


async def test_thousands_of_keys_get_their_turns_part_by_part(database: Database) -> None:
    await database.queue.enqueue([call(1, key=str(number)) for number in range(2_500)])
    moved = [(await database.queue.promote(1_000)).moved for _ in range(4)]
    assert moved == [1_000, 1_000, 500, 0]


async def test_two_who_promote_at_once_never_give_one_key_two_turns(
    database: Database, database_url: str
) -> None:
    """An earlier event comes between their looks, as when a dead letter is retried: each finds another one first."""
    other = await open_database(database_url)
    keys = [str(number) for number in range(KEYS)]

    async def an_older_one_comes_and_somebody_else_looks() -> None:
        await other.queue.enqueue([call(1, older, key=key) for key in keys[-10:]])
        await other.queue.promote(KEYS)

    try:
        for _ in range(RACES):
            older, newer = sorted(new_id() for _ in range(2))
            await database.queue.enqueue([call(1, newer, key=key) for key in keys])
            looks = asyncio.create_task(database.queue.promote(KEYS))
            await an_older_one_comes_and_somebody_else_looks()
            await looks
            turns = Counter(row.order_key for row in await rows(database) if row.state == TaskState.READY)
            assert len(turns) == KEYS
            assert set(turns.values()) == {1}
            await database.write(lambda connection: connection.execute(delete(tasks)))
    finally:
        await other.close()


def _expanded(task: Task) -> Completion:
    return said(task, Done(), tasks=(call(1, task.ref, key="k"),))
