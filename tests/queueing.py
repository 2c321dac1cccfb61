"""Short words for tests of the queue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Table, insert, select

from kanca.domain.ids import IdFactory
from kanca.domain.positions import PositionClock
from kanca.domain.status import OutcomeStatus
from kanca.domain.task import (
    LANES,
    SUSPECT_LANE,
    Attempt,
    Completion,
    Dead,
    DeadLetter,
    Disposition,
    Done,
    NewTask,
    Outcome,
    Records,
    Task,
    TaskKind,
    order_key_of,
)
from kanca.storage.dialects.postgresql.database import PostgresDatabase
from kanca.storage.dialects.sqlite.database import SqliteDatabase
from kanca.storage.ports import Capabilities, Database, LaneAsk, QueueStore
from kanca.storage.tables import events, tasks

new_id = IdFactory().new
EVERYTHING = Capabilities({})
LEASE = timedelta(seconds=30)


def dispatch(target: int = 1, ref: UUID | None = None) -> NewTask:
    return NewTask(TaskKind.DISPATCH, ref or new_id(), target)


def call(target: int = 1, ref: UUID | None = None, key: str | None = None, **more: Any) -> NewTask:
    order_key = None if key is None else order_key_of(key)
    return NewTask(TaskKind.CALL, ref or new_id(), target, order_key=order_key, **more)


async def register(queue: QueueStore, lease: timedelta = LEASE) -> int:
    return await queue.register("host", 1, None, 10, lease)


def every_lane(share: int) -> list[LaneAsk]:
    return [LaneAsk(lane, 0, share) for lane in range(LANES)]


async def claim(
    queue: QueueStore, worker: int, limit: int = 1_000, capabilities: Capabilities = EVERYTHING
) -> list[Task]:
    """Claim from all lanes but that of the suspects, in the order of positions."""
    found = await queue.claim(worker, limit, capabilities, every_lane(limit))
    return [task for task, _ in sorted(found, key=lambda row: row[1])]


async def claim_suspect(queue: QueueStore, worker: int) -> list[Task]:
    return [task for task, _ in await queue.claim(worker, 1, EVERYTHING, [LaneAsk(SUSPECT_LANE, 0, 1)])]


def outcome(task: Task, status: OutcomeStatus = OutcomeStatus.SUCCEEDED, **more: Any) -> Outcome:
    return Outcome(task.ref, f"{task.kind.name.lower()}:{task.target}", status, **more)


def done(task: Task, **more: Any) -> Completion:
    return Completion(task, Done(), Records(outcomes=(outcome(task, **more),)))


def said(task: Task, disposition: Disposition, **records: Any) -> Completion:
    return Completion(task, disposition, Records(**records))


def failed_attempt(task: Task) -> Attempt:
    now = datetime.now(UTC)
    number = task.attempt + 1
    return Attempt(
        new_id(), task.ref, "handler:x", task.ref, number, now, now, "handler_error", b'{"code":"x"}'
    )


def dead(task: Task, code: str = "handler_error") -> Completion:
    letter = DeadLetter(
        new_id(),
        task.kind,
        task.ref,
        task.target,
        task.detail,
        task.order_key,
        task.ref,
        "handler:x",
        1,
        "default",
        "order.created",
        task.attempt + 1,
        code,
        b'{"code":"x","message":"no"}',
        datetime.now(UTC),
        b"the body",
    )
    return said(
        task,
        Dead(),
        outcomes=(outcome(task, OutcomeStatus.DEAD, ref=letter.id, works=1),),
        dead_letters=(letter,),
    )


class Hand:
    """A clock that is set by hand, in seconds and in microseconds since 1970."""

    def __init__(self, seconds: float = 1_800_000_000.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds

    def now_us(self) -> int:
        return int(self.seconds * 1_000_000)


def set_positions(database: Database, clock: Hand) -> None:
    """Give new tasks of this process positions by that clock."""
    match database:
        case SqliteDatabase() | PostgresDatabase():
            database.engine.positions = PositionClock(clock.now_us)


class Bell:
    """A waker that counts how often somebody woke the others."""

    def __init__(self) -> None:
        self.rung = 0

    def wake(self) -> None:
        self.rung += 1

    async def wait(self, timeout: timedelta) -> bool:
        raise AssertionError("nobody waits for this one")

    async def close(self) -> None:
        """Nothing is open."""


class Overheard:
    """A queue whose last claim can be looked at."""

    def __init__(self, queue: QueueStore) -> None:
        self._queue = queue
        self.asks: Sequence[LaneAsk] = ()
        self.limit = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    async def claim(
        self, worker: int, limit: int, capabilities: Capabilities, asks: Sequence[LaneAsk]
    ) -> list[tuple[Task, int]]:
        self.limit, self.asks = limit, asks
        return await self._queue.claim(worker, limit, capabilities, asks)


async def rows(database: Database, table: Table = tasks) -> list[Row[Any]]:
    """All rows of a table, in the order of its key."""

    def query(connection: Connection) -> list[Row[Any]]:
        return list(connection.execute(select(table).order_by(*table.primary_key)))

    return await database.read(query)


async def add_event(database: Database, event_id: UUID, endpoint: int) -> None:
    """Store an event without a task."""
    values = {
        "id": event_id,
        "endpoint": endpoint,
        "tenant": "default",
        "type": "order.created",
        "received_at": datetime.now(UTC),
        "correlation_id": "c",
        "request": b"{}",
        "body": b"{}",
    }

    def write(connection: Connection) -> None:
        connection.execute(insert(events), values)

    await database.write(write)
