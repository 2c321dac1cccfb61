from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, update

from kanca.domain.event import StoredEvent
from kanca.domain.status import DeliveryStatus, EventStatus
from kanca.domain.subscription import Subscription
from kanca.domain.task import DELIVERY_LANES, Completion, Park, Task, TaskKind, TaskState
from kanca.outbound import breaker
from kanca.outbound.sending import Sent
from kanca.storage import dead_letters, deliveries, subscriptions, tables, workers
from kanca.storage.ports import Capabilities, LaneAsk
from kanca.workers.capabilities import DELIVERIES
from kanca.workers.health import HealthKeeper
from tests.workers.receiving import Receivers, delivered, published, subscribe
from tests.workers.site import BOX, Site

QUICK = {"schedule": [0, 0, 0]}


async def test_an_event_goes_to_every_subscription_that_wants_it_and_to_no_other(site: Site) -> None:
    receivers = Receivers()
    first = await subscribe(site, "first", "order.created")
    second = await subscribe(site, "second", "order.*")
    await subscribe(site, "other-type", "invoice.*")
    await subscribe(site, "other-tenant", "*", tenant="acme")
    await site.start(sending=receivers.means())
    [event] = await published(site)
    found = await delivered(site, event, 2)
    assert {number: each.status for number, each in found.items()} == {
        first.number: DeliveryStatus.DELIVERED,
        second.number: DeliveryStatus.DELIVERED,
    }
    assert sorted(name for name, _ in receivers.sent) == ["first", "second"]
    assert json.loads(receivers.bodies[0])["data"] == {"id": 1}


async def test_a_filter_decides_with_what_the_event_says(site: Site) -> None:
    receivers = Receivers()
    large = await subscribe(site, "large", filter="event.data.total > 100")
    small = await subscribe(site, "small", filter="event.data.total <= 100")
    await site.start(sending=receivers.means())
    [event] = await published(site, data={"total": 150})
    assert set(await delivered(site, event)) == {large.number}
    [event] = await published(site, data={"total": 50})
    assert set(await delivered(site, event)) == {small.number}


async def test_a_filter_that_fails_makes_a_dead_letter_whose_retry_asks_it_again(site: Site) -> None:
    receivers = Receivers()
    await subscribe(site, "large", filter="event.data.total > 100")
    await site.start(sending=receivers.means())
    [event] = await published(site, data={"sum": 150})
    [delivery] = (await delivered(site, event)).values()
    assert (delivery.status, delivery.reason) == (DeliveryStatus.DEAD, "filter_failed")
    [letter] = await site.letters()
    assert (letter.code, letter.work, letter.kind) == (
        "filter_failed",
        "subscription:large",
        TaskKind.DELIVER,
    )
    assert not receivers.sent


async def test_what_fails_is_tried_again_and_every_attempt_is_kept(site: Site) -> None:
    receivers = Receivers()
    receivers.answers["shop"] = [500, 503]
    await subscribe(site, "shop", retry_config=QUICK)
    await site.start(sending=receivers.means())
    [event] = await published(site)
    [delivery] = (await delivered(site, event)).values()
    assert (delivery.status, delivery.attempts, delivery.response_status) == (
        DeliveryStatus.DELIVERED,
        3,
        200,
    )
    seen = await site.database.read(deliveries.by_key, (event, delivery.subscription))
    assert seen is not None
    failed = await site.database.read(deliveries.attempts_of, seen)
    assert [(each.attempt_number, each.code, each.work) for each in failed] == [
        (1, "receiver_error", "subscription:shop"),
        (2, "receiver_error", "subscription:shop"),
    ]
    assert json.loads(failed[0].error)["attempt"]["status"] == 500


async def test_out_of_attempts_it_is_dead_with_a_letter(site: Site) -> None:
    receivers = Receivers()
    receivers.answers["shop"] = [500] * 4
    await subscribe(site, "shop", retry_config=QUICK)
    await site.start(sending=receivers.means())
    [event] = await published(site)
    [delivery] = (await delivered(site, event)).values()
    assert (delivery.status, delivery.attempts, delivery.reason) == (DeliveryStatus.DEAD, 4, "receiver_error")
    [letter] = await site.letters()
    assert (letter.code, letter.attempts) == ("receiver_error", 4)


async def test_what_the_receiver_does_not_want_is_not_tried_again(site: Site) -> None:
    receivers = Receivers()
    receivers.answers["shop"] = [422]
    await subscribe(site, "shop", retry_config=QUICK)
    await site.start(sending=receivers.means())
    [event] = await published(site)
    [delivery] = (await delivered(site, event)).values()
    assert (delivery.status, delivery.reason) == (DeliveryStatus.DEAD, "rejected")
    assert receivers.count("shop") == 1


async def test_a_subscription_that_is_off_gets_nothing_and_it_is_written_down(site: Site) -> None:
    receivers = Receivers()
    off = await subscribe(site, "off", is_active=False)
    ill = await subscribe(site, "ill", disabled_reason="gone")
    await site.start(sending=receivers.means())
    [event] = await published(site)
    found = await delivered(site, event, 2)
    assert {number: (each.status, each.reason) for number, each in found.items()} == {
        off.number: (DeliveryStatus.SKIPPED, "subscription_inactive"),
        ill.number: (DeliveryStatus.SKIPPED, "subscription_disabled"),
    }
    assert not receivers.sent


async def test_who_is_gone_gets_nothing_more_even_before_the_subscription_can_be_disabled(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    receivers = Receivers()
    receivers.answers["shop"] = [410] * 100
    may_disable = asyncio.Event()
    disable = HealthKeeper.disable

    async def disable_late(*args: Any) -> None:
        await may_disable.wait()
        await disable(*args)

    monkeypatch.setattr(HealthKeeper, "disable", disable_late)
    await subscribe(site, "shop")
    await site.start(sending=receivers.means())
    events = await published(site, 50)

    async def all_but_one_wait() -> bool:
        parked = [task for task in await site.tasks() if task.state == TaskState.PARKED]
        return len(parked) == len(events) - 1

    await site.until(all_but_one_wait)
    may_disable.set()
    for event in events:
        await delivered(site, event)
    assert receivers.count("shop") == 1


async def test_gone_disables_the_subscription_and_what_waits_for_it_is_skipped(site: Site) -> None:
    receivers = Receivers()
    receivers.answers["shop"] = [410]
    shop = await subscribe(site, "shop")
    await site.start(sending=receivers.means())
    events = await published(site, count=20)
    ends = [(await delivered(site, event))[shop.number] for event in events]
    assert {each.status for each in ends} <= {DeliveryStatus.DEAD, DeliveryStatus.SKIPPED}
    assert [each.reason for each in ends].count("gone") == 1
    [now] = (await site.database.read(subscriptions.by_numbers, BOX, [shop.number])).values()
    assert now.subscription.disabled_reason == "gone"


async def test_deliveries_of_many_order_keys_soon_have_their_turns_at_a_receiver_that_is_merely_busy(
    site: Site,
) -> None:
    receivers = Receivers()
    await subscribe(site, "shop", fifo=True, fifo_key="event.data.key")
    await site.start(sending=receivers.means())
    events = [event for key in range(30) for event in await published(site, 2, data={"key": key})]
    for event in events:
        await delivered(site, event)
    assert receivers.count("shop") == len(events)


async def test_receivers_that_hang_do_not_hold_up_the_others(site: Site) -> None:
    receivers = Receivers()
    never = asyncio.Event()
    for number in range(30):
        receivers.answers[f"hangs{number}"] = [never] * 100
        await subscribe(site, f"hangs{number}")
    well = await subscribe(site, "well")
    await site.start(sending=receivers.means(places=20, connections=80))
    events = await published(site, count=20)
    for event in events:
        assert (await delivered(site, event))[well.number].status is DeliveryStatus.DELIVERED
    assert max(receivers.most_in_flight[f"hangs{number}"] for number in range(30)) == 1
    never.set()


async def test_no_more_attempts_are_under_way_than_the_subscription_may_have(site: Site) -> None:
    receivers = Receivers()
    await subscribe(site, "shop", max_in_flight=3)
    await site.start(sending=receivers.means())
    for event in await published(site, count=60):
        await delivered(site, event)
    assert receivers.count("shop") == 60
    assert receivers.most_in_flight["shop"] <= 3


async def test_a_receiver_that_fails_is_left_alone_and_then_gets_all_that_it_missed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "FIRST_BREAK_S", 0.2)
    receivers = Receivers()
    receivers.answers["shop"] = [503] * 7
    await subscribe(site, "shop", retry_config={"schedule": [0] * 20})
    await site.start(sending=receivers.means())
    for event in await published(site, count=40):
        assert [each.status for each in (await delivered(site, event)).values()] == [DeliveryStatus.DELIVERED]
    assert receivers.count("shop") == 47


async def test_a_receiver_that_refuses_every_first_attempt_gets_everything_nevertheless(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    class RefusesWhatIsNew(Receivers):
        async def attempt(self, subscription: Subscription, event: StoredEvent, body: bytes) -> Sent:
            is_new = event.id not in {each for _, each in self.sent}
            self.answers[subscription.id] = [503] if is_new else []
            return await super().attempt(subscription, event, body)

    monkeypatch.setattr(breaker, "FIRST_BREAK_S", 3600.0)
    monkeypatch.setattr(breaker, "LONGEST_BREAK_S", 3600.0)
    monkeypatch.setattr(breaker, "EARLY_S", 0.1)
    receivers = RefusesWhatIsNew()
    await subscribe(site, "shop", retry_config={"schedule": [0] * 20})
    await site.start(sending=receivers.means())
    for event in await published(site, count=20):
        assert [each.attempts for each in (await delivered(site, event)).values()] == [2]


async def test_in_order_each_event_waits_until_the_one_before_has_ended(site: Site) -> None:
    receivers = Receivers()
    receivers.answers["shop"] = [500, 200, 503, 500]
    await subscribe(site, "shop", fifo=True, fifo_key="event.data.order", retry_config={"schedule": [0] * 9})
    await site.start(sending=receivers.means())
    events = await published(site, count=12, data={"order": "o-1"})
    for event in events:
        await delivered(site, event)
    seen = list(dict.fromkeys(event for _, event in receivers.sent))
    assert seen == sorted(events)
    assert receivers.most_in_flight["shop"] == 1


async def test_a_receiver_that_asks_for_time_gets_it(site: Site) -> None:
    receivers = Receivers()
    receivers.answers["shop"] = [(429, {"retry-after": "3600"})]
    await subscribe(site, "shop")
    await site.start(sending=receivers.means())
    await published(site, count=3)

    async def is_put_off() -> bool:
        open_tasks = await site.tasks()
        states = sorted(task.state for task in open_tasks if task.kind == TaskKind.DELIVER)
        return states == [TaskState.SCHEDULED, TaskState.PARKED, TaskState.PARKED]

    await site.until(is_put_off)
    assert receivers.count("shop") == 1
    [due] = [task.due_at for task in await site.tasks() if task.state == TaskState.SCHEDULED]
    assert due > datetime.now(UTC) + timedelta(minutes=50)


async def test_several_workers_share_the_receivers_and_send_nothing_twice(site: Site) -> None:
    receivers = Receivers()
    for number in range(12):
        await subscribe(site, f"shop{number}")
    for _ in range(3):
        await site.start(sending=receivers.means())
    events = await published(site, count=30)
    for event in events:
        await delivered(site, event, 12)
    assert len(receivers.sent) == len(set(receivers.sent)) == 360


async def test_a_dead_letter_is_retried_and_its_filter_asked_again(site: Site) -> None:
    receivers = Receivers()
    shop = await subscribe(site, "shop", filter="event.data.total > 100")
    await site.start(sending=receivers.means())
    [event] = await published(site, data={"sum": 150})
    await delivered(site, event)
    [letter] = await site.letters()
    await site.database.write(
        subscriptions.change, BOX, "shop", lambda now: replace(now, config=replace(now.config, filter="true"))
    )
    await site.database.write(dead_letters.retry, letter.id, datetime.now(UTC))
    site.waker.wake()

    async def is_delivered() -> bool:
        found = await delivered(site, event)
        return found[shop.number].status is DeliveryStatus.DELIVERED

    await site.until(is_delivered)
    assert receivers.count("shop") == 1


async def test_an_event_is_pending_until_its_last_delivery_has_ended(site: Site) -> None:
    receivers = Receivers()
    slow = asyncio.Event()
    receivers.answers["slow"] = [slow]
    await subscribe(site, "quick")
    await subscribe(site, "slow")
    await site.start(sending=receivers.means())
    [event] = await published(site)
    await delivered(site, event, 1)
    assert await site.status(event) is EventStatus.PENDING
    slow.set()
    await delivered(site, event, 2)
    assert await site.status(event) is EventStatus.SUCCEEDED


async def test_deliveries_with_keys_of_their_own_do_not_wait_long_for_a_new_receiver(site: Site) -> None:
    """It has one attempt at once at first: the others are put off, and soon tried again."""
    receivers = Receivers()
    slow = asyncio.Event()
    receivers.answers["shop"] = [slow]
    await subscribe(site, "shop", fifo=True, fifo_key="event.id")
    await site.start(sending=receivers.means())
    events = await published(site, count=8)

    async def are_put_off() -> bool:
        states = [task.state for task in await site.tasks() if task.kind == TaskKind.DELIVER]
        return states.count(TaskState.SCHEDULED) == 7

    await site.until(are_put_off)
    due = [task.due_at for task in await site.tasks() if task.state == TaskState.SCHEDULED]
    assert max(due) < datetime.now(UTC) + timedelta(seconds=5)
    slow.set()
    for event in events:
        await delivered(site, event)


async def test_what_another_worker_took_and_parked_again_is_let_go_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lanes change hands while workers see each other a moment late."""
    queue = site.database.queue
    other = await queue.register("elsewhere", 1, None, 10, timedelta(minutes=5))
    asks = [LaneAsk(lane, 0, 10) for lane in DELIVERY_LANES]
    let_go, claim, turn = queue.unpark_some, queue.claim, asyncio.Lock()
    taken: list[int] = []

    async def is_too_late(kind: TaskKind, wanted: Mapping[int, int]) -> dict[int, int]:
        async with turn:
            moved = await let_go(kind, wanted)
            if moved and not taken:
                tasks = [task for task, _ in await claim(other, 10, DELIVERIES, asks)]
                taken.extend(task.id for task in tasks)
                await queue.finish(other, [Completion(task, Park()) for task in tasks])
                await queue.leave(other)
        return moved

    async def claim_in_turn(
        worker: int, limit: int, capabilities: Capabilities, asks: Sequence[LaneAsk]
    ) -> list[tuple[Task, int]]:
        async with turn:
            return await claim(worker, limit, capabilities, asks)

    monkeypatch.setattr(queue, "unpark_some", is_too_late)
    monkeypatch.setattr(queue, "claim", claim_in_turn)
    receivers = Receivers()
    receivers.answers["shop"] = [503]
    shop = await subscribe(site, "shop", retry_config={"schedule": [3600]})
    # Nobody else takes the subscription's lane but in that moment.
    monkeypatch.setattr(workers, "living", lambda _: [])
    await site.start(sending=receivers.means())
    await published(site, count=3)

    async def are_delivered() -> bool:
        ended = await site.database.read(
            lambda connection: connection.execute(select(tables.deliveries)).all()
        )
        return len([each for each in ended if each.subscription == shop.number]) == 2

    await site.until(are_delivered)
    assert len(taken) == 1


async def test_a_receiver_that_a_person_enables_again_is_asked_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "FIRST_BREAK_S", 3600.0)
    monkeypatch.setattr(breaker, "LONGEST_BREAK_S", 3600.0)
    receivers = Receivers()
    receivers.answers["shop"] = [503] * 5
    shop = await subscribe(site, "shop", retry_config={"schedule": [0] * 4})
    await site.start(sending=receivers.means())
    [first] = await published(site)
    await delivered(site, first)
    ends = []
    for is_active in (False, True):
        switched = partial(replace, is_active=is_active, updated_at=datetime.now(UTC))
        await site.database.write(subscriptions.change, BOX, "shop", switched)
        [event] = await published(site)
        ends.append((await delivered(site, event))[shop.number].status)
    assert ends == [DeliveryStatus.SKIPPED, DeliveryStatus.DELIVERED]


async def test_a_config_that_cannot_be_read_sends_nothing_and_is_tried_later(site: Site) -> None:
    receivers = Receivers()
    shop = await subscribe(site, "shop", filter="false")
    unreadable = update(tables.subscriptions).values(config='{"from_the_future": true}')
    await site.database.write(lambda connection: connection.execute(unreadable).close())
    await site.start(sending=receivers.means())
    [event] = await published(site)

    async def is_put_off() -> bool:
        return [task.state for task in await site.tasks() if task.kind == TaskKind.DELIVER] == [
            TaskState.SCHEDULED
        ]

    await site.until(is_put_off)
    found = await site.database.read(deliveries.by_key, (event, shop.number))
    assert found is not None
    [attempt] = await site.database.read(deliveries.attempts_of, found)
    assert (attempt.code, receivers.sent) == ("subscription_unreadable", [])
