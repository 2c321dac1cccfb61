from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, select

from kanca.domain.endpoint import (
    RECEIVE_CONTENT_HASH_WEBHOOK_ID,
    RECEIVE_WEBHOOK_ID,
    RESUME_ENDPOINT,
    RESUME_WEBHOOK_ID,
)
from kanca.errors import DatabaseUnavailable
from kanca.storage import endpoints
from kanca.storage.dialects import open_database
from kanca.storage.dialects.schema import has_schemas, version_table_options
from kanca.storage.migrating import BASE, downgrade, upgrade
from kanca.storage.ports import Database
from kanca.storage.revisions import newest_revision
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import metadata, versions

ROOT = Path(__file__).parents[2]
BOX = SecretBox(["a key of the tests"])
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)

_SERVER_CATALOGUE = """
    SELECT c.relname, c.relkind::text, array_to_string(c.reloptions, ','), pg_get_partkeydef(c.oid),
           (SELECT string_agg(format('%s %s notnull=%s default=%s identity=%s storage=%s comment=%s',
                       a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
                       a.attidentity, a.attstorage, col_description(c.oid, a.attnum)), E'\\n' ORDER BY a.attnum)
            FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE a.attrelid = c.oid AND a.attnum > 0),
           (SELECT string_agg(conname || ' ' || pg_get_constraintdef(oid), E'\\n' ORDER BY conname)
            FROM pg_constraint WHERE conrelid = c.oid),
           CASE WHEN c.relkind IN ('i', 'I') THEN pg_get_indexdef(c.oid) END,
           (SELECT format('start=%s', seqstart) FROM pg_sequence WHERE seqrelid = c.oid)
    FROM pg_class c
    LEFT JOIN pg_index i ON i.indexrelid = c.oid
    WHERE c.relnamespace = 'kanca'::regnamespace AND NOT c.relispartition
      AND c.relname !~ 'schema_version' AND c.relkind <> 't'
    ORDER BY 1
"""
_FILE_CATALOGUE = (
    # Triggers are in no table's description: see tests/contract/test_audit.py.
    "SELECT type, name, sql FROM sqlite_master"
    " WHERE name NOT LIKE '%schema_version%' AND type <> 'trigger' ORDER BY name"
)


def _catalogue(connection: Connection) -> list[Any]:
    if has_schemas(connection.dialect):
        return [tuple(row) for row in connection.exec_driver_sql(_SERVER_CATALOGUE)]
    rows = connection.exec_driver_sql(_FILE_CATALOGUE).all()
    return [(kind, name, re.sub(r"\s*([(),]|\s)\s*", r"\1", sql or "")) for kind, name, sql in rows]


def _revision(connection: Connection) -> str | None:
    options = version_table_options(connection.dialect)
    options.pop("include_schemas", None)
    return MigrationContext.configure(connection, opts=options).get_current_revision()


@pytest.fixture
async def empty(empty_database_url: str) -> Any:
    database = await open_database(empty_database_url)
    yield database
    await database.close()


async def test_a_migrated_schema_is_a_fresh_one(empty: Database) -> None:
    await empty.migrate()
    migrated = await empty.read(_catalogue)
    await empty.migrating(downgrade)
    await empty.write(metadata.create_all)
    assert migrated == await empty.read(_catalogue)
    assert len(migrated) > 2 * len(metadata.tables) - 5


async def test_autogenerating_a_migration_finds_nothing_to_do(postgres_url: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        def is_ours(name: str | None, kind: str, parents: Any) -> bool:
            if kind == "schema":
                return name == "kanca"
            return kind != "table" or not re.search(r"_p\d{8}$", name or "")

        options = {**version_table_options(connection.dialect), "include_name": is_ours}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    database = await open_database(postgres_url)
    try:
        assert await database.read(differences) == []
    finally:
        await database.close()


async def test_every_revision_can_be_left_and_entered_again(empty: Database) -> None:
    bare = await empty.read(_catalogue) if not await _is_on_server(empty) else []
    await empty.migrate()
    migrated = await empty.read(_catalogue)
    script = ScriptDirectory.from_config(_config())
    for revision in script.walk_revisions():
        await empty.migrating(lambda connection: downgrade(connection, "-1"))
        assert await empty.read(_revision) == revision.down_revision
    assert [row for row in await empty.read(_catalogue) if "sqlite_sequence" not in row] == bare
    await empty.migrate()
    assert await empty.read(_catalogue) == migrated
    assert await empty.read(_revision) == newest_revision()


def _add_version(connection: Connection) -> None:
    connection.execute(insert(versions).values(subject="x", version=1))


async def test_migrating_again_changes_nothing(database: Database) -> None:
    before = await database.read(_catalogue)
    await database.write(_add_version)
    await database.migrate()
    assert await database.read(_catalogue) == before
    assert await database.read(lambda connection: connection.scalar(select(versions.c.version))) == 1


async def test_many_who_migrate_at_once_do_not_collide(empty_database_url: str) -> None:
    databases = [await open_database(empty_database_url) for _ in range(4)]
    try:
        await asyncio.gather(*(database.migrate() for database in databases))
        assert await databases[0].read(_revision) == newest_revision()
    finally:
        await asyncio.gather(*(database.close() for database in databases))


async def test_two_processes_that_migrate_at_once_do_not_collide(empty_database_url: str) -> None:
    processes = [await _alembic(empty_database_url, "upgrade", "head") for _ in range(2)]
    for process in processes:
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
    database = await open_database(empty_database_url)
    try:
        assert await database.read(_revision) == newest_revision()
    finally:
        await database.close()


async def test_the_command_line_goes_down_too(database: Database, database_url: str) -> None:
    process = await _alembic(database_url, "downgrade", BASE)
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert await database.read(_revision) is None


async def test_a_failed_migration_leaves_nothing_behind(empty: Database) -> None:
    def fail(connection: Connection) -> None:
        upgrade(connection)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        await empty.migrating(fail)
    await empty.migrate()
    assert await empty.read(_revision) == newest_revision()


async def test_a_database_that_was_not_migrated_says_what_to_do(empty: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="kanca migrate"):
        await empty.read(endpoints.page, BOX)


async def test_the_builtin_endpoints_are_there_and_others_begin_at_a_hundred(database: Database) -> None:
    built_in = {
        1: await database.read(endpoints.by_webhook_id, BOX, RECEIVE_WEBHOOK_ID),
        2: await database.read(endpoints.by_webhook_id, BOX, RECEIVE_CONTENT_HASH_WEBHOOK_ID),
        RESUME_ENDPOINT: await database.read(endpoints.by_webhook_id, BOX, RESUME_WEBHOOK_ID),
    }
    for number, endpoint in built_in.items():
        assert endpoint is not None
        assert (endpoint.number, endpoint.is_active, endpoint.secrets) == (number, True, ())


async def test_endpoints_of_an_older_kanca_keep_their_options_both_ways(empty: Database) -> None:
    older = {"dedupe": "auto", "hmac": {"header": "X-Acme-Signature"}}

    def store(connection: Connection) -> None:
        columns = {column.name: column for column in metadata.tables["kanca.endpoints"].columns}
        row: dict[str, Any] = {
            "webhook_id": "wh_1",
            "name": "acme",
            "provider": "hmac",
            "tenant": "default",
            "secrets": b"",
        }
        row |= dict.fromkeys(("created_at", "updated_at"), BEGINNING) | {
            "is_active": True,
            "is_paused": False,
        }
        connection.execute(insert(columns["number"].table).values(config=json.dumps(older), **row))

    def stored(connection: Connection) -> dict[str, Any]:
        text = "SELECT config FROM kanca.endpoints WHERE webhook_id = 'wh_1'"
        return dict(json.loads(connection.exec_driver_sql(text).scalar_one()))

    await empty.migrating(lambda connection: upgrade(connection, "0002"))
    await empty.write(store)
    await empty.migrate()
    endpoint = await empty.read(endpoints.by_webhook_id, BOX, "wh_1")
    assert endpoint is not None
    assert endpoint.config.provider_options == {"header": "X-Acme-Signature"}
    await empty.write(endpoints.change, BOX, "wh_1", lambda before: before)  # written as this version does
    await empty.migrating(lambda connection: downgrade(connection, "0003"))
    assert not {"response_wait", "response_timeout_status"} & (await empty.read(stored)).keys()
    assert await empty.read(endpoints.by_webhook_id, BOX, RESUME_WEBHOOK_ID) is None
    await empty.migrating(lambda connection: downgrade(connection, "0002"))
    went_back = await empty.read(stored)
    assert went_back["hmac"] == older["hmac"]
    assert not {"provider_options", "provider_spec", "answer", "filter"} & went_back.keys()


async def _is_on_server(database: Database) -> bool:
    return await database.write(lambda connection: has_schemas(connection.dialect))


async def _alembic(url: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "alembic",
        *arguments,
        cwd=ROOT,
        env=os.environ | {"KANCA_DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _config() -> Config:
    return Config(ROOT / "alembic.ini")
