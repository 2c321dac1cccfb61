"""Deliveries come through, whatever goes wrong beside them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kanca.domain.status import DeliveryStatus
from kanca.domain.subscription import Subscription
from kanca.domain.task import TaskKind, TaskState
from kanca.storage import subscriptions
from kanca.workers.delivering import Deliverer
from kanca.workers.health import HealthKeeper
from kanca.workers.leaving import cancel
from tests.workers.receiving import Receivers, delivered, published, subscribe
from tests.workers.site import BOX, Site


async def change(site: Site, subscription: Subscription, **values: Any) -> None:
    """Change a subscription, as the API does."""
    await site.database.write(
        subscriptions.change,
        BOX,
        subscription.id,
        lambda now: replace(now, updated_at=datetime.now(UTC), **values),
    )


async def are_parked(site: Site, count: int) -> None:
    async def so_many() -> bool:
        found = [task for task in await site.tasks() if task.kind == TaskKind.DELIVER]
        return [task.state for task in found].count(TaskState.PARKED) == count

    await site.until(so_many)


async def test_what_is_parked_for_a_receiver_that_asked_for_a_day_goes_to_its_new_url_at_once(
    site: Site,
) -> None:
    receivers = Receivers()
    receivers.answers["shop"] = [(429, {"retry-after": "86400"})]
    shop = await subscribe(site, "shop")
    await site.start(sending=receivers.means())
    events = await published(site, count=4)
    await are_parked(site, 3)
    await change(site, shop, url="https://elsewhere.example.com/hook")

    async def are_delivered() -> bool:
        return receivers.count("shop") == 4

    await site.until(are_delivered)
    assert len({event for _, event in receivers.sent}) == len(events)


async def test_what_is_parked_for_a_receiver_that_hangs_is_skipped_when_it_is_switched_off(
    site: Site,
) -> None:
    receivers = Receivers()
    never = asyncio.Event()
    receivers.answers["shop"] = [never]
    shop = await subscribe(site, "shop")
    await site.start(sending=receivers.means())
    events = await published(site, count=4)
    await are_parked(site, 3)
    await change(site, shop, is_active=False)
    skipped = [event for event in events if event != receivers.sent[0][1]]
    for event in skipped:
        assert (await delivered(site, event))[shop.number].status is DeliveryStatus.SKIPPED
    never.set()


async def test_receivers_that_were_well_and_now_hang_leave_places_to_the_others(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kanca.workers.under_way.SLOW_AFTER_S", 0.1)
    receivers, never = Receivers(), asyncio.Event()
    names = [f"hangs{number}" for number in range(6)]
    for name in names:
        await subscribe(site, name, "before.*", "order.*")
    await subscribe(site, "well", "before.*", "after.*")
    await site.start(sending=receivers.means(places=16, connections=40))
    for event in await published(site, count=8, type="before.all"):
        await delivered(site, event, 7)
    for name in names:
        receivers.answers[name] = [never] * 100
    await published(site, count=30)

    async def hang() -> bool:
        return sum(receivers.in_flight.values()) >= 28

    await site.until(hang)
    for event in await published(site, count=5, type="after.all"):
        await delivered(site, event)
    assert sum(receivers.in_flight[name] for name in names) < 40
    never.set()


async def test_a_mistake_of_ours_costs_an_attempt_and_no_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    receivers, attempt = Receivers(), Receivers.attempt

    async def breaks_once(self: Receivers, *arguments: Any) -> Any:
        monkeypatch.setattr(Receivers, "attempt", attempt)
        raise ZeroDivisionError

    monkeypatch.setattr(Receivers, "attempt", breaks_once)
    shop = await subscribe(site, "shop", retry_config={"schedule": [0, 0]})
    await site.start(sending=receivers.means())
    [event] = await published(site)
    assert (await delivered(site, event))[shop.number].attempts == 2


async def test_even_when_it_cannot_be_recorded_the_delivery_is_not_lost(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    receivers = Receivers()

    def breaks(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(receivers, "attempt", breaks)
    monkeypatch.setattr(Deliverer, "fail", breaks)
    await subscribe(site, "shop")
    worker = await site.start(sending=receivers.means())
    await published(site)

    async def is_scheduled() -> bool:
        return [task.state for task in await site.tasks()] == [TaskState.SCHEDULED]

    await site.until(is_scheduled)
    assert worker.active == 0


async def test_an_account_that_cannot_be_kept_holds_up_no_delivery(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    receivers = Receivers()
    receivers.answers["shop"] = [410]

    async def breaks(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(HealthKeeper, "disable", breaks)
    shop = await subscribe(site, "shop")
    await site.start(sending=receivers.means())
    [event] = await published(site)
    assert (await delivered(site, event))[shop.number].reason == "gone"


async def test_a_subscription_whose_url_nobody_can_read_stops_nobody(site: Site) -> None:
    receivers = Receivers()
    await subscribe(site, "odd", url="https://[::1")
    well = await subscribe(site, "well")
    await site.start(sending=receivers.means())
    [event] = await published(site)
    found = await delivered(site, event, 2)
    assert found[well.number].status is DeliveryStatus.DELIVERED


async def test_accounts_are_kept_on_after_one_could_not_be_written(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kanca.workers.worker.FLUSH_EVERY", timedelta(milliseconds=20))
    flush, failed = HealthKeeper.flush, list[int]()

    async def fails_once(self: HealthKeeper) -> None:
        if not failed:
            failed.append(1)
            raise ZeroDivisionError
        await flush(self)

    monkeypatch.setattr(HealthKeeper, "flush", fails_once)
    receivers = Receivers()
    receivers.answers["shop"] = [500]
    shop = await subscribe(site, "shop")
    await site.start(sending=receivers.means())
    await published(site)

    async def is_noted() -> bool:
        health = await site.database.read(subscriptions.health_of, [shop.number])
        return health[shop.number].failing_since is not None

    await site.until(is_noted)


async def test_an_attempt_that_is_cancelled_has_begun_so_that_it_says_that_it_ends() -> None:
    said: list[str] = []

    async def attempt() -> None:
        try:
            said.append("begun")
            await asyncio.Event().wait()
        finally:
            said.append("ended")

    await cancel({asyncio.create_task(attempt())})
    assert said == ["begun", "ended"]
