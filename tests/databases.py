"""An empty, migrated database for a test: every test that asks for ``database`` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kanca.storage.dialects import open_database
from kanca.storage.dialects.postgresql.database import PostgresDatabase
from kanca.storage.dialects.postgresql.partitions import partition_name
from kanca.storage.dialects.sqlite.database import SqliteDatabase
from kanca.storage.ports import Database
from kanca.storage.tables import PARTITIONED
from tests.servers.mariadb import MariadbServer
from tests.servers.postgres import PostgresServer

DAYS_AHEAD = 14
"""How far ahead a migration makes partitions."""

ClockOffset = Callable[[float], Awaitable[None]]

_numbers = itertools.count(1)


def _run_aside(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end in a thread of its own: a session's fixture must not touch the tests' event loop."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


async def _migrate(url: str) -> None:
    database = await open_database(url)
    try:
        await database.migrate()
    finally:
        await database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file."""
    path = tmp_path_factory.mktemp("template") / "kanca.db"
    _run_aside(_migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """The name of a migrated PostgreSQL database that nobody is connected to.

    It has partitions for today and tomorrow only: a copy takes a third of the time then.
    """
    _run_aside(_migrate(postgres.create_database("kanca_template")))
    today = datetime.now(UTC).date()
    later = [
        f"kanca.{partition_name(table.name, today + timedelta(days=ahead))}"
        for table in PARTITIONED
        for ahead in range(2, DAYS_AHEAD + 1)
    ]
    postgres.execute(f"DROP TABLE {', '.join(later)}", "kanca_template")
    return "kanca_template"


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """Where a SQLite file may be made."""
    return f"sqlite:///{tmp_path / 'empty.db'}"


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A migrated SQLite file of the test's own."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'kanca.db')}"


@pytest.fixture
def empty_postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database of the test's own, without Kanca's schema."""
    name = f"kanca_empty_{next(_numbers)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture
def postgres_url(postgres: PostgresServer, postgres_template: str) -> Iterator[str]:
    """A migrated PostgreSQL database of the test's own."""
    name = f"kanca_{next(_numbers)}"
    yield postgres.create_database(name, template=postgres_template)
    postgres.drop_database(name)


@pytest.fixture
def mariadb_url(mariadb: MariadbServer) -> Iterator[str]:
    """An empty MariaDB database of the test's own: callers may have one, Kanca has not."""
    name = mariadb.create_database()
    yield mariadb.url(name)
    mariadb.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of the test's own, once on each of the two."""
    name = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    return str(request.getfixturevalue(name))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """A database without Kanca's schema, once on each of the two."""
    name = {"sqlite": "empty_sqlite_url", "postgresql": "empty_postgres_url"}[request.param]
    return str(request.getfixturevalue(name))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open, empty, migrated database, once on each of the two."""
    database = await open_database(database_url)
    yield database
    await database.close()


@pytest.fixture
def clock_offset(database: Database) -> ClockOffset:
    """Give what moves the clock of ``database`` so many seconds from the real time."""
    return clock_mover(database)


def clock_mover(database: Database) -> ClockOffset:
    """Give what moves the clock of an open database."""

    async def move(seconds: float) -> None:
        match database:
            case SqliteDatabase():
                database.engine.clock.offset_us = int(seconds * 1_000_000)
            case PostgresDatabase():
                async with database.engine.connection() as connection:
                    await connection.execute(
                        "CREATE OR REPLACE FUNCTION kanca.now() RETURNS timestamptz LANGUAGE sql STABLE"
                        f" AS $$ SELECT clock_timestamp() + interval '{seconds} seconds' $$"
                    )

    return move
