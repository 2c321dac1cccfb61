from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, MetaData
from typer.testing import CliRunner

from kanca.cli.main import app
from kanca.outbound.outbox.rows import is_installed
from kanca.outbox import add_outbox, create_outbox, drop_outbox
from kanca.storage.dialects.foreign import open_foreign
from tests.outbound.outbox.moving import look, write_rows
from tests.outbound.outbox.places import Place
from tests.outbound.outbox.test_relaying import row


def _kanca(*words: str) -> str:
    called = CliRunner().invoke(app, list(words))
    assert called.exit_code == 0, called.output
    return called.output


async def _run(place: Place, work: Callable[[Connection], Any]) -> Any:
    source = open_foreign(place.url)
    try:
        async with source.transaction() as transaction:
            return await transaction.run(work)
    finally:
        await source.close()


def test_the_command_makes_the_table_once(empty_place: Place) -> None:
    assert "has its outbox." in _kanca("outbox", "install", "--url", empty_place.url)
    assert "has its outbox already." in _kanca("outbox", "install", "--url", empty_place.url)


def test_without_a_url_it_is_kancas_own_database_and_those_that_are_set(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, mariadb_url: str
) -> None:
    monkeypatch.setenv("KANCA_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("KANCA_OUTBOX_URLS", mariadb_url)

    assert len(_kanca("outbox", "install").splitlines()) == 2

    status = json.loads(_kanca("outbox", "status", "--json"))
    assert [each["is_installed"] for each in status["outboxes"]] == [True, True]
    assert "refused" in _kanca("outbox", "status")


async def test_what_was_refused_is_shown_with_its_reason(place: Place) -> None:
    await write_rows(place, row(), row(error="payload is no JSON", created_at=0))

    found = await look(place)

    assert (found["waiting"], found["refused"]) == (1, 1)
    assert found["oldest_at"] == "2026-09-21T14:13:20.000000Z"
    assert found["refused_items"][0]["error"] == "payload is no JSON"


async def test_a_migration_makes_and_drops_the_table(empty_place: Place) -> None:
    def migrate(connection: Connection) -> list[bool]:
        op = Operations(MigrationContext.configure(connection))
        seen = []
        for step in (create_outbox, create_outbox, drop_outbox, drop_outbox):
            step(op)
            seen.append(is_installed(connection))
        return seen

    assert await _run(empty_place, migrate) == [True, True, False, False]


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite", "mysql", "mariadb"])
def test_a_migration_can_be_written_as_sql(dialect: str) -> None:
    written = StringIO()
    context = MigrationContext.configure(
        dialect_name=dialect, opts={"as_sql": True, "output_buffer": written}
    )

    create_outbox(Operations(context))

    assert "CREATE TABLE IF NOT EXISTS kanca_outbox" in written.getvalue()
    assert ("InnoDB" in written.getvalue()) == (dialect in {"mysql", "mariadb"})


async def test_the_table_can_be_part_of_the_callers_own_metadata(empty_place: Place) -> None:
    metadata = MetaData()
    add_outbox(metadata)

    await _run(empty_place, metadata.create_all)

    assert (await look(empty_place))["is_installed"]


async def test_a_url_of_nothing_is_told_without_its_password() -> None:
    from kanca.errors import DatabaseUnavailable, InvalidSetting  # noqa: PLC0415 - here only

    for url in ("nonsense", "oracle+none://u:secret@h/d"):
        with pytest.raises(InvalidSetting) as raised:
            open_foreign(url)
        assert "secret" not in raised.value.detail
    source = open_foreign("sqlite:////nowhere/at/all.db")
    with pytest.raises(DatabaseUnavailable, match="no such file"):
        async with source.transaction():
            pass
    await source.close()
