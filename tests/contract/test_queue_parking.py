"""Parked tasks of many targets are let go some at a time: what a receiver has room for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from kanca.domain.task import (
    DELIVERY_LANES,
    Completion,
    HandBack,
    NewTask,
    Park,
    Task,
    TaskKind,
    TaskState,
    order_key_of,
)
from kanca.storage import subscriptions
from kanca.storage.ports import Database, LaneAsk, QueueStore
from kanca.workers.capabilities import DELIVERIES
from tests.outbound.samples import a_subscription
from tests.queueing import Hand, call, claim, done, new_id, register, rows, said, set_positions
from tests.workers.site import BOX

DELIVER = TaskKind.DELIVER


def delivery(target: int, key: str | None = None) -> NewTask:
    return NewTask(DELIVER, new_id(), target, order_key=None if key is None else order_key_of(key))


async def claim_deliveries(queue: QueueStore, worker: int, limit: int = 1_000) -> list[Task]:
    """Claim from all lanes of deliveries, in the order of positions."""
    asks = [LaneAsk(lane, 0, limit) for lane in DELIVERY_LANES]
    found = await queue.claim(worker, limit, DELIVERIES, asks)
    return [task for task, _ in sorted(found, key=lambda row: row[1])]


async def park(queue: QueueStore, worker: int, new: Sequence[NewTask]) -> None:
    """Add deliveries, and park them in their order."""
    await queue.enqueue(new)
    tasks = await claim_deliveries(queue, worker)
    assert len(tasks) == len(new)
    assert all(await queue.finish(worker, [said(task, Park()) for task in tasks]))


async def test_the_first_that_were_parked_are_let_go_and_no_more_than_wanted(database: Database) -> None:
    queue, worker = database.queue, await register(database.queue)
    new = [delivery(1) for _ in range(6)]
    await park(queue, worker, new)
    seen = []
    for most, moved in ((2, 2), (3, 3), (10, 1)):
        assert await queue.unpark_some(DELIVER, {1: most}) == {1: moved}
        tasks = await claim_deliveries(queue, worker)
        assert len(tasks) == moved
        seen += [task.ref for task in tasks]
    assert seen == [task.ref for task in new]
    assert await queue.unpark_some(DELIVER, {1: 10}) == {}


async def test_each_target_has_a_limit_of_its_own(database: Database) -> None:
    queue, worker = database.queue, await register(database.queue)
    await park(queue, worker, [delivery(target) for target in (1, 2, 3, 4) for _ in range(4)])
    assert await queue.unpark_some(DELIVER, {1: 1, 2: 3, 3: 9, 77: 5}) == {1: 1, 2: 3, 3: 4}
    tasks = await claim_deliveries(queue, worker)
    assert Counter(task.target for task in tasks) == {1: 1, 2: 3, 3: 4}
    assert {(task.attempt, task.crashes) for task in tasks} == {(0, 0)}
    assert await queue.unpark_some(DELIVER, {}) == {}


async def test_what_is_let_go_comes_behind_what_is_ready(database: Database) -> None:
    """Its position is that of the moment when it was let go: below a lane's floor nobody would look."""
    queue, worker, clock = database.queue, await register(database.queue), Hand()
    set_positions(database, clock)
    parked, later = delivery(1), delivery(1)
    await park(queue, worker, [parked])
    clock.seconds += 60
    await queue.enqueue([later])
    clock.seconds += 60
    await queue.unpark_some(DELIVER, {1: 1})
    assert [task.ref for task in await claim_deliveries(queue, worker)] == [later.ref, parked.ref]
    [position] = [row.position for row in await rows(database) if row.ref == parked.ref]
    assert position >= clock.now_us()


async def test_ordered_ones_wait_for_their_turn(database: Database) -> None:
    queue = database.queue
    await queue.enqueue([delivery(1, key="a"), delivery(1, key="b")])
    assert await queue.unpark_some(DELIVER, {1: 10}) == {}
    assert {row.state for row in await rows(database)} == {TaskState.PARKED}
    assert (await queue.promote(10)).moved == 2


async def test_other_kinds_with_the_same_number_stay_parked(database: Database) -> None:
    queue, worker = database.queue, await register(database.queue)
    await queue.enqueue([call(1), NewTask(TaskKind.DISPATCH, new_id(), 1)])
    await queue.finish(worker, [said(task, Park()) for task in await claim(queue, worker)])
    await park(queue, worker, [delivery(1)])
    assert await queue.unpark_some(DELIVER, {1: 10}) == {1: 1}
    parked = [row.kind for row in await rows(database) if row.state == TaskState.PARKED]
    assert sorted(parked) == [TaskKind.DISPATCH, TaskKind.CALL]
    assert await queue.unpark_some(TaskKind.CALL, {1: 10}) == {1: 1}


async def test_what_is_scheduled_ready_or_at_work_is_left_as_it_is(database: Database) -> None:
    queue, worker = database.queue, await register(database.queue)
    await queue.enqueue([delivery(1) for _ in range(2)])
    [at_work, ready] = await claim_deliveries(queue, worker)
    await queue.finish(worker, [said(ready, HandBack())])
    later = NewTask(DELIVER, new_id(), 1, due_at=await database.now())
    await queue.enqueue([later])
    assert await queue.unpark_some(DELIVER, {1: 10}) == {}
    assert await queue.finish(worker, [done(at_work)]) == [True]


async def test_two_who_let_go_at_once_let_each_go_once(database: Database) -> None:
    queue, worker = database.queue, await register(database.queue)
    await park(queue, worker, [delivery(target) for target in (1, 2) for _ in range(50)])
    moved = await asyncio.gather(*(queue.unpark_some(DELIVER, {1: 20, 2: 20}) for _ in range(4)))
    count = sum((Counter(each) for each in moved), Counter[int]())
    assert all(number <= 50 for number in count.values())
    tasks = await claim_deliveries(queue, worker)
    assert Counter(task.target for task in tasks) == count
    assert len({task.id for task in tasks}) == len(tasks)


async def test_it_is_known_whose_deliveries_are_parked(database: Database) -> None:
    queue, worker = database.queue, await register(database.queue)
    numbers = []
    for name in ("parked", "deleted", "ordered", "ready"):
        added = await database.write(subscriptions.create, BOX, a_subscription(id=name))
        numbers.append(added.number)
    parked, deleted, ordered, ready = numbers
    await park(queue, worker, [delivery(parked), delivery(parked), delivery(deleted)])
    await database.write(subscriptions.delete, "deleted", await database.now())
    await queue.enqueue([delivery(ordered, key="a"), delivery(ready)])
    assert sorted(await database.read(subscriptions.with_parked)) == [parked, deleted]
    await queue.unpark_some(DELIVER, {parked: 2})
    assert await database.read(subscriptions.with_parked) == [deleted]


async def test_what_a_worker_has_claimed_unknowingly_goes_back_apart_from_its_other_work(
    database: Database,
) -> None:
    queue, worker = database.queue, await register(database.queue)
    await queue.enqueue([call(1), *(delivery(1) for _ in range(3))])
    [other] = await claim(queue, worker)
    known, *_ = await claim_deliveries(queue, worker)
    assert await queue.put_back(worker, [known.id], deliveries=True) == 2
    assert await queue.finish(worker, [done(other), done(known)]) == [True, True]
    assert len(again := await claim_deliveries(queue, worker)) == 2
    assert {(task.crashes, task.attempt) for task in again} == {(0, 0)}
    assert await queue.put_back(worker, [], deliveries=False) == 0


async def test_a_delivery_that_is_parked_again_keeps_its_place(database: Database) -> None:
    queue, worker = database.queue, await register(database.queue)
    new = [delivery(1) for _ in range(3)]
    await park(queue, worker, new)
    await queue.unpark_some(DELIVER, {1: 3})
    first, second, third = await claim_deliveries(queue, worker)
    for task in (third, first, second):
        await queue.finish(worker, [Completion(task, Park())])
    await queue.unpark_some(DELIVER, {1: 2})
    assert [task.ref for task in await claim_deliveries(queue, worker)] == [first.ref, second.ref]
