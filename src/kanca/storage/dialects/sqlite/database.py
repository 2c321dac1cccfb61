"""The ``Database`` port on SQLite."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from functools import partial

from kanca.errors import InvalidSetting
from kanca.storage.dialects.on_engine import OnEngine
from kanca.storage.dialects.sqlite import measuring
from kanca.storage.dialects.sqlite.accept import store
from kanca.storage.dialects.sqlite.engine import SqliteEngine
from kanca.storage.dialects.sqlite.horizon import SqliteHorizon
from kanca.storage.dialects.sqlite.pipe import PipeMessenger
from kanca.storage.dialects.sqlite.queue import SqliteQueue
from kanca.storage.dialects.sqlite.retention import drop_expired
from kanca.storage.measuring import StorageReadings
from kanca.storage.migrating import upgrade
from kanca.storage.ports import ConnectionRoom, Horizon
from kanca.storage.presence import Presence
from kanca.storage.types import from_microseconds
from kanca.storage.waking import Bell

_PREFIX = "sqlite:///"


class SqliteDatabase(OnEngine[SqliteEngine]):
    """Everything in one SQLite file."""

    def __init__(self, engine: SqliteEngine) -> None:
        bell = Bell()
        messenger = PipeMessenger(bell, os.environ)
        super().__init__(engine, partial(store, engine), SqliteQueue(engine), bell, messenger)

    @classmethod
    async def open(cls, url: str, readers: int, *, is_quiet: bool = False) -> SqliteDatabase:
        """Open ``sqlite:///relative`` or ``sqlite:////absolute/path``. Raises InvalidSetting, DatabaseUnavailable."""
        path = url.removeprefix(_PREFIX)
        if not url.startswith(_PREFIX) or path in {"", ":memory:"} or "?" in path:
            raise InvalidSetting(
                "KANCA_DATABASE_URL must name a file: sqlite:///relative/path or sqlite:////absolute/path"
            )
        return cls(await SqliteEngine.open(path, readers, Presence(is_quiet=is_quiet)))

    async def now(self) -> datetime:
        return from_microseconds(self.engine.clock.now_us())

    async def migrate(self) -> None:
        await self.migrating(upgrade)
        await self.prepare_storage()

    async def prepare_storage(self, days_ahead: int = 14) -> None:
        """Nothing to prepare: a file grows by itself."""

    async def drop_expired(self, before: datetime, *, keeps_dead_letters: bool = False) -> int:
        return await drop_expired(self.engine, before, keeps_dead_letters=keeps_dead_letters)

    async def wipe(self) -> None:
        await self.engine.empty_journal()

    def horizon(self) -> Horizon:
        return SqliteHorizon(self.engine)

    async def warnings(self) -> list[str]:
        return []

    async def oldest_snapshot_age(self) -> timedelta | None:
        return None

    async def connection_room(self) -> ConnectionRoom | None:
        return None

    async def measure(self) -> StorageReadings:
        return await measuring.storage(self.engine)
