"""A disk that is full: nothing is accepted, senders come again, and what was kept goes on when there is room."""

from __future__ import annotations

import asyncpg
import httpx
import pytest

from kanca.errors import DiskFull
from kanca.storage.dialects import open_database
from kanca.storage.dialects.postgresql.failures import translated
from kanca.storage.dialects.sqlite.database import SqliteDatabase
from tests.app.test_gateway import MANAGER, gateway_of

BODY = b"x" * 200_000


async def _post(client: httpx.AsyncClient, made: dict[str, str], number: int) -> httpx.Response:
    headers = {"authorization": f"Bearer {made['secret_token']}", "content-type": "text/plain"}
    return await client.post(made["endpoint_path"], content=BODY + b"%d" % number, headers=headers)


async def test_a_file_that_cannot_grow_takes_nothing_until_it_can(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[SqliteDatabase] = []

    async def note(url: str) -> SqliteDatabase:
        database = await open_database(url)
        assert isinstance(database, SqliteDatabase)
        opened.append(database)
        return database

    monkeypatch.setattr("tests.app.test_gateway.open_database", note)
    async with gateway_of(sqlite_url) as client:
        made = (await client.post("/api/webhooks/endpoints", json={}, headers=MANAGER)).json()
        assert (await _post(client, made, 0)).status_code == 200
        [database] = opened
        pages = await database.engine.run_write(
            lambda connection: connection.execute("PRAGMA page_count").fetchone()[0]
        )
        await database.engine.run_write(
            lambda connection: connection.execute(f"PRAGMA max_page_count = {pages + 30}").fetchone()
        )
        answers = [await _post(client, made, number) for number in range(1, 6)]
        refused = answers[-1]
        assert (refused.status_code, refused.json()["code"]) == (503, "disk_full")
        assert refused.headers["retry-after"] == "120"
        assert {answer.status_code for answer in answers} <= {200, 503}
        shown = await client.get("/api/events", headers=MANAGER)
        assert len(shown.json()["items"]) == 1 + sum(answer.status_code == 200 for answer in answers)
        await database.engine.run_write(
            lambda connection: connection.execute("PRAGMA max_page_count = 1000000").fetchone()
        )
        assert (await _post(client, made, 6)).status_code == 200


def test_a_server_whose_disk_is_full_is_told_as_such() -> None:
    error = asyncpg.PostgresError.new({"C": "53100", "M": "could not extend file", "S": "ERROR"})
    with pytest.raises(DiskFull) as raised, translated():
        raise error
    assert (raised.value.status, raised.value.code, raised.value.retry_after_s) == (503, "disk_full", 120)
