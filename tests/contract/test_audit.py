from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

from kanca.domain.audit import Actor, ActorKind, AuditEntry
from kanca.domain.ids import id_at
from kanca.queue.cleaner import Cleaner
from kanca.storage import audit
from kanca.storage.audit import AuditFilter
from kanca.storage.dialects.schema import has_schemas
from kanca.storage.ports import Database
from kanca.storage.tables import audit as table
from tests.factories import ids

KEY = Actor(ActorKind.API_KEY, "key_1", "deploy")
DAY = timedelta(days=1)


def _entry(**values: Any) -> AuditEntry:
    entry = AuditEntry(
        id=ids.new(),
        at=datetime.now(UTC),
        actor=KEY,
        action="endpoint.changed",
        subject_kind="endpoint",
        subject_id="wh_1",
        tenant="default",
        address="192.0.2.1",
        request_id="r-1",
        before={"name": "a\0\ud800"},
        after={"name": "b"},
        detail={"count": 1},
    )
    return replace(entry, **values)


def _old(days: int) -> AuditEntry:
    at = datetime.now(UTC) - days * DAY
    return _entry(id=id_at(at), at=at)


async def _add(database: Database, *entries: AuditEntry) -> None:
    for entry in entries:
        await database.write(audit.add, entry)


async def _listed(database: Database, **wanted: Any) -> list[AuditEntry]:
    return list((await database.read(audit.page, AuditFilter(**wanted))).items)


async def test_an_entry_is_given_back_as_it_was_added(database: Database) -> None:
    entry, bare = (
        _entry(),
        _entry(
            actor=Actor(ActorKind.LOOPBACK), subject_id=None, tenant=None, before=None, after=None, detail={}
        ),
    )
    await _add(database, entry, bare)

    assert await database.read(audit.get, entry.id) == entry
    assert await database.read(audit.get, bare.id) == bare
    assert await database.read(audit.get, ids.new()) is None


async def test_entries_are_listed_newest_first_page_by_page(database: Database) -> None:
    entries = [_entry() for _ in range(5)]
    await _add(database, *entries)
    first = await database.read(audit.page, limit=3)
    second = await database.read(audit.page, limit=3, cursor=first.next_cursor)

    assert [*first.items, *second.items] == entries[::-1]
    assert second.next_cursor is None


async def test_entries_are_found_by_what_they_say(database: Database) -> None:
    ours = _entry()
    tenants = _entry(actor=Actor(ActorKind.TENANT, "acme"), action="subscription.created", tenant="acme")
    runs = _entry(action="endpointed", subject_kind="run", subject_id="run_1", at=datetime.now(UTC) + DAY)
    await _add(database, ours, tenants, runs)

    assert await _listed(database, actor="deploy") == [runs, ours]
    assert await _listed(database, actor="acme") == await _listed(database, actor="tenant") == [tenants]
    assert (
        await _listed(database, action="endpoint.*")
        == await _listed(database, action="endpoint.changed")
        == [ours]
    )
    assert await _listed(database, action="endpoint_.*") == []
    assert await _listed(database, subject="run_1") == await _listed(database, subject="run") == [runs]
    assert await _listed(database, tenant="acme") == [tenants]
    assert await _listed(database, since=datetime.now(UTC) + DAY / 2) == [runs]
    assert await _listed(database, until=ours.at) == []
    assert await _listed(database, until=ours.at + timedelta(microseconds=1), tenant="default") == [ours]


async def test_an_entry_goes_with_the_transaction_that_it_tells_of(database: Database) -> None:
    def fail(connection: Connection) -> None:
        audit.add(connection, _entry())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.write(fail)

    assert await _listed(database) == []


async def test_no_entry_is_changed_and_no_young_one_is_deleted(database: Database) -> None:
    entry, old = _entry(), _old(31)
    await _add(database, entry, _old(29), old)

    def wipe(connection: Connection) -> None:
        connection.execute(text("TRUNCATE kanca.audit"))

    def change(connection: Connection) -> None:
        connection.execute(update(table).values(actor_id="somebody else"))

    def forget(connection: Connection) -> None:
        connection.execute(delete(table))

    attempts = [change, forget]
    if await database.read(lambda connection: has_schemas(connection.dialect)):
        attempts.append(wipe)
    for attempt in attempts:
        with pytest.raises(DBAPIError, match="only added to"):
            await database.write(attempt)
    await database.write(
        lambda connection: connection.execute(delete(table).where(table.c.id == old.id)).rowcount
    )

    assert [each.actor for each in await _listed(database)] == [KEY, KEY]


async def test_the_cleaner_removes_what_is_older_than_its_retention_and_nothing_else(
    database: Database,
) -> None:
    kept = [_old(89), _entry()]
    await _add(database, _old(91), _old(400), *kept)
    cleaner = Cleaner(database, retention=30 * DAY, audit_retention=90 * DAY)

    await cleaner.run_once()

    assert await _count(database) == len(kept)
    assert {entry.id for entry in await _listed(database)} == {entry.id for entry in kept}


async def test_old_entries_go_a_few_at_a_time(database: Database) -> None:
    await _add(database, *(_old(days) for days in (400, 401, 402)))

    removed = [await database.write(audit.remove_before, datetime.now(UTC) - 365 * DAY, 2) for _ in range(3)]

    assert removed == [2, 1, 0]


async def _count(database: Database) -> int:
    counted = await database.read(
        lambda connection: connection.scalar(select(func.count()).select_from(table))
    )
    return int(counted or 0)
