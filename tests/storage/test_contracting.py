"""The second half of a migration takes away what only older versions need, when there is none of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect

from kanca.errors import OlderVersionRuns, SchemaTooNew
from kanca.storage import migrating
from kanca.storage.dialects import open_database
from kanca.storage.dialects.schema import has_schemas, known_by_others
from kanca.storage.migrating import contract, downgrade, schema_of
from kanca.storage.ports import Database
from kanca.storage.revisions import newest_revision
from kanca.storage.standing import Half, Standing
from tests.queueing import register

_CONTRACT = """
from alembic import op
from sqlalchemy import Column, Text

revision = "{revision}"
down_revision = {before}
needs = "{needs}"


def upgrade():
    op.drop_column("rejections", "{column}", schema="kanca")


def downgrade():
    op.add_column("rejections", Column("{column}", Text), schema="kanca")
"""

Plan = Callable[..., None]


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Give what writes contract halves, one after the other, each dropping a column of rejections."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    written: list[str] = []

    def write(column: str, needs: str = newest_revision()) -> None:
        before = repr(written[-1]) if written else None
        written.append(f"c{len(written) + 1}")
        text = _CONTRACT.format(revision=written[-1], before=before, needs=needs, column=column)
        (folder / f"{written[-1]}.py").write_text(text)

    monkeypatch.setitem(migrating.LOCATIONS, Half.CONTRACT, str(folder))
    return write


@pytest.fixture
async def beside(database_url: str) -> AsyncIterator[Database]:
    """Another process's database."""
    other = await open_database(database_url)
    yield other
    await other.close()


def _columns(connection: Connection) -> set[str]:
    is_on_server = has_schemas(connection.dialect)
    table, schema = ("rejections", "kanca") if is_on_server else ("kanca_rejections", None)
    return {column["name"] for column in inspect(connection).get_columns(table, schema)}


async def test_migrating_leaves_what_older_versions_need_and_contracting_takes_it_away(
    database: Database, plan: Plan
) -> None:
    plan("detail")
    await database.migrate()
    assert "detail" in await database.read(_columns)
    assert list((await database.read(schema_of)).pending_contracts) == ["c1"]
    await database.migrating(contract)
    assert "detail" not in await database.read(_columns)
    plan("count")
    await database.migrating(contract)
    assert not {"detail", "count"} & await database.read(_columns)
    assert not (await database.read(schema_of)).pending_contracts


async def test_a_new_database_has_never_had_what_only_older_versions_need(
    empty_database_url: str, plan: Plan
) -> None:
    plan("detail")
    database = await open_database(empty_database_url)
    try:
        await database.migrate()
        assert "detail" not in await database.read(_columns)
        await database.migrating(downgrade)
        assert (await database.read(schema_of)).standing is Standing.MISSING
    finally:
        await database.close()


async def test_nothing_is_contracted_while_somebody_runs_who_does_not_say_what_it_knows(
    database: Database, beside: Database, plan: Plan
) -> None:
    plan("detail")
    if await database.write(lambda connection: has_schemas(connection.dialect)):
        await beside.write(lambda connection: connection.exec_driver_sql("SET application_name = kanca"))
    else:
        await register(beside.queue)
    with pytest.raises(OlderVersionRuns):
        await database.migrating(contract)
    assert "detail" in await database.read(_columns)
    await database.migrating(partial(contract, force=True))
    assert "detail" not in await database.read(_columns)


@pytest.mark.parametrize(("knows", "is_in_the_way"), [("0004", True), ("0005", False), ("9999", False)])
async def test_who_knows_what_the_contract_half_needs_is_not_in_its_way(
    postgres_url: str, plan: Plan, knows: str, is_in_the_way: bool
) -> None:
    plan("detail", needs="0005")
    database, beside = await open_database(postgres_url), await open_database(postgres_url)
    try:
        await beside.write(
            lambda connection: connection.exec_driver_sql(f"SET application_name = 'kanca {knows}'")
        )
        if is_in_the_way:
            with pytest.raises(OlderVersionRuns) as raised:
                await database.migrating(contract)
            assert raised.value.facts == {"revisions": [knows]}
        else:
            await database.migrating(contract)
    finally:
        await beside.close()
        await database.close()


async def test_every_connection_says_what_its_process_knows(postgres_url: str) -> None:
    database, beside = await open_database(postgres_url), await open_database(postgres_url)
    try:
        await beside.read(schema_of)
        await beside.now()
        assert await database.read(known_by_others) == [newest_revision()] * 2
    finally:
        await beside.close()
        await database.close()


async def test_a_schema_that_a_newer_kanca_expanded_is_left_as_it_is(database: Database) -> None:
    def pretend(connection: Connection) -> None:
        connection.exec_driver_sql("UPDATE kanca.schema_version SET version_num = '9999'")

    await database.write(pretend)
    await database.migrate()
    await database.migrating(contract)
    schema = await database.read(schema_of)
    assert (schema.expanded_to, schema.standing) == ("9999", Standing.AHEAD)


async def test_a_schema_that_a_newer_kanca_contracted_is_refused(
    database: Database, plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = migrating.LOCATIONS[Half.CONTRACT]
    plan("detail")
    await database.migrating(contract)
    (tmp_path / "none").mkdir()
    monkeypatch.setitem(migrating.LOCATIONS, Half.CONTRACT, str(tmp_path / "none"))
    for migrate in (database.migrate(), database.migrating(contract)):
        with pytest.raises(SchemaTooNew):
            await migrate
    monkeypatch.setitem(migrating.LOCATIONS, Half.CONTRACT, known)
    await database.migrate()
