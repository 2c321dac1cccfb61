"""Connections: a pool of asyncpg's for the hot statements, SQLAlchemy for everything else.

Every wait is bounded: for a connection, for a statement, for a lock. Both pools notice a connection that the server has
dropped before they hand it out, so that after a restart of the server work goes on by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar, cast
from uuid import uuid4

import asyncpg
from sqlalchemy import Connection, NullPool, event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from kanca.domain.positions import PositionClock
from kanca.errors import DatabaseUnavailable
from kanca.storage.dialects.postgresql.address import Address
from kanca.storage.dialects.postgresql.failures import is_read_only, is_retriable, translated
from kanca.storage.presence import Presence

P = ParamSpec("P")
T = TypeVar("T")

STATEMENT_TIMEOUT = timedelta(seconds=30)
ACQUIRE_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
TRIES = 4
"""How often a transaction that lost against another (deadlock, serialization) is tried."""

# A prepared statement keeps the plan that was right when the queue was empty: read all of it. With half a million
# tasks a claim then took six seconds instead of one millisecond. So there is only one plan: every hot statement has its
# index.
_PREFER_INDEXES = (
    "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_mergejoin = off; SET jit = off"
)


class PostgresEngine:
    """An open PostgreSQL database. Connects when first asked."""

    def __init__(
        self, address: Address, pool: asyncpg.Pool, queries: AsyncEngine, presence: Presence
    ) -> None:
        self.address = address
        self.pool = pool
        self.queries = queries
        self.positions = PositionClock()
        self._presence = presence

    @classmethod
    async def open(cls, address: Address, connections: int, presence: Presence) -> PostgresEngine:
        """Prepare both pools. Connects to nothing."""

        async def connect(_dsn: None = None, **options: Any) -> asyncpg.Connection:
            return await address.connect(STATEMENT_TIMEOUT, **options)

        async def reset(connection: asyncpg.Connection) -> None:
            """Save the round trip of asyncpg's own reset: hot statements leave nothing behind in the session."""

        async def init(connection: asyncpg.Connection) -> None:
            if not address.is_pooled:
                await connection.execute(_PREFER_INDEXES)

        pool = await asyncpg.create_pool(
            connect=connect,
            init=init,
            reset=reset,
            min_size=0,
            max_size=connections,
            max_queries=1_000_000_000,
        )
        return cls(address, pool, cls.query_engine(address, connections), presence)

    @staticmethod
    def query_engine(address: Address, connections: int = 1) -> AsyncEngine:
        """SQLAlchemy alone, for a database that need not be Kanca's. Connects to nothing."""
        limits = {"max_overflow": 0, "pool_timeout": ACQUIRE_TIMEOUT_S}
        return _query_engine(address, STATEMENT_TIMEOUT, pool_size=connections, **limits)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection for one hot statement. Behind a pooler it is in a transaction already, else it commits alone.

        Raises DatabaseUnavailable, also for what the body meets; other errors of the server come as asyncpg's.
        """
        async with self._watched(), self._acquired() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection for several hot statements in one transaction. Raises as ``connection`` does."""
        async with (
            self._watched(),
            self.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection,
            connection.transaction(),
        ):
            yield connection

    async def run_hot(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Run ``work`` on a connection as ``connection`` gives it, again when it lost against another transaction."""
        async with self._watched():
            for tries_left in reversed(range(TRIES)):
                try:
                    async with self._acquired() as connection:
                        return await work(connection)
                except asyncpg.PostgresError as error:
                    if not tries_left or not is_retriable(error):
                        raise
        raise AssertionError("the last try returns or raises")

    @asynccontextmanager
    async def _acquired(self) -> AsyncIterator[asyncpg.Connection]:
        async with self.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            if self.address.is_pooled:
                async with connection.transaction():
                    yield connection
            else:
                yield connection

    async def write(
        self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a SQLAlchemy function in one transaction, again when it lost against another."""
        async with self._watched():
            for tries_left in reversed(range(TRIES)):
                try:
                    async with self.queries.begin() as connection:
                        return await connection.run_sync(change, *args, **kwargs)
                except DBAPIError as error:
                    if not tries_left or not is_retriable(error):
                        raise
        raise AssertionError("the last try returns or raises")

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a SQLAlchemy function in one read-only transaction."""
        async with self._watched(), self.queries.connect() as connection:
            await connection.execution_options(postgresql_readonly=True)
            return await connection.run_sync(query, *args, **kwargs)

    async def migrate(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction whose statements may take as long as they need."""
        engine = _query_engine(self.address, timedelta(0), poolclass=NullPool)
        with translated():
            try:
                async with engine.begin() as connection:
                    return await connection.run_sync(work)
            finally:
                await engine.dispose()

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        try:
            with translated():
                yield
        except DatabaseUnavailable as error:
            self._presence.failed(error)
            if error.__cause__ is not None and is_read_only(error.__cause__):
                # What the connections lead to was demoted; the address is another server's by now, or will be.
                await self.pool.expire_connections()
                await self.queries.dispose()
            raise
        self._presence.worked()

    async def now(self) -> datetime:
        """The database's clock."""
        async with self.connection() as connection:
            return cast(datetime, await connection.fetchval("SELECT kanca.now()"))

    async def close(self) -> None:
        """Close both pools; statements under way get a few seconds."""
        await self.queries.dispose()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.pool.close()
        except TimeoutError:
            self.pool.terminate()


def _query_engine(address: Address, statement_timeout: timedelta, **pool: Any) -> AsyncEngine:
    async def connect(**_: Any) -> asyncpg.Connection:
        return await address.connect(statement_timeout)

    unprepared = {
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": lambda: f"kanca_{uuid4().hex}",
    }
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        connect_args=unprepared if address.is_pooled else {},
        hide_parameters=True,  # they are what senders sent: errors, and with them logs, do not repeat it
        **pool,
    )

    @event.listens_for(engine.sync_engine, "checkout")
    def _refuse_dropped(connection: Any, record: Any, proxy: Any) -> None:  # noqa: ARG001  the event's signature
        # Costs nothing, unlike the round trip of pool_pre_ping.
        if connection.driver_connection.is_closed():
            raise DisconnectionError

    return engine
