from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kanca import Kanca
from kanca.outbound.outbox.install import install
from kanca.storage.dialects import open_database
from kanca.storage.dialects.foreign import open_foreign
from kanca.storage.ports import Database
from tests.outbound.outbox.places import Place


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def empty_place(request: pytest.FixtureRequest) -> Place:
    """A database of a caller without an outbox, once of each sort. Those that Kanca can use are Kanca's own."""
    return Place(request.param, str(request.getfixturevalue(f"{_FIXTURES[request.param]}_url")))


_FIXTURES = {"sqlite": "sqlite", "postgresql": "postgres", "mariadb": "mariadb"}


@pytest.fixture
async def place(empty_place: Place) -> Place:
    """The same with an outbox."""
    source = open_foreign(empty_place.url)
    async with source.transaction() as transaction:
        await transaction.run(install)
    await source.close()
    return empty_place


@pytest.fixture
async def own(place: Place, sqlite_url: str) -> AsyncIterator[Database]:
    """Kanca's database: where the outbox is, else on SQLite."""
    database = await open_database(sqlite_url if place.kind == "mariadb" else place.url)
    yield database
    await database.close()


@pytest.fixture
def hooks() -> Kanca:
    """An object to publish with."""
    return Kanca()
