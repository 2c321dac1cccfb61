from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, select

from kanca import Kanca
from kanca.domain.event import StoredEvent
from kanca.domain.ids import EVENT, show_id
from kanca.domain.trace import Trace
from kanca.errors import EventIdTaken, InvalidEvent, InvalidInput
from kanca.handlers.current import Handled, handling
from kanca.settings import Settings
from kanca.storage.dialects import open_database
from kanca.storage.events import read_events
from kanca.storage.ports import Database
from kanca.storage.tables import events


@pytest.fixture
def hooks(database_url: str) -> Iterator[Kanca]:
    hooks = Kanca(Settings(database_url=database_url))
    yield hooks
    hooks.publisher.close()


async def stored(database: Database) -> list[StoredEvent]:
    def read(connection: Connection) -> list[StoredEvent]:
        return list(read_events(connection, list(connection.execute(select(events.c.id)).scalars())).values())

    return await database.read(read)


async def test_without_a_connection_an_event_is_there_at_once(database: Database, hooks: Kanca) -> None:
    identifier = await hooks.publish("order.created", {"n": 1}, tenant="acme")

    (event,) = await stored(database)
    assert show_id(EVENT, event.id) == identifier
    assert (event.endpoint, event.type, event.tenant) == (0, "order.created", "acme")
    assert json.loads(event.body)["data"] == {"n": 1}


def test_sync_code_publishes_too_from_any_thread(database_url: str, hooks: Kanca) -> None:
    identifiers = {hooks.publish_sync("order.created", number) for number in range(3)}

    async def read() -> list[StoredEvent]:
        database = await open_database(database_url)
        try:
            return await stored(database)
        finally:
            await database.close()

    assert {show_id(EVENT, event.id) for event in asyncio.run(read())} == identifiers


async def test_a_process_that_has_the_database_open_uses_it(database: Database, hooks: Kanca) -> None:
    async with hooks.publisher.through(database, hooks.settings):
        await hooks.publish("order.created", 1)
        await asyncio.to_thread(hooks.publish_sync, "order.created", 2)
        with pytest.raises(InvalidInput, match="use `await publish"):
            hooks.publish_sync("order.created", 3)

    assert len(await stored(database)) == 2


async def test_an_id_of_ones_own_names_one_event(database: Database, hooks: Kanca) -> None:
    first = await hooks.publish("order.created", {"n": 1}, event_id="order-1")

    assert await hooks.publish("order.created", {"n": 1}, event_id="order-1") == first
    with pytest.raises(EventIdTaken):
        await hooks.publish("order.created", {"n": 2}, event_id="order-1")

    assert len(await stored(database)) == 1


async def test_a_closed_catalogue_is_kept_to(database: Database, database_url: str) -> None:
    settings = Settings(database_url=database_url, event_catalogue="closed")
    hooks = Kanca(settings)
    async with hooks.publisher.through(database, settings):
        with pytest.raises(InvalidEvent):
            await hooks.publish("unheard.of", 1)

    assert await stored(database) == []


async def test_what_a_handler_publishes_belongs_to_the_event_it_handles(
    database: Database, hooks: Kanca
) -> None:
    trace = Trace("a" * 32, "b" * 16)
    with handling(Handled("c-1", lambda: 3, lambda: trace)):
        await hooks.publish("order.created", 1)
        await hooks.publish("order.created", 2, correlation_id="c-2")
    await hooks.publish("order.created", 3)

    found = {json.loads(event.body)["data"]: event for event in await stored(database)}
    assert [json.loads(found[number].request)["hops"] for number in (1, 2, 3)] == [3, 3, 0]
    assert [json.loads(found[number].request).get("traceparent") for number in (1, 2, 3)] == [
        trace.traceparent,
        trace.traceparent,
        None,
    ]
    assert [found[number].correlation_id for number in (1, 2)] == ["c-1", "c-2"]
    assert found[3].correlation_id == show_id(EVENT, found[3].id)
