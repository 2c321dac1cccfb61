"""Databases of callers, and every kind of connection that a caller may have to one."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Any

import aiosqlite
import asyncpg
import psycopg
import pymysql
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from kanca import Kanca


@dataclass(frozen=True)
class Place:
    """A caller's database."""

    kind: str
    url: str


@dataclass(frozen=True)
class Caller:
    """A connection in use."""

    connection: Any
    commit: Callable[[], Any]
    rollback: Callable[[], Any]
    is_async: bool = field(kw_only=True)

    async def publish(self, hooks: Kanca, event_type: str, payload: Any, **about: Any) -> str:
        """Publish in the way that suits the connection."""
        if self.is_async:
            return await hooks.publish(event_type, payload, connection=self.connection, **about)
        return hooks.publish_sync(event_type, payload, connection=self.connection, **about)

    async def end(self, *, commit: bool) -> None:
        """End the transaction."""
        ended = self.commit() if commit else self.rollback()
        if isinstance(ended, Awaitable):
            await ended


def _sync_url(place: Place) -> str:
    return place.url.replace("postgresql://", "postgresql+psycopg://")


def _async_url(place: Place) -> str:
    scheme, _, rest = place.url.partition("://")
    drivers = {
        "sqlite": "sqlite+aiosqlite",
        "postgresql": "postgresql+asyncpg",
        "mysql+pymysql": "mysql+asyncmy",
    }
    return f"{drivers[scheme]}://{rest}"


@asynccontextmanager
async def _session(place: Place) -> AsyncIterator[Caller]:
    engine = create_engine(_sync_url(place))
    with Session(engine) as session:
        yield Caller(session, session.commit, session.rollback, is_async=False)
    engine.dispose()


@asynccontextmanager
async def _scoped_session(place: Place) -> AsyncIterator[Caller]:
    engine = create_engine(_sync_url(place))
    session = scoped_session(sessionmaker(engine))
    yield Caller(session, session.commit, session.rollback, is_async=False)
    session.remove()
    engine.dispose()


@asynccontextmanager
async def _connection(place: Place) -> AsyncIterator[Caller]:
    engine = create_engine(_sync_url(place))
    with engine.connect() as connection:
        yield Caller(connection, connection.commit, connection.rollback, is_async=False)
    engine.dispose()


@asynccontextmanager
async def _async_session(place: Place) -> AsyncIterator[Caller]:
    engine = create_async_engine(_async_url(place))
    async with AsyncSession(engine) as session:
        yield Caller(session, session.commit, session.rollback, is_async=True)
    await engine.dispose()


@asynccontextmanager
async def _async_connection(place: Place) -> AsyncIterator[Caller]:
    engine = create_async_engine(_async_url(place))
    async with engine.connect() as connection:
        yield Caller(connection, connection.commit, connection.rollback, is_async=True)
    await engine.dispose()


@asynccontextmanager
async def _asyncpg(place: Place) -> AsyncIterator[Caller]:
    connection = await asyncpg.connect(place.url)
    transaction = connection.transaction()
    await transaction.start()
    yield Caller(connection, transaction.commit, transaction.rollback, is_async=True)
    await connection.close()


@asynccontextmanager
async def _asyncpg_pool(place: Place) -> AsyncIterator[Caller]:
    async with asyncpg.create_pool(place.url, min_size=1, max_size=1) as pool, pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        yield Caller(connection, transaction.commit, transaction.rollback, is_async=True)


@asynccontextmanager
async def _psycopg(place: Place) -> AsyncIterator[Caller]:
    with psycopg.connect(place.url) as connection:
        yield Caller(connection, connection.commit, connection.rollback, is_async=False)


@asynccontextmanager
async def _psycopg_async(place: Place) -> AsyncIterator[Caller]:
    async with await psycopg.AsyncConnection.connect(place.url) as connection:
        yield Caller(connection, connection.commit, connection.rollback, is_async=True)


@asynccontextmanager
async def _sqlite3(place: Place) -> AsyncIterator[Caller]:
    with closing(sqlite3.connect(place.url.removeprefix("sqlite:///"))) as connection:
        yield Caller(connection, connection.commit, connection.rollback, is_async=False)


@asynccontextmanager
async def _aiosqlite(place: Place) -> AsyncIterator[Caller]:
    async with aiosqlite.connect(place.url.removeprefix("sqlite:///")) as connection:
        yield Caller(connection, connection.commit, connection.rollback, is_async=True)


@asynccontextmanager
async def _pymysql(place: Place) -> AsyncIterator[Caller]:
    url = make_url(place.url)
    with pymysql.connect(
        unix_socket=str(url.query["unix_socket"]), user=url.username, database=url.database
    ) as connection:
        yield Caller(connection, connection.commit, connection.rollback, is_async=False)


_EVERYWHERE = {
    "Session": _session,
    "scoped_session": _scoped_session,
    "Connection": _connection,
    "AsyncSession": _async_session,
    "AsyncConnection": _async_connection,
}
CALLERS: dict[str, dict[str, Any]] = {
    "sqlite": {**_EVERYWHERE, "sqlite3": _sqlite3, "aiosqlite": _aiosqlite},
    "postgresql": {
        **_EVERYWHERE,
        "asyncpg": _asyncpg,
        "asyncpg pool": _asyncpg_pool,
        "psycopg": _psycopg,
        "psycopg async": _psycopg_async,
    },
    "mariadb": {**_EVERYWHERE, "PyMySQL": _pymysql},
}
"""By the kind of database and the name of the connection: what opens one in a transaction."""
