"""What the tables say of the work there is, for metrics: asked every few seconds at most."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from kanca.domain.subscription import SubscriptionStatus, status_of
from kanca.domain.task import TaskKind, TaskState
from kanca.storage.clock import now
from kanca.storage.tables import OPEN, UNFINISHED, dead_letters, runs, subscriptions, tasks, waits, workers
from kanca.storage.types import from_microseconds


@dataclass(frozen=True, slots=True)
class TaskCount:
    """The tasks of one kind that are in one state."""

    kind: TaskKind
    state: TaskState
    count: int
    waiting_since: datetime | None
    """When the first of them became due; None while none is."""


@dataclass(frozen=True, slots=True)
class StorageReadings:
    """What a database says of itself."""

    table_bytes: dict[str, int]
    """With indexes and partitions; empty where tables have no size of their own."""
    total_bytes: int
    dedupe_keys: int
    """About so many."""
    free_bytes: int | None = None
    """On the disk, where that is this machine's."""
    connections: int | None = None
    """Of Kanca's processes, all of them."""
    connections_max: int | None = None


@dataclass(frozen=True, slots=True)
class WorkReadings:
    """What there is to do."""

    tasks: tuple[TaskCount, ...]
    now: datetime
    """By the database's clock."""
    dead_letters: dict[TaskKind, int]
    runs: dict[str, int]
    """Unfinished ones, by status."""
    waits: int
    """Open ones."""
    subscriptions: dict[SubscriptionStatus, int]
    workers: int
    """Alive."""


def work(connection: Connection) -> WorkReadings:
    """Count what there is to do. Reads all of the queue: ask rarely."""
    return WorkReadings(
        tasks=_tasks(connection),
        now=connection.execute(select(now)).scalar_one(),
        dead_letters=_dead_letters(connection),
        runs={
            str(status): count
            for status, count in connection.execute(
                select(runs.c.status, func.count()).where(UNFINISHED).group_by(runs.c.status)
            )
        },
        waits=connection.scalar(select(func.count()).select_from(waits).where(OPEN)) or 0,
        subscriptions=_subscriptions(connection),
        workers=connection.scalar(select(func.count()).select_from(workers).where(workers.c.expires_at > now))
        or 0,
    )


def _tasks(connection: Connection) -> tuple[TaskCount, ...]:
    query = select(
        tasks.c.kind, tasks.c.state, func.count(), func.min(tasks.c.position), func.min(tasks.c.due_at)
    ).group_by(tasks.c.kind, tasks.c.state)
    return tuple(
        TaskCount(TaskKind(kind), TaskState(state), count, _since(TaskState(state), position, due_at))
        for kind, state, count, position, due_at in connection.execute(query)
    )


def _since(state: TaskState, position: int, due_at: datetime | None) -> datetime | None:
    """The moment from which the first of these tasks could have been worked on."""
    if state is TaskState.READY:
        return from_microseconds(position)
    return due_at if state is TaskState.SCHEDULED else None


def _dead_letters(connection: Connection) -> dict[TaskKind, int]:
    query = select(dead_letters.c.kind, func.count()).group_by(dead_letters.c.kind)
    return {TaskKind(kind): count for kind, count in connection.execute(query)}


def _subscriptions(connection: Connection) -> dict[SubscriptionStatus, int]:
    marks = (subscriptions.c.is_active, subscriptions.c.is_verified, subscriptions.c.disabled_reason)
    query = select(*marks, func.count()).where(subscriptions.c.deleted_at.is_(None)).group_by(*marks)
    found: Counter[SubscriptionStatus] = Counter()
    for is_active, is_verified, disabled_reason, count in connection.execute(query):
        found[
            status_of(is_active=is_active, is_verified=is_verified, is_disabled=disabled_reason is not None)
        ] += count
    return dict(found)
