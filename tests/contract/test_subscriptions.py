from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, update

from kanca.domain.endpoint import Secret
from kanca.domain.status import DeliveryStatus, OutcomeStatus
from kanca.domain.subscription import SignatureKind, Subscription, SubscriptionConfig
from kanca.domain.subscription_health import Health
from kanca.domain.task import Delivery, Outcome
from kanca.errors import InvalidInput, InvalidSetting, SubscriptionExists, SubscriptionNotFound
from kanca.storage import endpoints, events, subscriptions
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import deliveries, outcomes
from kanca.storage.tables import subscriptions as table
from kanca.storage.versions import read_versions
from tests.factories import new_endpoint, new_event, new_subscription

BOX = SecretBox(["a key for tests"])
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EVERYTHING: Mapping[str, Any] = {
    "id": "partner",
    "tenant": "north",
    "events": ("order.*", "*"),
    "sources": ("wh_0123456789abcdef01234567", "operational"),
    "config": SubscriptionConfig(
        filter="event.data.total > 5",
        headers={"X-Team": "shöp"},
        retry_config={"schedule": [1, 2.5]},
        signature=SignatureKind.HEX,
        signature_header="X-Sig",
        credential="shop",
        challenge=True,
    ),
    "secrets": (Secret("new"), Secret("old", NOW)),
    "is_active": False,
    "is_verified": False,
    "disabled_reason": "gone",
    "disabled_at": NOW,
}


async def created(database: Database, **values: Any) -> Subscription:
    return await database.write(subscriptions.create, BOX, new_subscription(**values))


async def found(database: Database, subscription_id: str) -> Subscription | None:
    return await database.read(subscriptions.get, BOX, subscription_id)


async def version(database: Database) -> int:
    return (await database.read(read_versions)).get("subscriptions", 0)


async def test_what_is_stored_comes_back_as_it_was(database: Database) -> None:
    made = await created(database, **EVERYTHING)
    assert made.number > 0
    assert await found(database, "partner") == made
    assert await found(database, "nobody") is None


async def test_secrets_are_not_readable_in_the_database(database: Database) -> None:
    made = await created(database, secrets=(Secret("whsec_plain"),))

    def stored(connection: Connection) -> bytes:
        return bytes(connection.execute(select(table.c.secrets)).scalar_one())

    assert b"whsec_plain" not in await database.read(stored)
    with pytest.raises(InvalidSetting):
        await database.read(subscriptions.get, SecretBox(["another key"]), made.id)


async def test_every_change_moves_the_version_that_workers_watch(database: Database) -> None:
    versions = [await version(database)]
    await created(database, id="partner")
    versions.append(await version(database))
    await database.write(subscriptions.change, BOX, "partner", lambda s: replace(s, name="Other"))
    versions.append(await version(database))
    await database.write(subscriptions.delete, "partner", NOW)
    versions.append(await version(database))
    assert versions == sorted(set(versions))


async def test_an_id_is_taken_until_its_subscription_is_deleted(database: Database) -> None:
    first = await created(database, id="partner")
    with pytest.raises(SubscriptionExists):
        await created(database, id="partner")
    assert await database.write(subscriptions.delete, "partner", NOW) == first.number
    second = await created(database, id="partner")
    assert second.number > first.number
    assert await database.read(subscriptions.ids_of, [first.number, second.number]) == {
        first.number: "partner",
        second.number: "partner",
    }


async def test_of_several_who_want_an_id_at_once_one_gets_it(database: Database) -> None:
    answers = await asyncio.gather(
        *(created(database, id="partner") for _ in range(4)), return_exceptions=True
    )
    kinds = sorted(type(answer).__name__ for answer in answers)
    assert kinds == ["Subscription", *["SubscriptionExists"] * 3]


async def test_a_deleted_one_is_found_by_number_only_without_its_secrets(database: Database) -> None:
    made = await created(database, secrets=(Secret("s"),))
    await database.write(subscriptions.delete, made.id, NOW)
    assert await found(database, made.id) is None
    assert await database.read(subscriptions.read_all, BOX) == []
    listed = (await database.read(subscriptions.by_numbers, BOX, [made.number]))[made.number]
    assert (listed.is_deleted, listed.subscription.secrets) == (True, ())
    assert not listed.subscription.is_active
    with pytest.raises(SubscriptionNotFound):
        await database.write(subscriptions.delete, made.id, NOW)
    with pytest.raises(SubscriptionNotFound):
        await database.write(subscriptions.change, BOX, made.id, lambda s: s)


async def test_number_id_and_age_stay_whatever_is_changed(database: Database) -> None:
    made = await created(database, id="partner")
    other = new_subscription(number=77, id="other", created_at=NOW, url="https://other.example/")
    changed = await database.write(subscriptions.change, BOX, "partner", lambda _: other)
    assert changed == replace(other, number=made.number, id="partner", created_at=made.created_at)
    assert await found(database, "partner") == changed


async def test_changes_at_once_lose_nothing_of_each_other(database: Database) -> None:
    await created(database, id="partner", name="")

    def longer(before: Subscription) -> Subscription:
        return replace(before, name=before.name + "x")

    await asyncio.gather(*(database.write(subscriptions.change, BOX, "partner", longer) for _ in range(8)))
    after = await found(database, "partner")
    assert after is not None
    assert after.name == "x" * 8


async def test_a_tenant_reaches_only_its_own(database: Database) -> None:
    await created(database, id="partner", tenant="north")
    with pytest.raises(SubscriptionNotFound):
        await database.write(subscriptions.change, BOX, "partner", lambda s: s, "south")
    with pytest.raises(SubscriptionNotFound):
        await database.write(subscriptions.delete, "partner", NOW, "south")
    await database.write(subscriptions.delete, "partner", NOW, "north")


async def test_they_are_listed_page_by_page_the_newest_first(database: Database) -> None:
    for name in ("a", "b", "c"):
        await created(database, id=name, tenant="north" if name == "b" else "default")
    first = await database.read(subscriptions.page, BOX, 2)
    rest = await database.read(subscriptions.page, BOX, 2, first.next_cursor)
    assert [each.subscription.id for each in first.items + rest.items] == ["c", "b", "a"]
    assert rest.next_cursor is None
    north = await database.read(subscriptions.page, BOX, tenant="north")
    assert [each.subscription.id for each in north.items] == ["b"]
    for wrong in ({"limit": 0}, {"cursor": "!"}):
        with pytest.raises(InvalidInput):
            await database.read(subscriptions.page, BOX, **wrong)


async def test_what_cannot_be_read_does_not_hide_the_others(database: Database) -> None:
    spoilt, well = await created(database, id="spoilt"), await created(database, id="well")

    def spoil(connection: Connection) -> None:
        change = update(table).where(table.c.number == spoilt.number)
        connection.execute(change.values(config='{"later": 1}', secrets=b"spoilt"))

    await database.write(spoil)
    first, second = await database.read(subscriptions.read_all, BOX)
    assert (first.subscription, first.unreadable) == (spoilt, ("config", "secrets"))
    assert (second.subscription, second.unreadable) == (well, ())


async def test_a_receiver_is_well_until_something_is_noted(database: Database) -> None:
    numbers = [(await created(database)).number for _ in range(2)]
    failing = Health(numbers[0], NOW, NOW - timedelta(hours=1), NOW, "timeout")
    await database.write(subscriptions.note_health, [failing])
    assert await database.read(subscriptions.health_of, numbers) == {
        numbers[0]: failing,
        numbers[1]: Health(numbers[1]),
    }
    mended = replace(failing, failing_since=None, last_success_at=NOW)
    await database.write(subscriptions.note_health, [mended, Health(numbers[1], last_success_at=NOW)])
    assert (await database.read(subscriptions.health_of, numbers))[numbers[0]] == mended
    await database.write(subscriptions.note_health, [])
    assert await database.read(subscriptions.health_of, []) == {}


async def test_those_that_prove_themselves_with_a_credential_are_found(database: Database) -> None:
    for name, config in (
        ("b", SubscriptionConfig(credential="shop")),
        ("a", SubscriptionConfig(credential="shop", headers={"X-Team": "shop"})),
        ("other", SubscriptionConfig(credential="shop-2", headers={"X-Team": "shop"})),
        ("gone", SubscriptionConfig(credential="shop")),
    ):
        await created(database, id=name, config=config)
    await database.write(subscriptions.delete, "gone", NOW)
    assert await database.read(subscriptions.with_credential, "shop") == ["a", "b"]
    assert await database.read(subscriptions.with_credential, "s%p") == []


async def test_a_test_event_is_stored_with_its_delivery(database: Database) -> None:
    subscription = await created(database)
    event = new_event(endpoint=0, type="test.event", body=b'{"event_type":"test.event","data":{}}')
    now = event.received_at
    delivery = Delivery(
        event.id, subscription.number, DeliveryStatus.DELIVERED, 1, None, 200, now, now, attempt=b"{}"
    )
    outcome = Outcome(event.id, "dispatch", OutcomeStatus.EXPANDED, works=1)
    await database.write(subscriptions.add_test, event, delivery, outcome)

    def numbers(connection: Connection) -> list[int | None]:
        return [connection.scalar(select(func.count()).select_from(each)) for each in (deliveries, outcomes)]

    assert await database.read(numbers) == [1, 1]
    assert (await database.read(events.statuses_of, [event.id]))[event.id] == "succeeded"


async def test_endpoints_are_found_by_id_and_by_slug(database: Database) -> None:
    orders = await database.write(endpoints.create, BOX, new_endpoint(slug="orders", tenant="north"))
    plain = await database.write(endpoints.create, BOX, new_endpoint())
    gone = await database.write(endpoints.create, BOX, new_endpoint(slug="gone"))
    await database.write(endpoints.delete, gone.webhook_id, NOW)
    asked = {"orders", orders.webhook_id, plain.webhook_id, "gone", gone.webhook_id, "nobody"}
    assert await database.read(endpoints.by_address, asked) == {
        "orders": (orders.webhook_id, "north"),
        orders.webhook_id: (orders.webhook_id, "north"),
        plain.webhook_id: (plain.webhook_id, "default"),
    }
    assert await database.read(endpoints.by_address, set()) == {}
