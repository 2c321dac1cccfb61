"""What a database says of itself and of the work there is, for metrics."""

from __future__ import annotations

import os
from datetime import timedelta

from prometheus_client.metrics_core import Metric

from kanca.domain.subscription import SubscriptionStatus
from kanca.domain.task import NewTask, TaskKind, TaskState
from kanca.queue.measuring import Measurer
from kanca.storage import measuring, subscriptions
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from tests.databases import ClockOffset
from tests.factories import new_event, new_subscription

BOX = SecretBox(["a key for tests"])


async def test_tasks_are_counted_by_kind_and_state_and_the_oldest_has_an_age(
    database: Database, clock_offset: ClockOffset
) -> None:
    await database.accepting.append([new_event() for _ in range(3)])
    later = await database.now() + timedelta(seconds=100)
    await database.queue.enqueue([NewTask(TaskKind.CALL, new_event().id, 1, due_at=later)])
    await clock_offset(60)

    found = await database.read(measuring.work)
    counts = {(each.kind, each.state): each for each in found.tasks}

    assert counts[TaskKind.DISPATCH, TaskState.READY].count == 3
    assert counts[TaskKind.CALL, TaskState.SCHEDULED].count == 1
    since = counts[TaskKind.DISPATCH, TaskState.READY].waiting_since
    assert since is not None
    assert timedelta(seconds=55) < found.now - since < timedelta(seconds=90)
    assert counts[TaskKind.CALL, TaskState.SCHEDULED].waiting_since == later


async def test_subscriptions_are_counted_by_what_becomes_of_their_deliveries(database: Database) -> None:
    for is_active, reason in ((True, "failing"), (False, None), (False, "failing"), (True, None)):
        made = new_subscription(is_active=is_active, disabled_reason=reason)
        await database.write(subscriptions.create, BOX, made)

    found = await database.read(measuring.work)

    assert found.subscriptions == {
        SubscriptionStatus.DISABLED: 1,
        SubscriptionStatus.INACTIVE: 2,
        SubscriptionStatus.ACTIVE: 1,
    }


async def test_a_database_says_how_large_it_is(database: Database) -> None:
    await database.accepting.append([new_event(body=os.urandom(100_000)) for _ in range(20)])

    found = await database.measure()

    assert found.total_bytes > 1_000_000
    assert not found.table_bytes or found.table_bytes["events"] > 1_000_000
    assert not found.table_bytes or sum(found.table_bytes.values()) == found.total_bytes
    assert (found.free_bytes is None) != (found.connections is None)
    assert found.connections is None or 0 < found.connections <= (found.connections_max or 0)


class Ticking:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def values(families: list[Metric]) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


async def test_what_is_shared_is_measured_no_more_often_than_every_few_seconds(database: Database) -> None:
    clock = Ticking()
    measurer = Measurer(database, 1_000, monotonic=clock)
    await database.queue.register("host", 1, None, 10, timedelta(seconds=30))

    before = values(await measurer.families())
    await database.accepting.append([new_event()])
    meanwhile = values(await measurer.families())
    clock.now += 5
    after = values(await measurer.families())

    assert before["webhook_tasks", "dispatch", "ready"] == 0
    assert before == meanwhile
    assert after["webhook_tasks", "dispatch", "ready"] == 1
    assert after["webhook_queue_size",] == 1
    assert after["webhook_queue_max_size",] == 1_000
    assert after["webhook_workers_alive",] == 1
    assert after["webhook_database_up",] == 1
    assert after["webhook_runs_unfinished", "waiting"] == 0


async def test_of_a_database_that_is_away_only_that_is_said(database: Database) -> None:
    await database.close()

    found = values(await Measurer(database, 1_000).families())

    assert found == {("webhook_database_up",): 0, ("webhook_queue_max_size",): 1_000}
