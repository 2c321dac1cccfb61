"""Who changes what processes keep in memory is noticed once it is committed, and never before or without that."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from kanca.storage.ports import Database
from kanca.storage.versions import bump_version, read_versions


async def test_what_a_write_moved_on_is_told_after_its_commit(database: Database) -> None:
    told: list[frozenset[str]] = []
    database.moves.listen(told.append)

    def change(connection: Connection) -> None:
        bump_version(connection, "endpoints")
        bump_version(connection, "workflows")
        assert told == []

    await database.write(change)
    assert told == [frozenset({"endpoints", "workflows"})]


async def test_nothing_is_told_of_what_was_rolled_back_or_only_read(database: Database) -> None:
    told: list[frozenset[str]] = []
    database.moves.listen(told.append)

    def change(connection: Connection) -> None:
        bump_version(connection, "endpoints")
        raise KeyError

    with pytest.raises(KeyError):
        await database.write(change)
    await database.write(read_versions)
    assert told == []
