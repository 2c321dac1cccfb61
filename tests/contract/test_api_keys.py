from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from kanca.api.key_book import REFRESH, USES_EVERY, KeyBook
from kanca.domain.api_key import ApiKey, Role, digest_of, hint_of, new_key
from kanca.domain.ids import IdFactory
from kanca.errors import ApiKeyNotFound, DatabaseUnavailable, InvalidInput
from kanca.storage import api_keys
from kanca.storage.ports import Database
from kanca.storage.tables import api_keys as keys_table

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
ids = IdFactory()


async def stored(database: Database, **values: Any) -> tuple[ApiKey, str]:
    """A key that is in the database, and its text."""
    text = new_key()
    fields: dict[str, Any] = {
        "id": ids.new(),
        "name": "shop",
        "hint": hint_of(text),
        "role": Role.OPERATOR,
        "tenant": None,
        "created_at": NOW,
        "created_by": "local",
    }
    key = ApiKey(**fields | values)
    await database.write(api_keys.create, key, digest_of(text))
    return key, text


async def test_a_key_is_read_as_it_was_stored_and_its_text_is_nowhere(database: Database) -> None:
    key, text = await stored(database, tenant="acme", expires_at=NOW + timedelta(days=1))

    def rows(connection: Connection) -> str:
        return str(connection.execute(select(keys_table)).all())

    assert await database.read(api_keys.get, key.id) == key
    assert text not in await database.read(rows)


async def test_another_tenant_s_key_is_not_there(database: Database) -> None:
    key, _ = await stored(database, tenant="acme")
    for tenant in ("other",):
        with pytest.raises(ApiKeyNotFound):
            await database.read(api_keys.get, key.id, tenant)
        with pytest.raises(ApiKeyNotFound):
            await database.write(api_keys.change, key.id, {"name": "mine"}, tenant)
        with pytest.raises(ApiKeyNotFound):
            await database.write(api_keys.revoke, key.id, NOW, tenant)
    assert await database.read(api_keys.get, key.id, "acme") == key


async def test_keys_are_listed_newest_first_page_by_page(database: Database) -> None:
    keys = [(await stored(database, tenant=tenant))[0] for tenant in ("acme", None, "acme")]

    first = await database.read(api_keys.page, 2)
    second = await database.read(api_keys.page, 2, first.next_cursor)
    of_acme = await database.read(api_keys.page, 50, None, "acme")

    assert [*first.items, *second.items] == keys[::-1]
    assert second.next_cursor is None
    assert list(of_acme.items) == [keys[2], keys[0]]
    with pytest.raises(InvalidInput):
        await database.read(api_keys.page, 2, "%")


async def test_a_key_gets_another_name_and_end_and_is_revoked_once(database: Database) -> None:
    key, _ = await stored(database)

    changed = await database.write(api_keys.change, key.id, {"name": "blue", "expires_at": NOW})
    unchanged = await database.write(api_keys.change, key.id, {})
    revoked = await database.write(api_keys.revoke, key.id, NOW)
    again = await database.write(api_keys.revoke, key.id, NOW + timedelta(hours=1))

    assert (changed.name, changed.expires_at, unchanged) == ("blue", NOW, changed)
    assert revoked.revoked_at == again.revoked_at == NOW
    assert await database.read(api_keys.get, key.id) == revoked


async def test_a_gateway_knows_what_another_one_has_changed_once_it_looks(database: Database) -> None:
    book = KeyBook(database)
    key, text = await stored(database)
    await book.run_once()
    assert (book.find(text), book.by_id(key.id)) == (key, key)
    assert book.find(new_key()) is None

    revoked = await database.write(api_keys.revoke, key.id, NOW)

    assert book.find(text) == key
    await book.run_once()
    assert (book.find(text), book.by_id(key.id)) == (revoked, revoked)


async def test_a_use_is_written_down_later_and_at_most_once_a_minute(database: Database) -> None:
    key, _ = await stored(database)
    book, other = KeyBook(database), KeyBook(database)

    async def last_use() -> datetime | None:
        return (await database.read(api_keys.get, key.id)).last_used_at

    book.note_use(key.id, NOW)
    assert await last_use() is None
    await book.run_once()
    assert await last_use() == NOW

    book.note_use(key.id, NOW + USES_EVERY / 2)
    await book.run_once()
    assert await last_use() == NOW

    other.note_use(key.id, NOW + 2 * USES_EVERY)
    await other.run_once()
    book.note_use(key.id, NOW + USES_EVERY)
    await book.run_once()
    assert await last_use() == NOW + 2 * USES_EVERY


class Away:
    """A database that cannot be reached."""

    def __init__(self) -> None:
        self.asked = 0

    async def read(self, *_: object) -> None:
        self.asked += 1
        raise DatabaseUnavailable

    write = read


async def test_while_the_database_is_away_what_is_known_is_used_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, text = await stored(database)
    book = KeyBook(database)
    await book.run_once()
    book.note_use(key.id, NOW)
    away = Away()
    with monkeypatch.context() as patch:
        patch.setattr(book, "_database", away)
        assert await book.run_once() == REFRESH
        patch.setattr(book, "refresh", book._write_uses)  # noqa: SLF001 - as if it went away between the two
        assert await book.run_once() == REFRESH

    assert (away.asked, book.find(text)) == (2, key)
    await book.run_once()
    assert (await database.read(api_keys.get, key.id)).last_used_at == NOW
