"""The feed has every stored event once, and whoever reads it as far as it is settled misses none."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, text

from kanca.domain.event import Accepted, NewEvent
from kanca.domain.ids import id_at
from kanca.storage import events, feed
from kanca.storage.dialects import open_database
from kanca.storage.feed import LARGEST_BODY_BYTES, FeedPart
from kanca.storage.ports import Database, Horizon
from tests.factories import ids, new_event

WRITERS = 8
ROUNDS = 8


class RolledBack(Exception):
    """A writer changed its mind."""


@pytest.fixture
async def horizon(database: Database) -> Horizon:
    return database.horizon()


@pytest.fixture
async def others(database_url: str) -> AsyncIterator[list[Database]]:
    """The same database as two other processes see it."""
    async with AsyncExitStack() as opened:
        found = [await open_database(database_url) for _ in range(2)]
        for each in found:
            opened.push_async_callback(each.close)
        yield found


async def store(database: Database, *batch: NewEvent) -> None:
    assert await database.accepting.append(batch) == [Accepted()] * len(batch)


async def whole(database: Database, horizon: Horizon, after: int = 0, limit: int = 100) -> FeedPart:
    """The feed behind a number, once nobody is writing."""
    reach = await horizon.reach()
    assert reach.settled == reach.newest
    return await database.read(feed.read, after, reach.settled, limit)


def shown(part: FeedPart) -> list[UUID]:
    return [each.event.id for each in part.events]


def slowly(connection: Connection, batch: list[NewEvent], statements: int, *, is_kept: bool) -> None:
    """Store events one by one in a transaction that takes its time."""
    for event in batch:
        events.add(connection, event)
        for _ in range(statements):
            connection.execute(text("SELECT 1"))
    if not is_kept:
        raise RolledBack


async def test_what_slow_writers_commit_in_any_order_is_read_once_by_whoever_reads_on(
    database: Database, others: list[Database]
) -> None:
    chance = random.Random(7)
    committed: set[UUID] = set()

    async def write(own: Database) -> None:
        for _ in range(ROUNDS):
            batch = [new_event() for _ in range(chance.randrange(1, 4))]
            chance.shuffle(batch)  # ids of several gateways are in no order
            if chance.random() < 0.4:
                await store(own, *batch)
            else:
                is_kept = chance.random() < 0.8
                try:
                    await own.write(slowly, batch, chance.randrange(60), is_kept=is_kept)
                except RolledBack:
                    continue
            committed.update(event.id for event in batch)

    async def read_on() -> list[UUID]:
        """Read while it is written, now and then as another process that knows nothing but the last number."""
        seen: list[UUID] = []
        horizon, after, is_last = database.horizon(), 0, False
        while True:
            reach = await horizon.reach()
            part = await database.read(feed.read, after, reach.settled, 50)
            seen += shown(part)
            after = part.through
            if is_last and after == reach.newest:
                return seen
            is_last = all(writer.done() for writer in writers)
            if chance.random() < 0.2:
                horizon = chance.choice([database, *others]).horizon()

    writers = [asyncio.create_task(write(others[number % 2])) for number in range(WRITERS)]
    readers = [asyncio.create_task(read_on()) for _ in range(3)]
    await asyncio.gather(*writers)
    for seen in await asyncio.gather(*readers):
        assert len(seen) == len(set(seen)) == len(committed)
        assert set(seen) == committed


async def test_a_batch_is_in_the_order_in_which_it_was_made(database: Database, horizon: Horizon) -> None:
    batch = [new_event() for _ in range(5)]
    await store(database, *batch)
    assert shown(await whole(database, horizon)) == [event.id for event in batch]


async def test_a_duplicate_is_not_an_arrival(database: Database, horizon: Horizon) -> None:
    event = new_event(dedupe_key=ids.new())
    await store(database, event)
    again = new_event(dedupe_key=event.dedupe_key)
    await database.accepting.append([again])
    assert shown(await whole(database, horizon)) == [event.id]


async def test_a_part_ends_where_the_next_goes_on(database: Database, horizon: Horizon) -> None:
    batch = [new_event() for _ in range(5)]
    await store(database, *batch)
    first = await whole(database, horizon, limit=3)
    rest = await whole(database, horizon, after=first.through, limit=3)
    assert shown(first) + shown(rest) == [event.id for event in batch]
    assert shown(await whole(database, horizon, after=rest.through)) == []


async def test_a_large_body_is_left_where_it_is(database: Database, horizon: Horizon) -> None:
    small, large = (
        new_event(body=b"a" * LARGEST_BODY_BYTES),
        new_event(body=b"b" * (LARGEST_BODY_BYTES + 1)),
    )
    await store(database, small, large)
    first, second = (await whole(database, horizon)).events
    assert (first.event.body, first.is_whole) == (small.body, True)
    assert (second.event.body, second.body_bytes, second.is_whole) == (b"", len(large.body), False)


async def test_an_event_is_found_by_its_id_though_ids_are_not_in_order(
    database: Database, horizon: Horizon
) -> None:
    now = datetime.now(UTC)
    moments = [now - timedelta(seconds=age) for age in (400, 399, 30, 90, 2, 60, 1)]
    made = [new_event(id=id_at(moment)) for moment in moments]
    for event in made:
        await store(database, event)
    newest = (await horizon.reach()).newest
    for event, following in zip(made, [*made[1:], None], strict=True):
        number = await database.read(feed.before_event, event.id, newest)
        assert number is not None
        assert shown(await whole(database, horizon, number))[:1] == ([following.id] if following else [])
    assert await database.read(feed.before_event, ids.new(), newest) is None


async def test_the_place_of_a_moment_is_found_by_halving(database: Database, horizon: Horizon) -> None:
    now = datetime.now(UTC)
    made = [new_event(id=id_at(now - timedelta(minutes=minutes))) for minutes in range(20, 0, -1)]
    await store(database, *made)
    newest = (await horizon.reach()).newest
    for minutes in range(21):
        bound = id_at(now - timedelta(minutes=minutes))
        place = await database.read(feed.before_id, bound, newest)
        assert shown(await whole(database, horizon, place)) == [each.id for each in made if each.id >= bound]


async def test_an_empty_feed_has_a_beginning(database: Database, horizon: Horizon) -> None:
    assert await database.read(feed.before_id, id_at(datetime.now(UTC)), 0) == 0
    assert await database.read(feed.first_kept) is None
    assert shown(await whole(database, horizon)) == []


async def test_the_feed_ends_with_its_events_and_goes_on_counting(
    database: Database, horizon: Horizon
) -> None:
    now = datetime.now(UTC)
    await database.prepare_storage()
    old = new_event(id=id_at(now - timedelta(hours=3)))
    await store(database, old)
    before = await horizon.reach()
    await database.drop_expired(now - timedelta(hours=1))
    assert await database.read(feed.first_kept) is None
    assert (await horizon.reach()).newest == before.newest
    young = new_event()
    await store(database, young)
    assert shown(await whole(database, horizon, before.newest)) == [young.id]
    assert await database.read(feed.first_kept) == before.newest + 1
