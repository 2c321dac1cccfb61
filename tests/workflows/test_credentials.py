from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from sqlalchemy import Connection

from kanca.domain.credential import Credential, read_credential
from kanca.domain.workflow import Definition, read_definition
from kanca.errors import CredentialNotFound, DatabaseUnavailable, InvalidSetting, InvalidWorkflow
from kanca.storage import credentials
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.workflows.credentials import StoredCredentials, check_credentials, credentials_in

BOX = SecretBox(["a key of the tests"])
NOW = datetime(2026, 1, 2, tzinfo=UTC)


class CountingBox(SecretBox):
    """Counts what it opens."""

    opened = 0

    def open(self, sealed: bytes) -> bytes:
        self.opened += 1
        return super().open(sealed)


class Reader:
    """A database that may go away, or do something before it gives what it has read."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.is_away = False
        self.before_giving: Callable[[], Awaitable[None]] | None = None

    async def read(self, *asked: Any) -> Any:
        if self.is_away:
            raise DatabaseUnavailable
        found = await self.database.read(*asked)
        if self.before_giving is not None:
            meanwhile, self.before_giving = self.before_giving, None
            await meanwhile()
        return found


def stored_credentials(reader: Reader) -> StoredCredentials:
    return StoredCredentials(cast(Database, reader), BOX)  # all that is used of it


async def put(database: Database, name: str, token: str, box: SecretBox = BOX) -> Credential:
    credential = read_credential(name, "bearer", {"token": token})
    await database.write(credentials.put, box, credential, NOW)
    return credential


async def test_a_credential_is_decrypted_once_until_any_changes(database: Database) -> None:
    box = CountingBox(["a key of the tests"])
    stored = StoredCredentials(database, box)
    shop, till = await put(database, "shop", "a"), await put(database, "till", "b")
    for _ in range(2):
        assert [await stored.get("shop"), await stored.get("till")] == [shop, till]
    assert box.opened == 2

    shop = await put(database, "shop", "c")
    assert [await stored.get("shop"), await stored.get("till")] == [shop, till]
    assert box.opened == 4


async def test_what_was_deleted_is_not_given_any_more(database: Database) -> None:
    stored = StoredCredentials(database, BOX)
    with pytest.raises(CredentialNotFound):
        await stored.get("shop")
    shop = await put(database, "shop", "a")
    assert await stored.get("shop") == shop
    await database.write(credentials.remove, "shop")
    with pytest.raises(CredentialNotFound, match="'shop'"):
        await stored.get("shop")


async def test_where_it_cannot_be_read_there_is_none(database: Database) -> None:
    reader = Reader(database)
    stored = stored_credentials(reader)
    await put(database, "shop", "a")
    await stored.get("shop")
    reader.is_away = True
    with pytest.raises(DatabaseUnavailable):
        await stored.get("shop")


async def test_where_no_key_opens_it_there_is_none(database: Database) -> None:
    await put(database, "lost", "a", SecretBox(["a key that is lost"]))
    with pytest.raises(InvalidSetting):
        await StoredCredentials(database, BOX).get("lost")


async def test_a_reading_that_comes_late_does_not_bring_back_what_was_replaced(database: Database) -> None:
    reader = Reader(database)
    stored = stored_credentials(reader)
    before = await put(database, "shop", "before")
    newer: list[Credential] = []

    async def replace_and_read() -> None:
        newer.append(await put(database, "shop", "after"))
        newer.append(await stored.get("shop"))

    reader.before_giving = replace_and_read
    assert await stored.get("shop") == before
    newer.append(await stored.get("shop"))
    assert [credential.values["token"] for credential in newer] == ["after"] * 3


def a_definition(*nodes: dict[str, Any]) -> Definition:
    return read_definition({"id": "w", "nodes": list(nodes)})


def a_request(node_id: str, credential: Any = None) -> dict[str, Any]:
    return {"id": node_id, "type": "HttpRequest", "config": {"url": "x", "credential": credential}}


DEFINITION = a_definition(
    {"id": "start", "type": "WebhookTrigger"},
    a_request("a", "shop"),
    a_request("b", "shop"),
    a_request("c", "till"),
    a_request("d"),
    a_request("e", 5),
    {"id": "f", "type": "SendInvoice", "config": {"credential": "of an app's own"}},
)


def test_a_definition_names_credentials_where_built_in_nodes_do() -> None:
    assert credentials_in(DEFINITION) == {"shop": {"a", "b"}, "till": {"c"}}
    assert credentials_in(a_definition()) == {}


async def test_every_node_that_names_an_unknown_credential_is_a_problem(database: Database) -> None:
    def check(connection: Connection) -> None:
        check_credentials(connection, DEFINITION)

    await put(database, "till", "a")
    with pytest.raises(InvalidWorkflow) as refused:
        await database.write(check)
    assert refused.value.facts["problems"] == [
        {"node": node, "code": "unknown_credential", "message": "there is no credential 'shop'"}
        for node in ("a", "b")
    ]
    await put(database, "shop", "a")
    await database.write(check)


async def test_a_node_that_names_a_credential_that_it_cannot_send_is_a_problem(database: Database) -> None:
    def check(connection: Connection) -> None:
        check_credentials(connection, DEFINITION)

    await put(database, "till", "a")
    values = {"token_url": "https://id.example/", "client_id": "kanca", "client_secret": "s"}
    await database.write(credentials.put, BOX, read_credential("shop", "oauth2", values), NOW)
    with pytest.raises(InvalidWorkflow) as refused:
        await database.write(check)
    message = "credential 'shop' is of the kind oauth2, which nodes cannot send"
    assert refused.value.facts["problems"] == [
        {"node": node, "code": "unusable_credential", "message": message} for node in ("a", "b")
    ]
