from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, select

from kanca.domain.credential import Credential, read_credential
from kanca.errors import CredentialNotFound, InvalidInput, InvalidSetting
from kanca.storage import credentials, workflows
from kanca.storage.credentials import Definition, NamedCredential
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import credentials as credentials_table
from kanca.storage.versions import read_versions

BOX = SecretBox(["a key of the tests"])
NOW = datetime(2026, 1, 2, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def bearer(name: str = "shop", number: int = 0) -> Credential:
    return read_credential(name, "bearer", {"token": f"sk_live_{number:010}"})


async def version(database: Database) -> int:
    return (await database.read(read_versions)).get("credentials", 0)


async def test_a_credential_is_stored_encrypted_and_read_back(database: Database) -> None:
    stored, is_new = await database.write(credentials.put, BOX, bearer(), NOW)
    assert (stored, is_new) == (NamedCredential("shop", "bearer", NOW, NOW), True)
    assert await database.read(credentials.get, BOX, "shop") == bearer()
    assert await database.read(credentials.describe, "shop") == stored

    def raw(connection: Connection) -> bytes:
        return bytes(connection.scalars(select(credentials_table.c.sealed)).one())

    assert b"sk_live" not in await database.read(raw)


async def test_one_of_the_same_name_takes_its_place(database: Database) -> None:
    await database.write(credentials.put, BOX, bearer(), NOW)
    other = read_credential("shop", "header", {"name": "X-Key", "value": "0123456789"})
    stored, is_new = await database.write(credentials.put, BOX, other, LATER)
    assert (stored, is_new) == (NamedCredential("shop", "header", NOW, LATER), False)
    assert await database.read(credentials.get, BOX, "shop") == other


async def test_each_change_moves_the_version(database: Database) -> None:
    seen = [await version(database)]
    for change in (
        (credentials.put, BOX, bearer(), NOW),
        (credentials.put, BOX, bearer(), NOW),
        (credentials.remove, "shop"),
    ):
        await database.write(*change)
        seen.append(await version(database))
    assert len(set(seen)) == 4
    assert seen == sorted(seen)


async def test_what_is_not_there_is_said_so(database: Database) -> None:
    await database.write(credentials.put, BOX, bearer(), NOW)
    await database.write(credentials.remove, "shop")
    with pytest.raises(CredentialNotFound):
        await database.read(credentials.get, BOX, "shop")
    with pytest.raises(CredentialNotFound):
        await database.read(credentials.describe, "shop")
    before = await version(database)
    with pytest.raises(CredentialNotFound):
        await database.write(credentials.remove, "shop")
    assert await version(database) == before


async def test_a_credential_that_no_key_opens_is_not_given(database: Database) -> None:
    await database.write(credentials.put, SecretBox(["a key that is lost"]), bearer(), NOW)
    with pytest.raises(InvalidSetting):
        await database.read(credentials.get, BOX, "shop")
    assert (await database.read(credentials.describe, "shop")).name == "shop"


async def test_they_are_listed_by_name_page_by_page(database: Database) -> None:
    for name in ("c", "a", "b"):
        await database.write(credentials.put, BOX, bearer(name), NOW)
    first = await database.read(credentials.page, 2)
    rest = await database.read(credentials.page, 2, first.next_cursor)
    assert [found.name for found in first.items + rest.items] == ["a", "b", "c"]
    assert rest.next_cursor is None
    with pytest.raises(InvalidInput):
        await database.read(credentials.page, 0)


async def test_of_several_names_those_that_exist_are_found(database: Database) -> None:
    for name in ("a", "b"):
        await database.write(credentials.put, BOX, bearer(name), NOW)
    assert await database.write(credentials.existing, {"a", "b", "c"}) == {"a", "b"}
    assert await database.write(credentials.existing, set()) == frozenset()


async def test_of_each_workflow_the_newest_and_the_published_definition_are_looked_at(
    database: Database,
) -> None:
    await database.write(workflows.create, "flow", "default", "Flow", '"a_b" 1', NOW)
    await database.write(workflows.publish, "flow", NOW)
    await database.write(workflows.save, "flow", "Flow", '"a_b" 2', NOW)
    await database.write(workflows.save, "flow", "Flow", '"axb" 3', NOW)
    await database.write(workflows.create, "gone", "default", "Gone", '"a_b" 1', NOW)
    await database.write(workflows.remove, "gone")
    found = await database.read(credentials.definitions_with, '"a_b"')
    assert found == [Definition("flow", '"a_b" 1')]
    assert await database.read(credentials.definitions_with, '"axb"') == [Definition("flow", '"axb" 3')]


async def test_many_who_store_the_same_name_at_once_leave_one(database: Database) -> None:
    done = await asyncio.gather(
        *(database.write(credentials.put, BOX, bearer(number=n), NOW) for n in range(6))
    )
    assert sorted(is_new for _, is_new in done) == [False] * 5 + [True]
    assert len((await database.read(credentials.page)).items) == 1
