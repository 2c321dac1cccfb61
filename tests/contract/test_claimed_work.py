from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, insert, update

from kanca.domain.event import as_stored
from kanca.storage.claimed_work import (
    EndpointRow,
    HandlerRow,
    announce_handlers,
    read_endpoints,
    read_handlers,
)
from kanca.storage.events import read_events
from kanca.storage.ports import Database
from kanca.storage.tables import endpoints, workflows
from kanca.storage.versions import bump_version, read_versions
from tests.factories import endpoint_row, new_event

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def _add_endpoint(connection: Connection, /, number: int, **values: Any) -> None:
    connection.execute(insert(endpoints).values(endpoint_row(number, **values)))


def _add_workflow(connection: Connection, identifier: str, number: int, published: int | None) -> None:
    row = {"tenant": "default", "name": "", "version": 3, "created_at": MOMENT, "updated_at": MOMENT}
    connection.execute(
        insert(workflows).values(id=identifier, number=number, published_version=published, **row)
    )


async def test_events_are_read_as_they_were_stored(database: Database) -> None:
    stored = [new_event(body=b"\x00\xff", source_event_id="src", replay_of=uuid4()) for _ in range(5)]
    await database.accepting.append(stored)
    read = await database.read(read_events, [event.id for event in stored] + [uuid4()])
    assert read == {event.id: as_stored(event) for event in stored}


async def test_no_events_are_no_question(database: Database) -> None:
    assert await database.read(read_events, []) == {}


async def test_endpoints_are_read_even_when_they_are_deleted(database: Database) -> None:
    await database.write(_add_endpoint, 117, slug="orders", config='{"a": 1}')
    await database.write(_add_endpoint, 118, is_paused=True, deleted_at=MOMENT)
    assert sorted(await database.read(read_endpoints, [117, 118, 119])) == [
        EndpointRow(117, f"wh_{117:024x}", "orders", "generic", None, None, '{"a": 1}', False, None, None),
        EndpointRow(118, f"wh_{118:024x}", None, "generic", None, None, "{}", True, None, None),
    ]


@pytest.mark.parametrize(("workflow", "version"), [("published", 2), ("draft", None), ("gone", None)])
async def test_an_endpoint_comes_with_its_workflow(
    database: Database, workflow: str, version: int | None
) -> None:
    await database.write(_add_workflow, "published", 1, 2)
    await database.write(_add_workflow, "draft", 2, None)
    await database.write(_add_endpoint, 117, workflow_id=workflow, node_id="start")
    [row] = await database.read(read_endpoints, [117])
    assert (row.workflow_id, row.node_id) == (workflow, "start")
    assert row.published_version == version


async def test_announced_handlers_are_known_by_their_numbers(database: Database) -> None:
    numbers = await database.write(announce_handlers, "shop", {"a": "{1}", "b": "{2}"})
    assert set(numbers) == {"a", "b"}
    assert await database.read(read_handlers) == [
        HandlerRow(numbers["a"], "a", "{1}", False),
        HandlerRow(numbers["b"], "b", "{2}", False),
    ]


async def test_a_handler_keeps_its_number(database: Database) -> None:
    first = await database.write(announce_handlers, "shop", {"a": "{1}"})
    changed = await database.write(announce_handlers, "shop", {"a": "{2}", "b": "{}"})
    assert changed["a"] == first["a"]
    assert HandlerRow(first["a"], "a", "{2}", False) in await database.read(read_handlers)


async def test_what_an_app_no_longer_has_is_retired_until_it_comes_back(database: Database) -> None:
    first = await database.write(announce_handlers, "shop", {"a": "{}", "b": "{}"})
    await database.write(announce_handlers, "blog", {"c": "{}"})
    await database.write(announce_handlers, "shop", {"b": "{}"})
    assert {row.name: row.is_retired for row in await database.read(read_handlers)} == {
        "a": True,
        "b": False,
        "c": False,
    }
    assert await database.write(announce_handlers, "shop", {"a": "{}", "b": "{}"}) == first
    assert not any(row.is_retired for row in await database.read(read_handlers))


async def test_an_app_without_handlers_announces_none(database: Database) -> None:
    assert await database.write(announce_handlers, "shop", {}) == {}


async def test_workers_that_start_at_once_agree_on_the_numbers(database: Database) -> None:
    specs = {f"handler-{index}": "{}" for index in range(20)}
    announced = await asyncio.gather(*(database.write(announce_handlers, "shop", specs) for _ in range(4)))
    assert all(numbers == announced[0] for numbers in announced)


async def test_every_announcement_moves_the_version(database: Database) -> None:
    await database.write(announce_handlers, "shop", {"a": "{}"})
    before = await database.read(read_versions)
    await database.write(announce_handlers, "shop", {"a": "{}"})
    assert (await database.read(read_versions))["handlers"] == before["handlers"] + 1


async def test_a_version_moves_with_the_change_or_not_at_all(database: Database) -> None:
    def pause(connection: Connection, fail: bool) -> None:
        bump_version(connection, "endpoints")
        connection.execute(update(endpoints).values(is_paused=True))
        if fail:
            raise ValueError("after all, no")

    await database.write(pause, False)
    assert await database.read(read_versions) == {"endpoints": 1}
    with pytest.raises(ValueError, match="after all, no"):
        await database.write(pause, True)
    assert await database.read(read_versions) == {"endpoints": 1}
