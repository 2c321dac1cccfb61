"""The ``Database`` port on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from kanca.storage.dialects.on_engine import OnEngine
from kanca.storage.dialects.postgresql import health, measuring
from kanca.storage.dialects.postgresql.accept import store
from kanca.storage.dialects.postgresql.address import DIRECT_URL, read_address
from kanca.storage.dialects.postgresql.engine import PostgresEngine
from kanca.storage.dialects.postgresql.horizon import PostgresHorizon
from kanca.storage.dialects.postgresql.notifications import NotifyMessenger
from kanca.storage.dialects.postgresql.partitions import make_partitions, missing_day
from kanca.storage.dialects.postgresql.queue import PostgresQueue
from kanca.storage.dialects.postgresql.retention import drop_expired
from kanca.storage.measuring import StorageReadings
from kanca.storage.migrating import upgrade
from kanca.storage.ports import ConnectionRoom, Horizon
from kanca.storage.presence import Presence
from kanca.storage.waking import Bell

P = ParamSpec("P")
T = TypeVar("T")


class PostgresDatabase(OnEngine[PostgresEngine]):
    """Everything in the schema ``kanca`` of one PostgreSQL database."""

    def __init__(self, engine: PostgresEngine) -> None:
        self._direct = engine.direct
        bell = Bell()
        messenger = NotifyMessenger(bell, engine.direct)
        super().__init__(engine, partial(store, engine), PostgresQueue(engine), bell, messenger)

    @classmethod
    async def open(
        cls, url: str, connections: int, direct_url: str | None = None, *, is_quiet: bool = False
    ) -> PostgresDatabase:
        """Open ``postgresql://…``; nothing is connected yet. Raises InvalidSetting."""
        direct = None if direct_url is None else read_address(direct_url, DIRECT_URL)
        presence = Presence(is_quiet=is_quiet)
        return cls(await PostgresEngine.open(read_address(url), connections, presence, direct))

    async def write(
        self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        made: set[date] = set()
        while True:
            try:
                return await super().write(change, *args, **kwargs)
            except DBAPIError as error:
                # A day that nobody has made yet, or that went with what was old: it comes back, and goes again.
                day = missing_day(error)
                if day is None or day in made:
                    raise
                made.add(day)
                await make_partitions(self.engine, [day])

    async def now(self) -> datetime:
        return await self.engine.now()

    async def migrate(self) -> None:
        await self.migrating(upgrade)
        await self.prepare_storage()

    async def prepare_storage(self, days_ahead: int = 14) -> None:
        today = (await self.engine.now()).date()
        await make_partitions(self.engine, [today + timedelta(days=ahead) for ahead in range(days_ahead + 1)])

    async def drop_expired(self, before: datetime, *, keeps_dead_letters: bool = False) -> int:
        return await drop_expired(self._direct, before, keeps_dead_letters=keeps_dead_letters)

    async def wipe(self) -> None:
        """Nothing to do: vacuum takes what is dead, and what it leaves in free space is the server's own business."""

    def horizon(self) -> Horizon:
        return PostgresHorizon(self.engine)

    async def warnings(self) -> list[str]:
        return await health.warnings(self.engine.address, self._direct)

    async def oldest_snapshot_age(self) -> timedelta | None:
        return await health.oldest_snapshot_age(self._direct)

    async def connection_room(self) -> ConnectionRoom | None:
        return await health.connection_room(self._direct)

    async def measure(self) -> StorageReadings:
        return await measuring.storage(self.engine)
