from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, insert, select

from kanca.domain.event_fields import LONGEST_VALUE, read_wanted, stored_value
from kanca.domain.ids import time_of
from kanca.domain.task import Completion, EventField, Keep, Records
from kanca.storage import event_list
from kanca.storage.event_list import EventFilter
from kanca.storage.pages import read_id_cursor
from kanca.storage.ports import Database
from kanca.storage.tables import event_fields
from tests.api.rows import accept
from tests.planted import id_at
from tests.queueing import claim, register


async def index(database: Database, event_id: UUID, value: object, path: str = "data.id") -> None:
    stored = stored_value(value)
    assert stored is not None

    def write(connection: Connection) -> None:
        connection.execute(insert(event_fields), asdict(EventField(event_id, path, stored)))

    await database.write(write)


async def found(
    database: Database, text: str, limit: int = 50, wanted: EventFilter = event_list.ALL
) -> list[UUID]:
    ids: list[UUID] = []
    cursor = None
    while True:
        asked = replace(wanted, field=read_wanted(text))
        page = await database.read(event_list.page, asked, limit, cursor)
        ids += [item.event.id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return ids


async def test_events_are_found_by_a_field_newest_first_page_after_page(database: Database) -> None:
    events = [await accept(database) for _ in range(5)]
    for event in events[:4]:
        await index(database, event.id, 42)
    await index(database, events[4].id, 43)
    newest_first = [event.id for event in events[3::-1]]

    assert await found(database, "data.id:42") == newest_first
    assert await found(database, "$.data.id:42", limit=2) == newest_first
    assert await found(database, "data.other:42") == []


async def test_a_field_is_one_condition_among_others(database: Database) -> None:
    paid, shipped = await accept(database, type="paid"), await accept(database, type="shipped", tenant="acme")
    for event in (paid, shipped):
        await index(database, event.id, "C-1")
    between = time_of(shipped.id)

    assert await found(database, "data.id:C-1", wanted=EventFilter(type="paid")) == [paid.id]
    assert await found(database, "data.id:C-1", wanted=EventFilter(tenant="acme")) == [shipped.id]
    assert await found(database, "data.id:C-1", wanted=EventFilter(until=between)) == [paid.id]
    assert (
        await found(database, "data.id:C-1", wanted=EventFilter(since=between + timedelta(seconds=1))) == []
    )


async def test_a_full_page_tells_a_tenant_of_no_event_but_its_own(database: Database) -> None:
    for tenant in ("other", "acme", "acme"):
        await index(database, (await accept(database, tenant=tenant)).id, "C-1")
    asked = EventFilter(tenant="acme", field=read_wanted("data.id:C-1"))

    page = await database.read(event_list.page, asked, 2)

    own = [item.event.id for item in page.items]
    assert len(own) == 2
    assert read_id_cursor(page.next_cursor or "") in own
    rest = await database.read(event_list.page, asked, 2, page.next_cursor)
    assert (rest.items, rest.next_cursor) == ((), None)


async def test_what_is_long_or_unprintable_is_found_by_its_hash(database: Database) -> None:
    event = await accept(database)
    await index(database, event.id, "x" * (LONGEST_VALUE + 1))
    await index(database, event.id, "a\0b", path="data.name")

    assert await found(database, "data.id:" + "x" * (LONGEST_VALUE + 1)) == [event.id]
    assert await found(database, "data.id:" + "x" * LONGEST_VALUE) == []
    assert await found(database, "data.name:a\0b") == [event.id]


async def test_fields_of_an_event_of_any_day_find_their_place(database: Database) -> None:
    event = await accept(database)
    old = EventField(id_at(datetime(2026, 1, 5, tzinfo=UTC)), "data.id", "42")
    worker = await register(database.queue)
    [task] = await claim(database.queue, worker)
    again = EventField(event.id, "data.id", "43")

    for fields in ((old,), (replace(again, value="42"),), (again,)):
        kept = Completion(task, Keep(), Records(fields=fields))
        assert await database.queue.finish(worker, [kept]) == [True]

    stored = await database.read(lambda connection: connection.execute(select(event_fields)).all())
    assert {(row.event_id, row.value) for row in stored} == {(old.event_id, "42"), (event.id, "43")}
