"""What the server says, and what follows: the table, and errors that a real server raised."""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import text

from kanca.errors import DatabaseUnavailable, DiskFull
from kanca.storage.dialects import open_database
from kanca.storage.dialects.postgresql.database import PostgresDatabase
from kanca.storage.dialects.postgresql.failures import is_read_only, is_retriable, translated
from kanca.storage.dialects.postgresql.sqlstates import CODES, Outcome, meaning_of
from tests.servers.postgres import PostgresServer


@pytest.mark.parametrize(
    ("sqlstate", "outcome"),
    [
        ("08006", Outcome.UNAVAILABLE),  # connection_failure
        ("25006", Outcome.ELSEWHERE),
        ("28P01", Outcome.UNAVAILABLE),  # invalid_password
        ("3D000", Outcome.UNAVAILABLE),  # no such database
        ("40001", Outcome.TRY_AGAIN),
        ("40P01", Outcome.TRY_AGAIN),
        ("42501", Outcome.UNAVAILABLE),
        ("42P01", Outcome.NOT_MIGRATED),
        ("42703", Outcome.NOT_MIGRATED),
        ("53100", Outcome.FULL),
        ("53200", Outcome.UNAVAILABLE),
        ("53300", Outcome.UNAVAILABLE),
        ("53400", Outcome.UNAVAILABLE),
        ("55P03", Outcome.UNAVAILABLE),
        ("57014", Outcome.UNAVAILABLE),
        ("57P01", Outcome.UNAVAILABLE),
        ("57P02", Outcome.UNAVAILABLE),
        ("57P03", Outcome.UNAVAILABLE),
        ("57P05", Outcome.UNAVAILABLE),  # idle_session_timeout
        ("58030", Outcome.UNAVAILABLE),  # io_error
        ("XX001", Outcome.UNAVAILABLE),
        ("22021", None),  # a value that is none: the statement's own
        ("23505", None),
        ("42601", None),
        ("54000", None),
        ("XX000", None),
        ("", None),
    ],
)
def test_every_code_has_its_outcome(sqlstate: str, outcome: Outcome | None) -> None:
    meaning = meaning_of(sqlstate)
    assert (None if meaning is None else meaning.outcome) == outcome


@pytest.mark.parametrize("sqlstate", sorted(CODES))
def test_every_code_of_the_table_is_one_that_the_driver_knows_and_a_database_that_is_unavailable(
    sqlstate: str,
) -> None:
    error = asyncpg.PostgresError.new({"C": sqlstate, "M": "what the server says", "S": "ERROR"})
    expected = DiskFull if sqlstate == "53100" else DatabaseUnavailable
    with pytest.raises(DatabaseUnavailable) as raised, translated():
        raise error
    assert type(raised.value) is expected
    assert "what the server says" not in raised.value.detail
    assert is_retriable(error) == (sqlstate in {"40001", "40P01"})
    assert is_read_only(error) == (sqlstate == "25006")


async def _write(database: PostgresDatabase) -> None:
    statement = text("INSERT INTO kanca.versions (subject, version) VALUES (clock_timestamp()::text, 1)")
    await database.write(lambda connection: connection.execute(statement))


@pytest.fixture
async def database(postgres_url: str) -> PostgresDatabase:
    database = await open_database(postgres_url)
    assert isinstance(database, PostgresDatabase)
    return database


async def test_a_server_that_only_reads_is_left_for_the_one_that_the_address_is_then(
    database: PostgresDatabase, postgres: PostgresServer, postgres_url: str
) -> None:
    name = urlsplit(postgres_url).path.strip("/")
    try:
        await _write(database)
        postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        postgres.execute(f"{cut} AND datname = current_database()", name)
        with pytest.raises(DatabaseUnavailable):
            await _write(database)
        with pytest.raises(DatabaseUnavailable, match="read-only"):
            await _write(database)
        # What is connected by now stays read-only for as long as it is connected: as to a server that was demoted.
        postgres.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await _write(database)
    finally:
        await database.close()
