"""The ``QueueStore`` port on SQLite: a subject a module, hand-written statements in each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from kanca.domain.event import StoredEvent
from kanca.domain.task import SUSPECT_LANE, Completion, NewTask, Task, TaskKind
from kanca.storage.completions import write_each
from kanca.storage.dialects.sqlite import claim, finish, leases, promotion, reading
from kanca.storage.dialects.sqlite.engine import SqliteEngine
from kanca.storage.instances import Description
from kanca.storage.ports import Capabilities, LaneAsk, Promoted, Rescued

# Deliveries do not close the door to what comes in.
_BACKLOG = f"""
SELECT count(*) FROM (SELECT 1 FROM kanca_tasks WHERE state IN (0, 1) AND lane <= {SUSPECT_LANE} LIMIT ?)
"""  # noqa: S608 - a constant


class SqliteQueue:
    """The durable queue in one file."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    async def register(
        self,
        hostname: str,
        pid: int,
        app: str | None,
        concurrency: int,
        lease: timedelta,
        description: Description | None = None,
    ) -> int:
        return await leases.register(self._engine, hostname, pid, app, concurrency, lease, description)

    async def heartbeat(self, worker: int, lease: timedelta, active: int) -> bool:
        return await leases.heartbeat(self._engine, worker, lease, active)

    async def expire(self, worker: int) -> None:
        await leases.expire(self._engine, worker)

    async def leave(self, worker: int) -> int:
        return await leases.leave(self._engine, worker)

    async def enqueue(self, tasks: Sequence[NewTask]) -> None:
        await finish.enqueue(self._engine, tasks)

    async def claim(
        self, worker: int, limit: int, capabilities: Capabilities, asks: Sequence[LaneAsk]
    ) -> list[tuple[Task, int]]:
        return await claim.claim(self._engine, worker, limit, capabilities, asks)

    async def read_claimed(self, ids: Collection[UUID]) -> tuple[str, dict[UUID, StoredEvent]]:
        return await reading.read_claimed(self._engine, ids)

    async def has_suspects(self, capabilities: Capabilities) -> bool:
        return await claim.has_suspects(self._engine, capabilities)

    async def put_back(self, worker: int, held: Collection[int], *, deliveries: bool) -> int:
        return await leases.put_back(self._engine, worker, held, deliveries=deliveries)

    async def finish(self, worker: int, batch: Sequence[Completion]) -> list[bool | Exception]:
        return await write_each(partial(finish.write, self._engine, worker), batch)

    async def promote(self, limit: int) -> Promoted:
        return await promotion.promote(self._engine, limit)

    async def rescue(self, rescuer: int, max_crashes: int) -> Rescued:
        return await leases.rescue(self._engine, rescuer, max_crashes)

    async def unpark(self, kind: TaskKind, target: int) -> int:
        return await promotion.unpark(self._engine, kind, target)

    async def unpark_some(self, kind: TaskKind, wanted: Mapping[int, int]) -> dict[int, int]:
        return await promotion.unpark_some(self._engine, kind, wanted)

    async def backlog(self, limit: int) -> int:
        return await self._engine.run_read(
            lambda connection: int(connection.execute(_BACKLOG, (limit,)).fetchone()[0])
        )
