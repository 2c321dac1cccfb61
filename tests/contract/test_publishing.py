from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, select

from kanca.domain.event import Appended, NewEvent
from kanca.domain.subscription import Subscription, SubscriptionConfig
from kanca.errors import (
    BacklogFull,
    CommitQueueFull,
    DatabaseUnavailable,
    DiskFull,
    EventIdTaken,
    InvalidEvent,
    ShuttingDown,
    Unavailable,
)
from kanca.outbound.publisher import Published, Publisher
from kanca.outbound.publishing import published_event
from kanca.storage import event_types, subscriptions
from kanca.storage.dialects import open_database
from kanca.storage.event_types import EventType
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import events, tasks
from tests.databases import ClockOffset
from tests.factories import ids

BOX = SecretBox(["a key of the tests"])
NOW = datetime.now(UTC)
LIMIT = timedelta(seconds=5)


class Wakes:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@asynccontextmanager
async def publishing(database: Database, **options: Any) -> AsyncIterator[Publisher]:
    publisher = Publisher(database, BOX, options.pop("wake", Wakes()), **options)
    try:
        yield publisher
    finally:
        await publisher.close(LIMIT)


def an_event(**fields: Any) -> NewEvent:
    asked: dict[str, Any] = {"event_type": "order.created", "payload": {"id": 1}, "by": "api"} | fields
    return published_event(ids.new(), asked.pop("now", NOW), **asked)


async def subscribe(database: Database, name: str, *wanted: str, **values: Any) -> None:
    fields: dict[str, Any] = {
        "tenant": "default", "url": "https://example.com", "sources": (), "config": SubscriptionConfig(),
        "secrets": (), "is_active": True, "is_verified": True, "disabled_reason": None, "disabled_at": None,
        "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    await database.write(
        subscriptions.create,
        BOX,
        Subscription(number=0, id=name, name=name, events=wanted, **fields | values),
    )


async def stored(database: Database) -> list[UUID]:
    def read(connection: Connection) -> list[UUID]:
        found = list(connection.scalars(select(events.c.id)))
        assert sorted(connection.scalars(select(tasks.c.ref))) == sorted(found)
        return found

    return await database.read(read)


async def test_an_event_is_on_disk_with_its_work_before_it_is_said_to_be_published(
    database: Database,
) -> None:
    wakes = Wakes()
    event = an_event(event_id="order-4711")
    async with publishing(database, wake=wakes) as publisher:
        published = await publisher.publish(event)
    assert published == Published(event.id, True, 0)
    assert await stored(database) == [event.id]
    assert wakes.count == 1


async def test_the_same_id_twice_at_once_through_two_gateways_is_one_event(
    database: Database, database_url: str
) -> None:
    other = await open_database(database_url)
    try:
        async with publishing(database) as first, publishing(other) as second:
            answers = await asyncio.gather(
                *(
                    publisher.publish(an_event(event_id=f"order-{n % 5}"))
                    for n in range(50)
                    for publisher in (first, second)
                )
            )
    finally:
        await other.close()
    assert sum(answer.is_new for answer in answers) == 5
    assert sorted({answer.id for answer in answers}) == sorted(await stored(database))


async def test_an_id_that_is_another_events_is_refused(database: Database) -> None:
    async with publishing(database) as publisher:
        first = await publisher.publish(an_event(event_id="a", payload=b'{"n":1,"m":[2]}'))
        again = await publisher.publish(an_event(event_id="a", payload=b'{ "m":[2.0], "n":1 }'))
        assert again == first._replace(is_new=False)
        for other in ({"payload": b'{"n":true,"m":[2]}'}, {"event_type": "order.deleted"}):
            with pytest.raises(EventIdTaken):
                await publisher.publish(an_event(**{"event_id": "a", "payload": b'{"n":1,"m":[2]}'} | other))
        elsewhere = await publisher.publish(an_event(event_id="a", tenant="other", payload=b"{}"))
        assert elsewhere.is_new
    assert len(await stored(database)) == 2


async def test_after_the_window_an_id_may_be_used_again(
    database: Database, clock_offset: ClockOffset
) -> None:
    async with publishing(database) as publisher:
        await publisher.publish(an_event(event_id="a"))
        await clock_offset(6 * 86_400)
        assert not (await publisher.publish(an_event(event_id="a"))).is_new
        await clock_offset(8 * 86_400)
        assert (await publisher.publish(an_event(event_id="a", payload=b"2"))).is_new


async def test_an_id_whose_event_is_gone_is_still_that_event(database: Database) -> None:
    first = an_event(event_id="a")
    async with publishing(database) as publisher:
        await publisher.publish(first)

        def retain(connection: Connection) -> None:
            connection.execute(events.delete().where(events.c.id == first.id))

        await database.write(retain)
        assert await publisher.publish(an_event(event_id="a", payload=b"2")) == Published(first.id, False, 0)


async def test_each_event_of_a_batch_is_answered_for_itself(database: Database) -> None:
    await database.write(event_types.put, EventType("strict", "", '{"type":"object"}', None, True, NOW, NOW))
    async with publishing(database) as publisher:
        answers = await publisher.publish_all(
            [
                an_event(event_id="a"),
                an_event(event_type="strict", payload=b"[]"),
                an_event(event_id="a"),
                an_event(event_id="a", payload=b"3"),
                an_event(),
            ]
        )
    first, misfit, again, taken, last = answers
    assert isinstance(first, Published)
    assert first.is_new
    assert isinstance(misfit, InvalidEvent)
    assert again == first._replace(is_new=False)
    assert isinstance(taken, EventIdTaken)
    assert isinstance(last, Published)
    assert sorted(await stored(database)) == sorted([first.id, last.id])


async def test_active_subscriptions_of_type_and_tenant_are_counted_as_they_are_now(
    database: Database,
) -> None:
    async with publishing(database) as publisher:

        async def count(**fields: Any) -> int:
            return (await publisher.publish(an_event(**fields))).subscriber_count

        assert await count() == 0
        await subscribe(database, "exact", "order.created")
        await subscribe(database, "wild", "order.*", sources=("wh_000000000000000000000001",))
        await subscribe(database, "filtered", "*", config=SubscriptionConfig(filter="false"))
        await subscribe(database, "off", "*", is_active=False)
        await subscribe(database, "unverified", "*", is_verified=False)
        await subscribe(database, "disabled", "*", disabled_reason="gone")
        await subscribe(database, "theirs", "*", tenant="other")
        assert await count() == 3
        assert await count(event_type="other") == 1
        assert await count(tenant="other") == 1
        await database.write(subscriptions.delete, "wild", NOW)
        assert await count() == 2


async def test_the_catalogue_is_as_fresh_as_the_event(database: Database) -> None:
    async with publishing(database, is_catalogue_closed=True) as publisher:
        with pytest.raises(InvalidEvent, match="no event type"):
            await publisher.publish(an_event())
        await database.write(event_types.put, EventType("order.created", "", None, None, False, NOW, NOW))
        await publisher.publish(an_event())
        await database.write(
            event_types.put, EventType("order.created", "", '{"type":"array"}', None, True, NOW, NOW)
        )
        with pytest.raises(InvalidEvent, match="carries"):
            await publisher.publish(an_event())
        await database.write(event_types.remove, "order.created")
        with pytest.raises(InvalidEvent, match="no event type"):
            await publisher.publish(an_event())


async def test_while_ingest_is_closed_nothing_is_published(database: Database) -> None:
    for code, error in (("backlog_full", BacklogFull), ("disk_full", DiskFull), ("else", Unavailable)):
        async with publishing(database, closed_for=lambda code=code: code) as publisher:
            with pytest.raises(error):
                await publisher.publish(an_event())
    assert await stored(database) == []


async def test_what_is_more_than_may_wait_is_refused_and_the_rest_is_published(database: Database) -> None:
    async with publishing(database, max_waiting=3) as publisher:
        answers = await publisher.publish_all([an_event() for _ in range(5)])
    assert [type(answer) for answer in answers] == [Published] * 3 + [CommitQueueFull] * 2
    assert len(await stored(database)) == 3


class Away:
    """A database that cannot be written to."""

    async def append(self, batch: Sequence[NewEvent]) -> list[Appended | Exception]:
        raise DatabaseUnavailable


async def test_without_a_database_nothing_is_said_to_be_published(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    wakes = Wakes()
    monkeypatch.setattr(database, "accepting", Away())
    async with publishing(database, wake=wakes) as publisher:
        with pytest.raises(DatabaseUnavailable):
            await publisher.publish(an_event())
    assert wakes.count == 0


async def test_a_closed_publisher_takes_nothing(database: Database) -> None:
    async with publishing(database) as publisher:
        pass
    with pytest.raises(ShuttingDown):
        await publisher.publish(an_event())
