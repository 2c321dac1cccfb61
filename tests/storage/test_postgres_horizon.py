"""What PostgreSQL alone can do to a tail: commit in another order than the numbers have."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from kanca.domain.event import Accepted
from kanca.storage.dialects import open_database
from kanca.storage.dialects.postgresql.horizon import MOST_LOOKS
from kanca.storage.ports import Database
from tests.factories import new_event

_INSERT = """
    INSERT INTO kanca.events (id, endpoint, tenant, type, received_at, correlation_id, request, body)
    VALUES ($1, 0, 'default', 'order.created', now(), 'cor-1', '{}', '{}')
"""


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    database = await open_database(postgres_url)
    yield database
    await database.close()


@pytest.fixture
async def slow(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection whose transactions end when the test says so."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def append(database: Database) -> None:
    assert await database.accepting.append([new_event()]) == [Accepted()]


async def test_nothing_is_settled_behind_an_event_that_is_not_committed(
    database: Database, slow: asyncpg.Connection
) -> None:
    await append(database)
    horizon = database.horizon()
    before = await horizon.reach()
    assert before.settled == before.newest
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute(_INSERT, new_event().id)
    for _ in range(MOST_LOOKS + 5):
        await append(database)
        reach = await horizon.reach()
        assert reach.settled == before.settled
    await transaction.commit()
    await append(database)
    assert (await horizon.reach()).settled > before.settled
    after = await horizon.reach()
    assert after.settled == after.newest


async def test_a_rolled_back_event_holds_nobody_up(database: Database, slow: asyncpg.Connection) -> None:
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute(_INSERT, new_event().id)
    await append(database)
    horizon = database.horizon()
    assert (await horizon.reach()).settled == 0
    await transaction.rollback()
    reach = await horizon.reach()
    assert reach.settled == reach.newest


async def test_a_long_transaction_that_stores_no_event_holds_nobody_up(
    database: Database, slow: asyncpg.Connection
) -> None:
    async with slow.transaction():
        await slow.execute("INSERT INTO kanca.versions VALUES ('of a test', 1)")
        await append(database)
        reach = await database.horizon().reach()
        assert reach.settled == reach.newest
