"""What ``serve`` makes of the schema that it finds, when it is to leave it as it is."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from kanca.app.serving import prepare
from kanca.errors import SchemaTooNew
from kanca.settings import Settings
from kanca.storage.dialects import open_database
from kanca.storage.migrating import schema_of, upgrade
from kanca.storage.ports import Database
from kanca.storage.revisions import newest_revision
from kanca.storage.standing import Standing


def _settings(url: str, *, auto_migrate: bool = False) -> Settings:
    given = {"database_url": url, "secret_key": "a key that is long enough", "auto_migrate": auto_migrate}
    return Settings.model_validate(given)


def _contracted(connection: Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE kanca.contract_schema_version (version_num TEXT NOT NULL)")
    connection.exec_driver_sql("INSERT INTO kanca.contract_schema_version VALUES ('c99')")


def _expanded(connection: Connection) -> None:
    connection.exec_driver_sql("UPDATE kanca.schema_version SET version_num = '9999'")


async def test_one_that_is_behind_is_left_and_said_to_be(empty_database_url: str) -> None:
    database = await open_database(empty_database_url)
    try:
        await database.migrating(lambda connection: upgrade(connection, "0004"))
        with capture_logs() as lines:
            await prepare(_settings(empty_database_url))
        [line] = [line for line in lines if line["event"] == "schema_behind"]
        assert (line["is_at"], line["needed"]) == ("0004", newest_revision())
        assert (await database.read(schema_of)).standing is Standing.BEHIND
    finally:
        await database.close()


@pytest.mark.parametrize("auto_migrate", [False, True])
async def test_one_that_a_newer_version_expanded_is_started_on(
    database: Database, database_url: str, auto_migrate: bool
) -> None:
    await database.write(_expanded)
    await prepare(_settings(database_url, auto_migrate=auto_migrate))
    assert (await database.read(schema_of)).standing is Standing.AHEAD


@pytest.mark.parametrize("auto_migrate", [False, True])
async def test_one_that_a_newer_version_contracted_is_not(
    database: Database, database_url: str, auto_migrate: bool
) -> None:
    await database.write(_contracted)
    with pytest.raises(SchemaTooNew):
        await prepare(_settings(database_url, auto_migrate=auto_migrate))
