from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kanca.errors import EventTypeNotFound, InvalidInput
from kanca.storage import event_types
from kanca.storage.event_types import EventType
from kanca.storage.ports import Database
from kanca.storage.versions import read_versions

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def a_type(name: str = "order.created", **values: Any) -> EventType:
    fields: dict[str, Any] = {
        "description": "Sipariş verildi.",
        "schema": '{"type":"object"}',
        "example": '{"n":1e999}',
        "is_enforced": True,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return EventType(name=name, **fields | values)


async def version(database: Database) -> int:
    return (await database.read(read_versions)).get("event_types", 0)


async def test_a_type_is_read_as_it_was_stored(database: Database) -> None:
    assert await database.write(event_types.put, a_type()) == (a_type(), True)
    assert await database.read(event_types.get, "order.created") == a_type()
    assert await database.read(event_types.read_all) == [a_type()]


async def test_one_of_the_same_name_takes_its_place_and_keeps_its_age(database: Database) -> None:
    await database.write(event_types.put, a_type())
    other = a_type(schema=None, example=None, is_enforced=False, created_at=LATER, updated_at=LATER)
    stored, is_new = await database.write(event_types.put, other)
    assert (stored, is_new) == (replace(other, created_at=NOW), False)


async def test_each_change_moves_the_version_and_no_failure_does(database: Database) -> None:
    seen = [await version(database)]
    for change in (
        (event_types.put, a_type()),
        (event_types.put, a_type()),
        (event_types.remove, "order.created"),
    ):
        await database.write(*change)
        seen.append(await version(database))
    assert seen == sorted(set(seen))
    with pytest.raises(EventTypeNotFound):
        await database.write(event_types.remove, "order.created")
    assert await version(database) == seen[-1]
    with pytest.raises(EventTypeNotFound):
        await database.read(event_types.get, "order.created")


async def test_they_are_listed_by_name_page_by_page(database: Database) -> None:
    for name in ("c", "a", "b"):
        await database.write(event_types.put, a_type(name))
    first = await database.read(event_types.page, 2)
    rest = await database.read(event_types.page, 2, first.next_cursor)
    assert [found.name for found in first.items + rest.items] == ["a", "b", "c"]
    assert rest.next_cursor is None
    with pytest.raises(InvalidInput):
        await database.read(event_types.page, 0)


async def test_many_who_store_the_same_name_at_once_leave_one(database: Database) -> None:
    done = await asyncio.gather(*(database.write(event_types.put, a_type()) for _ in range(6)))
    assert sorted(is_new for _, is_new in done) == [False] * 5 + [True]
    assert len(await database.read(event_types.read_all)) == 1
