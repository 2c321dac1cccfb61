"""The ``Database`` port on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property, partial
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from kanca.storage.appending import Appending
from kanca.storage.dialects.postgresql.accept import store
from kanca.storage.dialects.postgresql.address import read_address
from kanca.storage.dialects.postgresql.engine import PostgresEngine
from kanca.storage.ports import Accepting, QueueStore
from kanca.storage.tables import metadata

P = ParamSpec("P")
T = TypeVar("T")


class PostgresDatabase:
    """Everything in the schema ``kanca`` of one PostgreSQL database."""

    def __init__(self, engine: PostgresEngine) -> None:
        self.engine = engine
        self.accepting: Accepting = Appending(partial(store, engine))

    @classmethod
    async def open(cls, url: str, connections: int) -> PostgresDatabase:
        """Open ``postgresql://…``; nothing is connected yet. Raises InvalidSetting."""
        return cls(await PostgresEngine.open(read_address(url), connections))

    @cached_property
    def queue(self) -> QueueStore:
        from kanca.storage.dialects.postgresql.queue import PostgresQueue

        return PostgresQueue(self.engine)

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.engine.read(query, *args, **kwargs)

    async def write(
        self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.engine.write(change, *args, **kwargs)

    async def now(self) -> datetime:
        return await self.engine.now()

    async def migrate(self) -> None:
        def create(connection: Connection) -> None:
            connection.exec_driver_sql("CREATE SCHEMA kanca")
            connection.exec_driver_sql(
                "CREATE FUNCTION kanca.now() RETURNS timestamptz LANGUAGE sql STABLE"
                " AS $$ SELECT clock_timestamp() $$"
            )
            metadata.create_all(connection)

        await self.engine.write(create)

    async def close(self) -> None:
        await self.engine.close()
