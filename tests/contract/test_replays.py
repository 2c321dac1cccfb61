"""Replays go on where they stopped, and make no delivery twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from kanca.domain.event import NewEvent, StoredEvent
from kanca.domain.ids import REPLAY, show_id, time_of
from kanca.domain.status import DeliveryStatus, EventStatus, ReplayOnly, ReplayStatus
from kanca.domain.subscription import Subscription, SubscriptionConfig
from kanca.domain.task import Done, Replay, Task, TaskKind, TaskState
from kanca.errors import ReplayNotFound, ReplayOver
from kanca.outbound import replaying
from kanca.outbound.matching import Subscribers
from kanca.outbound.replaying import Chooser, Wants
from kanca.storage import dead_letters, events, replays, subscriptions
from kanca.storage.delivery_details import read_detail
from kanca.storage.new_tasks import add_tasks
from kanca.storage.ports import Database
from kanca.storage.tables import tasks
from kanca.workers.replaying import Replayer
from tests.factories import ids
from tests.sending import (
    BOX,
    a_delivery,
    a_letter,
    a_replay,
    ended,
    keys_of,
    opened,
    publish,
    queued,
    records,
    subscribe,
)

DELIVERED, DEAD, SKIPPED = DeliveryStatus.DELIVERED, DeliveryStatus.DEAD, DeliveryStatus.SKIPPED
FAILED, MISSING, ALL = ReplayOnly


def now() -> datetime:
    return datetime.now(UTC)


def lets_all_through(_subscription: Subscription, _event: StoredEvent) -> bool:
    return True


async def _subscribers(database: Database) -> Subscribers:
    return Subscribers(each.subscription for each in await database.read(subscriptions.read_all, BOX))


async def _count(database: Database, replay: Replay, wants: Wants = lets_all_through) -> int:
    return await Chooser(database, await _subscribers(database), wants).count(replay)


async def _start(database: Database, replay: Replay) -> Replay:
    await database.write(replays.create, replay, now())
    return replay


class Working:
    """Does the tasks of replays as a worker would, one after the other."""

    def __init__(self, database: Database, wants: Wants = lets_all_through) -> None:
        self._database = database
        self.wakes = 0
        self.tasks: list[Task] = []
        """That were done."""

        async def subscribers() -> Subscribers:
            return await _subscribers(database)

        self.replayer = Replayer(database, subscribers, wants, now, self._wake)

    def _wake(self) -> None:
        self.wakes += 1

    async def next(self) -> Task | None:
        """The next task of a replay, claimed."""
        rows = await queued(self._database, TaskKind.REPLAY)
        if not rows:
            return None
        row = rows[0]
        return Task(row.id, TaskKind(row.kind), row.ref, row.target, row.detail, None, 0, 0, row.fence)

    async def step(self) -> bool:
        """Do one; False when there is none."""
        task = await self.next()
        if task is None:
            return False
        completion = await self.replayer.go_on(task)
        assert isinstance(completion.disposition, Done)
        self.tasks.append(task)

        def finish(connection: Any) -> None:
            connection.execute(tasks.delete().where(tasks.c.id == task.id))
            add_tasks(connection, completion.records.tasks, now())

        await self._database.write(finish)
        return True

    async def finish(self) -> None:
        """Do them all."""
        while await self.step():
            pass


async def _stored(database: Database, replay: Replay) -> Replay:
    found = await database.read(replays.get, replay.id)
    assert found is not None
    return found


async def _history(database: Database, shop: Subscription) -> dict[str, NewEvent]:
    """An event for each way in which a delivery may have ended, or not."""
    number = shop.number
    found = {
        name: await publish(database)
        for name in ("delivered", "dead", "skipped", "missing", "pending", "dead_open")
    }
    found["undispatched"] = await publish(database, works=None)
    found["other"] = await publish(database, tenant="other")
    await ended(
        database,
        a_delivery((found["delivered"].id, number)),
        a_delivery((found["dead"].id, number), DEAD, attempts=3),
        a_letter(found["dead"], number),
        a_delivery((found["skipped"].id, number), SKIPPED, attempts=0, attempt=None),
        a_delivery((found["dead_open"].id, number), DEAD),
    )
    await opened(database, (found["pending"].id, number))
    await opened(database, (found["dead_open"].id, number))
    return found


@pytest.mark.parametrize("of_one", [True, False])
@pytest.mark.parametrize(
    ("only", "names"),
    [
        (FAILED, ["dead"]),
        (MISSING, ["skipped", "missing"]),
        (ALL, ["delivered", "dead", "skipped", "missing"]),
    ],
)
async def test_a_replay_sends_what_it_was_asked_for(
    database: Database, only: ReplayOnly, names: Sequence[str], of_one: bool
) -> None:
    shop = await subscribe(database)
    await subscribe(database, id="idle", is_active=False)
    history = await _history(database, shop)
    replay = await _start(database, a_replay(only=only, subscription=shop.number if of_one else None))
    before = {row.id for row in await queued(database)}
    expected = await _count(database, replay)

    await Working(database).finish()

    new = [row for row in await queued(database) if row.id not in before]
    assert keys_of(new) == [(history[name].id, shop.number) for name in names]
    assert {read_detail(row.detail).replay for row in new} == {show_id(REPLAY, replay.id)}
    done = await _stored(database, replay)
    assert (done.status, done.queued, expected) == (ReplayStatus.FINISHED, len(names), len(names))
    assert done.finished_at is not None
    assert await _count(database, replay) == 0


async def test_a_failed_delivery_that_is_replayed_goes_on_from_its_attempts(database: Database) -> None:
    shop = await subscribe(database)
    history = await _history(database, shop)
    key = history["dead"].id, shop.number
    await _start(database, a_replay(only=FAILED, subscription=shop.number))

    await Working(database).finish()

    [task] = [row for row in await queued(database) if row.ref == key[0]]
    assert read_detail(task.detail).attempts == 3
    assert await database.read(dead_letters.count) == 0
    assert key not in await records(database)
    assert (await database.read(events.statuses_of, [key[0]]))[key[0]] is EventStatus.PENDING


async def test_an_event_goes_on_while_what_a_replay_added_does(database: Database) -> None:
    old, new = await subscribe(database), await subscribe(database, id="new")
    event = await publish(database, works=1)
    await ended(database, a_delivery((event.id, old.number)))
    assert (await database.read(events.statuses_of, [event.id]))[event.id] is EventStatus.SUCCEEDED

    await _start(database, a_replay())
    await Working(database).finish()

    assert keys_of(await queued(database)) == [(event.id, new.number)]
    assert (await database.read(events.statuses_of, [event.id]))[event.id] is EventStatus.PENDING
    await ended(database, a_delivery((event.id, new.number)))
    assert (await database.read(events.statuses_of, [event.id]))[event.id] is EventStatus.SUCCEEDED


async def test_who_wants_an_event_now_is_asked_now(database: Database) -> None:
    await subscribe(database, id="typed", events=("order.*",))
    picky = await subscribe(database, id="picky", config=SubscriptionConfig(filter="event.data.id == 1"))
    other = await subscribe(database, id="other", tenant="b")
    fits = await publish(database, type="order.created")
    await publish(database, type="user.created", body=b'{"id":2}')
    of_b = await publish(database, type="user.created", tenant="b")
    asked: list[tuple[str, bytes]] = []

    def wants(subscription: Subscription, event: StoredEvent) -> bool:
        asked.append((subscription.id, event.body))
        return event.body == b'{"id":1}'

    typed = await subscriptions_by_id(database, "typed")
    replay = await _start(database, a_replay(only=ALL))
    assert await _count(database, replay, wants) == 3
    assert asked == [("picky", b'{"id":1}'), ("picky", b'{"id":2}')]
    only_orders = replace(replay, event_types=("order.*",))
    assert await _count(database, only_orders, wants) == 2
    assert await _count(database, replace(replay, tenant="b"), wants) == 1
    assert await _count(database, replace(replay, until=time_of(fits.id)), wants) == 0

    await Working(database, wants).finish()

    assert keys_of(await queued(database)) == [
        (fits.id, typed.number),
        (fits.id, picky.number),
        (of_b.id, other.number),
    ]


async def subscriptions_by_id(database: Database, name: str) -> Subscription:
    found = await database.read(subscriptions.get, BOX, name)
    assert found is not None
    return found


async def test_a_portion_that_is_done_again_queues_nothing_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kanca.workers.replaying.PORTION", 2)
    monkeypatch.setattr(replaying, "LOOKED_AT_ONCE", 3)
    shop = await subscribe(database)
    stored = [await publish(database) for _ in range(11)]
    replay = await _start(database, a_replay(subscription=shop.number))
    working = Working(database)
    while (task := await working.next()) is not None:
        # The worker dies before it can say that it is done, each time.
        await working.replayer.go_on(task)
        before = await _stored(database, replay)
        await working.step()
        after = await _stored(database, replay)
        assert after.queued > before.queued or after.status is ReplayStatus.FINISHED

    assert keys_of(await queued(database)) == [(event.id, shop.number) for event in stored]
    assert (await _stored(database, replay)).queued == 11


async def test_workers_that_both_believe_a_replay_to_be_theirs_queue_nothing_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kanca.workers.replaying.PORTION", 3)
    shop = await subscribe(database)
    stored = [await publish(database) for _ in range(10)]
    first = await _start(database, a_replay(subscription=shop.number))
    second = await _start(database, a_replay(only=ALL))
    working = Working(database)
    done = ReplayStatus.FINISHED
    while {(await _stored(database, each)).status for each in (first, second)} != {done}:
        rows = await queued(database, TaskKind.REPLAY)
        claimed = [Task(row.id, TaskKind.REPLAY, row.ref, row.target, None, None, 0, 0, 1) for row in rows]
        await asyncio.gather(*(working.replayer.go_on(task) for task in claimed * 2))

    assert sorted(keys_of(await queued(database))) == sorted((event.id, shop.number) for event in stored)
    assert sum([(await _stored(database, each)).queued for each in (first, second)]) == 10


async def test_a_replay_with_a_rate_spreads_its_deliveries(database: Database) -> None:
    shop = await subscribe(database)
    for _ in range(25):
        await publish(database)
    replay = await _start(database, a_replay(subscription=shop.number, rate_per_second=2.0))
    working = Working(database)

    begun_at = now()
    await working.step()

    first = await queued(database)
    assert len(first) == 10
    dues = [row.due_at for row in first]
    assert (dues[0], first[0].state) == (None, TaskState.READY)
    assert [later - earlier for earlier, later in pairwise(dues[1:])] == [timedelta(seconds=0.5)] * 8
    [following] = await queued(database, TaskKind.REPLAY)
    assert (following.state, following.due_at >= begun_at + timedelta(seconds=5)) == (
        TaskState.SCHEDULED,
        True,
    )
    await working.finish()
    assert len(await queued(database)) == (await _stored(database, replay)).queued == 25
    assert len(working.tasks) == 3


async def test_a_cancelled_replay_ends_where_it_is(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kanca.workers.replaying.PORTION", 2)
    shop = await subscribe(database)
    for _ in range(6):
        await publish(database)
    replay = await _start(database, a_replay(subscription=shop.number))
    working = Working(database)
    await working.step()
    seen = await _stored(database, replay)

    cancelled = await database.write(replays.cancel, replay.id, now())

    assert (cancelled.status, cancelled.queued) == (ReplayStatus.CANCELLED, 2)
    # A worker that had chosen its portion before.
    portion = await Chooser(database, await _subscribers(database), lets_all_through).choose(seen)
    assert await database.write(replays.advance, seen, portion, now()) == cancelled
    await working.finish()
    assert len(await queued(database)) == 2
    assert await queued(database, TaskKind.REPLAY) == []
    with pytest.raises(ReplayOver, match="cancelled"):
        await database.write(replays.cancel, replay.id, now())
    with pytest.raises(ReplayNotFound):
        await database.write(replays.cancel, ids.new(), now())


async def test_a_replay_whose_subscription_is_gone_ends(database: Database) -> None:
    shop = await subscribe(database)
    await publish(database)
    replay = await _start(database, a_replay(subscription=shop.number))
    await database.write(subscriptions.delete, "shop", now())

    await Working(database).finish()

    assert (await _stored(database, replay)).status is ReplayStatus.FINISHED
    assert await queued(database) == []


async def test_what_is_opened_after_a_portion_was_chosen_is_left_out(database: Database) -> None:
    shop = await subscribe(database)
    history = await _history(database, shop)
    replay = await _start(database, a_replay(only=ALL, subscription=shop.number))
    portion = await Chooser(database, await _subscribers(database), lets_all_through).choose(replay)
    await opened(database, (history["missing"].id, shop.number))

    after = await database.write(replays.advance, replay, portion, now())

    assert after is not None
    assert (after.queued, len(portion.keys)) == (3, 4)


async def test_replays_are_listed_newest_first(database: Database) -> None:
    stored = [
        await _start(database, a_replay(id=ids.new(), tenant=tenant, event_types=("a", "b.*")))
        for tenant in ("x", "y", "x")
    ]
    stored.sort(key=lambda each: each.id, reverse=True)
    first = await database.read(replays.page, 2)
    second = await database.read(replays.page, 2, first.next_cursor)
    assert [*first.items, *second.items] == stored
    assert second.next_cursor is None
    assert {each.tenant for each in (await database.read(replays.page, 5, None, "y")).items} == {"y"}
    assert await database.read(replays.get, ids.new()) is None
