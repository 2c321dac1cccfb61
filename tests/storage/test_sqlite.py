"""What only a file has: pragmas, threads, other processes that hold it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kanca.domain.event import Accepted
from kanca.errors import DatabaseUnavailable
from kanca.storage import event_list
from kanca.storage.dialects import open_database
from kanca.storage.dialects.sqlite import engine as engine_module
from kanca.storage.dialects.sqlite.database import SqliteDatabase
from tests.factories import new_event


@pytest.fixture
async def database(sqlite_url: str) -> AsyncIterator[SqliteDatabase]:
    database = await open_database(sqlite_url)
    assert isinstance(database, SqliteDatabase)
    yield database
    await database.close()


async def test_the_file_is_kept_safe_and_fast(database: SqliteDatabase) -> None:
    def pragmas(connection: sqlite3.Connection) -> dict[str, object]:
        names = ("journal_mode", "synchronous", "page_size", "auto_vacuum", "foreign_keys")
        return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names}

    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "page_size": 8192,
        "auto_vacuum": 2,
        "foreign_keys": 1,
    }
    assert await database.engine.run_write(pragmas) == expected
    assert await database.engine.run_read(pragmas) == expected


def modes_of(url: str) -> dict[str, int]:
    """The modes of the database's file and of those beside it, by what their names add to its."""
    path = Path(url.removeprefix("sqlite:///"))
    files = (file for file in path.parent.iterdir() if file.name.startswith(path.name))
    return {file.name.removeprefix(path.name): stat.S_IMODE(file.stat().st_mode) for file in files}


async def test_a_new_file_is_its_owners_alone(empty_sqlite_url: str) -> None:
    database = await open_database(empty_sqlite_url)
    try:
        await database.migrate()
        assert modes_of(empty_sqlite_url) == {"": 0o600, "-wal": 0o600, "-shm": 0o600}
    finally:
        await database.close()


def test_a_file_that_is_there_keeps_its_mode(sqlite_url: str) -> None:
    async def open_and_close() -> None:
        await (await open_database(sqlite_url)).close()

    Path(sqlite_url.removeprefix("sqlite:///")).chmod(0o640)
    asyncio.run(open_and_close())
    assert modes_of(sqlite_url)[""] == 0o640


async def test_every_table_and_index_has_the_prefix(database: SqliteDatabase) -> None:
    names = await database.engine.run_read(
        lambda connection: [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
    )
    assert all(name.startswith(("kanca_", "sqlite_")) for name in names)
    assert "kanca_ix_tasks_ready" in names


async def test_it_shares_the_file_with_somebody_elses_tables(empty_sqlite_url: str) -> None:
    path = empty_sqlite_url.removeprefix("sqlite:///")
    other = sqlite3.connect(path)
    other.execute("PRAGMA page_size = 4096")
    other.execute("CREATE TABLE events (mine)")
    other.execute("INSERT INTO events VALUES (1)")
    other.commit()
    database = await open_database(empty_sqlite_url)
    await database.migrate()
    assert await database.accepting.append([new_event()]) == [Accepted()]
    await database.close()
    assert other.execute("SELECT mine FROM events").fetchall() == [(1,)]
    other.close()


async def test_readers_do_not_wait_for_a_writer_nor_see_what_is_not_committed(
    database: SqliteDatabase, sqlite_url: str
) -> None:
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM kanca_endpoints")
    count = await database.engine.run_read(
        lambda connection: connection.execute("SELECT count(*) FROM kanca_endpoints").fetchone()[0]
    )
    assert count == 3
    other.execute("ROLLBACK")
    other.close()


async def test_a_file_that_another_process_holds_too_long_is_unavailable_not_waited_for_ever(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_S", 0.05)
    database = await open_database(sqlite_url)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable, match="locked"):
        await database.accepting.append([new_event()])
    other.execute("ROLLBACK")
    assert await database.accepting.append([new_event()]) == [Accepted()]
    other.close()
    await database.close()


async def test_reading_connections_cannot_write(database: SqliteDatabase) -> None:
    with pytest.raises(DatabaseUnavailable, match="may not be written"):
        await database.engine.run_read(lambda connection: connection.execute("DELETE FROM kanca_tasks"))


@pytest.mark.parametrize(
    "content", [b"this is no database, but it is long enough to be looked at" * 20, None]
)
async def test_a_file_that_is_no_database_is_said_so(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "kanca.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(DatabaseUnavailable):
        await open_database(f"sqlite:///{path}")


async def test_after_closing_nothing_works_and_nothing_hangs(sqlite_url: str) -> None:
    database = await open_database(sqlite_url)
    await database.close()
    with pytest.raises(DatabaseUnavailable, match="closed"):
        await database.read(event_list.page)
    with pytest.raises(DatabaseUnavailable, match="closed"):
        await database.accepting.append([new_event()])


async def test_what_retention_frees_goes_back_to_the_disk(database: SqliteDatabase, sqlite_url: str) -> None:
    old = datetime.now(UTC) - timedelta(days=40)
    low = int(old.timestamp() * 1000) << 80
    batch = [
        new_event(id=type(event.id)(int=low | event.id.int & ((1 << 80) - 1)), body=os.urandom(7000))
        for event in (new_event() for _ in range(700))
    ]
    await database.accepting.append(batch)
    await database.engine.run_write(lambda connection: connection.execute("DELETE FROM kanca_tasks"))

    async def pages() -> int:
        count: int = await database.engine.run_read(
            lambda connection: connection.execute("PRAGMA page_count").fetchone()[0]
        )
        return count

    before = await pages()
    await database.drop_expired(datetime.now(UTC) - timedelta(days=30))
    assert await pages() < before / 2


async def test_two_processes_worth_of_writers_share_the_file(
    database: SqliteDatabase, sqlite_url: str
) -> None:
    other = await open_database(sqlite_url)
    answers = await asyncio.gather(
        *(
            each.accepting.append([new_event() for _ in range(10)])
            for _ in range(15)
            for each in (database, other)
        )
    )
    assert answers == [[Accepted()] * 10] * 30
    await other.close()


async def test_there_is_nothing_to_warn_of(database: SqliteDatabase) -> None:
    assert await database.warnings() == []
    assert await database.oldest_snapshot_age() is None
