"""Relays of tests, and what has come of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from kanca.domain.event import StoredEvent
from kanca.outbound.known_types import KnownTypes
from kanca.outbound.outbox.relaying import Relay
from kanca.outbound.outbox.rows import status
from kanca.outbound.outbox.table import outbox
from kanca.storage.dialects.foreign import open_foreign
from kanca.storage.events import read_events
from kanca.storage.ports import Database
from kanca.storage.tables import events, tasks
from tests.outbound.outbox.places import Place


@asynccontextmanager
async def relay_of(
    place: Place, own: Database, on_moved: Callable[[], None] = lambda: None, *, is_closed: bool = False
) -> AsyncIterator[Relay]:
    """A relay from the outbox of ``place`` into ``own``."""
    source = open_foreign(place.url)
    try:
        types = KnownTypes(own, is_closed=is_closed)
        yield Relay(source, own, types, on_moved, now=lambda: datetime.now(UTC))
    finally:
        await source.close()


async def move(place: Place, own: Database) -> list[StoredEvent]:
    """Move a batch; gives all events, as they were received."""
    async with relay_of(place, own) as relay:
        await relay.run_once()
    return await stored(own)


async def stored(own: Database) -> list[StoredEvent]:
    """All events, in the order of their ids; each must have one task that dispatches it."""

    def read(connection: Connection) -> list[StoredEvent]:
        ids = list(connection.execute(select(events.c.id).order_by(events.c.id)).scalars())
        assert sorted(connection.execute(select(tasks.c.ref)).scalars()) == ids
        found = read_events(connection, ids)
        return [found[identifier] for identifier in ids]

    return await own.read(read)


async def look(place: Place) -> dict[str, Any]:
    """What ``kanca outbox status`` says."""
    source = open_foreign(place.url)
    async with source.transaction() as transaction:
        found = await transaction.run(status)
    await source.close()
    return found


async def write_rows(place: Place, *rows: dict[str, Any]) -> None:
    """Write rows as somebody may who does not use Kanca's own functions."""
    source = open_foreign(place.url)
    async with source.transaction() as transaction:
        for row in rows:
            await transaction.run(lambda connection, row=row: connection.execute(insert(outbox).values(row)))
    await source.close()
