"""Who gets an event, and what is written down of those who do not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from kanca.domain.event import StoredEvent
from kanca.domain.status import DeliveryStatus
from kanca.domain.subscription import Subscription
from kanca.domain.task import TaskKind, TaskState
from kanca.errors import ExpressionFailed
from kanca.expressions.filtering import Filter
from kanca.workers import fan_out
from kanca.workers.fan_out import FannedOut, FanOut
from tests.outbound.samples import NOW, a_subscription, an_event
from tests.queueing import new_id


def a_fan_out() -> FanOut:
    return FanOut(lambda: NOW, new_id)


def subscribed(*configs: dict[str, Any]) -> list[Subscription]:
    return [
        a_subscription(number=number, id=f"sub{number}", config=config)
        for number, config in enumerate(configs, start=1)
    ]


async def fanned(*configs: dict[str, Any], data: object = None) -> FannedOut:
    return await a_fan_out().of(an_event(data=data or {"total": 150}), subscribed(*configs))


async def test_each_gets_a_delivery_of_the_event() -> None:
    event = an_event()
    found = await a_fan_out().of(event, subscribed({}, {}))
    assert [(task.kind, task.ref, task.target, task.state) for task in found.tasks] == [
        (TaskKind.DELIVER, event.id, 1, TaskState.READY),
        (TaskKind.DELIVER, event.id, 2, TaskState.READY),
    ]
    assert (found.works, found.deliveries, found.letters) == (2, [], [])


async def test_a_filter_leaves_out_those_who_do_not_want_it_and_nothing_is_written_of_them() -> None:
    found = await fanned({"filter": "event.data.total > 100"}, {"filter": "event.data.total <= 100"}, {})
    assert [task.target for task in found.tasks] == [1, 3]
    assert found.works == 2


async def test_each_filter_is_asked_once_whoever_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    made: list[str] = []

    class Counted(Filter):
        def __init__(self, source: str) -> None:
            made.append(source)
            super().__init__(source)

        def lets_through(self, event: StoredEvent) -> bool:
            asked.append(1)
            return super().lets_through(event)

    monkeypatch.setattr(fan_out, "Filter", Counted)
    fan = a_fan_out()
    for _ in range(3):
        await fan.of(an_event(data={"total": 1}), subscribed(*[{"filter": "event.data.total > 0"}] * 50))
    assert (len(asked), len(made)) == (3, 1)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"is_active": False}, "subscription_inactive"),
        ({"disabled_reason": "gone", "disabled_at": NOW}, "subscription_disabled"),
        ({"is_verified": False}, "subscription_unverified"),
    ],
)
async def test_one_that_is_off_gets_none_and_it_is_written_down(values: dict[str, Any], reason: str) -> None:
    event = an_event()
    found = await a_fan_out().of(event, [a_subscription(**values)])
    [delivery] = found.deliveries
    assert (delivery.event_id, delivery.subscription) == (event.id, 7)
    assert (delivery.status, delivery.reason, delivery.attempts) == (DeliveryStatus.SKIPPED, reason, 0)
    assert (found.tasks, found.works) == ([], 1)


async def test_one_that_is_off_and_would_not_want_it_is_not_written_down() -> None:
    off = a_subscription(is_active=False, config={"filter": "false"})
    assert (await a_fan_out().of(an_event(), [off])).works == 0


async def test_a_filter_that_fails_is_a_dead_letter_that_asks_it_again_and_the_others_get_theirs() -> None:
    event = an_event(data={"sum": 1}, tenant="acme")
    found = await a_fan_out().of(event, subscribed({"filter": "event.data.total > 100"}, {}))
    assert [task.target for task in found.tasks] == [2]
    [delivery], [letter] = found.deliveries, found.letters
    assert (delivery.status, delivery.reason, delivery.attempts) == (DeliveryStatus.DEAD, "filter_failed", 0)
    assert (letter.kind, letter.ref, letter.target) == (TaskKind.DELIVER, event.id, 1)
    assert (letter.work, letter.tenant, letter.body) == ("subscription:sub1", "acme", event.body)
    assert json.loads(letter.detail or b"{}") == {"is_unsure": True}
    assert json.loads(letter.error)["code"] == "filter_failed"


async def test_however_many_filters_fail_the_body_is_not_copied_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More than a gigabyte at once is more than PostgreSQL takes: the worker would try again for ever."""
    monkeypatch.setattr(fan_out, "COPIES_BYTES", 10_000)
    event = an_event(data={"text": "x" * 3_900})
    found = await a_fan_out().of(event, subscribed(*[{"filter": "event.data.total > 1"}] * 50))
    assert [letter.body for letter in found.letters] == [event.body] * 2 + [b""] * 48


async def test_an_order_key_that_fails_is_a_dead_letter_whose_filter_was_asked() -> None:
    found = await fanned({"fifo": True, "fifo_key": "event.data.none"})
    assert [delivery.reason for delivery in found.deliveries] == ["fifo_key_failed"]
    assert [(letter.code, letter.detail) for letter in found.letters] == [("fifo_key_failed", None)]
    assert not found.tasks


async def test_deliveries_in_order_have_keys_by_what_the_event_says() -> None:
    by_order = {"fifo": True, "fifo_key": "event.data.order"}
    fan, [shop, other] = a_fan_out(), subscribed(by_order, by_order)

    def key_of(order: str, subscription: Subscription = shop) -> int | None:
        return fan.task(an_event(data={"order": order}), subscription).order_key

    assert key_of("a") == key_of("a") is not None
    assert len({key_of("a"), key_of("b"), key_of("a", other)}) == 3
    [one_for_all] = subscribed({"fifo": True})
    keys = {fan.task(an_event(data={"order": order}), one_for_all).order_key for order in "ab"}
    assert len(keys) == 1
    assert keys != {None}
    assert fan.task(an_event(), subscribed({})[0]).order_key is None


async def test_whether_one_wants_an_event_can_be_asked_later() -> None:
    fan, [large] = a_fan_out(), subscribed({"filter": "event.data.total > 100"})
    assert fan.wants(large, an_event(data={"total": 101}))
    assert not fan.wants(large, an_event(data={"total": 100}))
    assert fan.wants(subscribed({})[0], an_event())
    with pytest.raises(ExpressionFailed):
        fan.wants(large, an_event(data={"sum": 1}))


async def test_many_filters_do_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "BREATHE_AFTER", 10)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    found = await fanned(*({"filter": f"event.data.total > {number}"} for number in range(100)))
    beside.cancel()
    assert len(found.tasks) == 100
    assert turns >= 9


async def test_only_so_many_filters_are_kept_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "MOST_COMPILED", 5)
    fan = a_fan_out()
    several = subscribed(*({"filter": f"event.data.total > {number}"} for number in range(23)))
    found = await fan.of(an_event(data={"total": 20}), several)
    assert [task.target for task in found.tasks] == list(range(1, 21))
    assert len(fan._conditions) <= 5  # noqa: SLF001 - what is held in memory shows nowhere else


async def test_ten_thousand_subscriptions_are_one_pass() -> None:
    several = [a_subscription(number=number, id=f"sub{number}") for number in range(10_000)]
    found = await a_fan_out().of(an_event(), several)
    assert found.works == len({task.target for task in found.tasks}) == 10_000
