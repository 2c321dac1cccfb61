"""The ``Database`` port on SQLite."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property, partial
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from kanca.errors import InvalidSetting
from kanca.storage.appending import Appending
from kanca.storage.dialects.sqlite.accept import store
from kanca.storage.dialects.sqlite.engine import SqliteEngine
from kanca.storage.ports import Accepting, QueueStore
from kanca.storage.tables import metadata
from kanca.storage.types import from_microseconds

P = ParamSpec("P")
T = TypeVar("T")

_PREFIX = "sqlite:///"


class SqliteDatabase:
    """Everything in one SQLite file."""

    def __init__(self, engine: SqliteEngine) -> None:
        self.engine = engine
        self.accepting: Accepting = Appending(partial(store, engine))

    @classmethod
    async def open(cls, url: str, readers: int) -> SqliteDatabase:
        """Open ``sqlite:///relative/path`` or ``sqlite:////absolute/path``. Raises InvalidSetting, DatabaseUnavailable."""
        path = url.removeprefix(_PREFIX)
        if not url.startswith(_PREFIX) or path in {"", ":memory:"} or "?" in path:
            raise InvalidSetting(
                "KANCA_DATABASE_URL must name a file: sqlite:///relative/path or sqlite:////absolute/path"
            )
        return cls(await SqliteEngine.open(path, readers))

    @cached_property
    def queue(self) -> QueueStore:
        from kanca.storage.dialects.sqlite.queue import SqliteQueue

        return SqliteQueue(self.engine)

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.engine.read(query, *args, **kwargs)

    async def write(
        self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.engine.write(change, *args, **kwargs)

    async def now(self) -> datetime:
        return from_microseconds(self.engine.clock.now_us())

    async def migrate(self) -> None:
        await self.engine.write(metadata.create_all)

    async def close(self) -> None:
        await self.engine.close()
