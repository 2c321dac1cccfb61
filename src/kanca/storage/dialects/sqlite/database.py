"""The ``Database`` port on SQLite."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from kanca.errors import InvalidSetting
from kanca.storage.appending import Appending
from kanca.storage.dialects.schema import begin_migrating
from kanca.storage.dialects.sqlite import measuring
from kanca.storage.dialects.sqlite.accept import store
from kanca.storage.dialects.sqlite.engine import SqliteEngine
from kanca.storage.dialects.sqlite.horizon import SqliteHorizon
from kanca.storage.dialects.sqlite.pipe import PipeMessenger
from kanca.storage.dialects.sqlite.queue import SqliteQueue
from kanca.storage.dialects.sqlite.retention import drop_expired
from kanca.storage.measuring import StorageReadings
from kanca.storage.migrating import alone_in_this_process, upgrade
from kanca.storage.moves import Moves, noting
from kanca.storage.ports import Accepting, ConnectionRoom, Horizon, QueueStore, Waker
from kanca.storage.presence import Presence
from kanca.storage.types import from_microseconds
from kanca.storage.waking import Bell, BellWaker

P = ParamSpec("P")
T = TypeVar("T")

_PREFIX = "sqlite:///"


class SqliteDatabase:
    """Everything in one SQLite file."""

    def __init__(self, engine: SqliteEngine) -> None:
        self.engine = engine
        self.accepting: Accepting = Appending(partial(store, engine))
        self.queue: QueueStore = SqliteQueue(engine)
        self.moves = Moves()
        self._bell = Bell()
        self._messenger = PipeMessenger(self._bell, os.environ)

    @classmethod
    async def open(cls, url: str, readers: int, *, is_quiet: bool = False) -> SqliteDatabase:
        """Open ``sqlite:///relative`` or ``sqlite:////absolute/path``. Raises InvalidSetting, DatabaseUnavailable."""
        path = url.removeprefix(_PREFIX)
        if not url.startswith(_PREFIX) or path in {"", ":memory:"} or "?" in path:
            raise InvalidSetting(
                "KANCA_DATABASE_URL must name a file: sqlite:///relative/path or sqlite:////absolute/path"
            )
        return cls(await SqliteEngine.open(path, readers, Presence(is_quiet=is_quiet)))

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.engine.read(query, *args, **kwargs)

    async def write(
        self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        moved: set[str] = set()
        done = await self.engine.write(noting(change, moved), *args, **kwargs)
        self.moves.tell(moved)
        return done

    async def now(self) -> datetime:
        return from_microseconds(self.engine.clock.now_us())

    async def migrate(self) -> None:
        await self.migrating(upgrade)
        await self.prepare_storage()

    async def migrating(self, work: Callable[[Connection], T]) -> T:
        def alone(connection: Connection) -> T:
            begin_migrating(connection)
            return work(connection)

        async with alone_in_this_process():
            return await self.engine.migrate(alone)

    async def prepare_storage(self, days_ahead: int = 14) -> None:
        """Nothing to prepare: a file grows by itself."""

    async def drop_expired(self, before: datetime, *, keeps_dead_letters: bool = False) -> int:
        return await drop_expired(self.engine, before, keeps_dead_letters=keeps_dead_letters)

    async def wipe(self) -> None:
        await self.engine.empty_journal()

    def horizon(self) -> Horizon:
        return SqliteHorizon(self.engine)

    def waker(self) -> Waker:
        return BellWaker(self._bell, self._messenger)

    async def warnings(self) -> list[str]:
        return []

    async def oldest_snapshot_age(self) -> timedelta | None:
        return None

    async def connection_room(self) -> ConnectionRoom | None:
        return None

    async def measure(self) -> StorageReadings:
        return await measuring.storage(self.engine)

    async def close(self) -> None:
        await self._messenger.close()
        await self.engine.close()
