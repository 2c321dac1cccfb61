"""Which workers are running."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from kanca.storage.clock import now
from kanca.storage.tables import handlers, node_types, workers
from kanca.storage.workflows import beyond

_LIVING_APPS = select(workers.c.app).where(workers.c.app.is_not(None), workers.c.expires_at > now)


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process, as its last heartbeat left it."""

    id: int
    hostname: str
    pid: int
    app: str | None
    """Where its handlers come from: ``module:object``."""
    started_at: datetime
    expires_at: datetime
    """When its lease ends unless it gives another sign."""
    concurrency: int
    active: int
    """Pieces of work in hand."""
    is_alive: bool
    """Its lease has not ended, by the database's clock."""


def running(connection: Connection) -> tuple[Worker, ...]:
    """Give every worker that has not signed off, the oldest first."""
    columns = [workers.c[name] for name in Worker.__slots__ if name != "is_alive"]
    query = select(*columns, (workers.c.expires_at > now).label("is_alive")).order_by(workers.c.id)
    return tuple(Worker(**row._asdict()) for row in connection.execute(query))


def living(connection: Connection) -> list[int]:
    """Give the numbers of the workers whose lease has not ended."""
    return list(connection.scalars(select(workers.c.id).where(workers.c.expires_at > now)))


@dataclass(frozen=True, slots=True)
class UnservedHandler:
    """A handler whose events wait."""

    name: str
    app: str
    """What a worker has to be started with."""


@dataclass(frozen=True, slots=True)
class UnservedWorkflow:
    """A published workflow whose runs wait."""

    id: str
    node_types: tuple[str, ...]
    """Those that Kanca does not have by itself: a worker is needed whose app has them all."""


def unserved_handlers(connection: Connection) -> tuple[UnservedHandler, ...]:
    """Give the announced handlers that no living worker has."""
    query = (
        select(handlers.c.name, handlers.c.app)
        .where(handlers.c.retired_at.is_(None), handlers.c.app.not_in(_LIVING_APPS))
        .order_by(handlers.c.number)
    )
    return tuple(UnservedHandler(*row) for row in connection.execute(query))


def unserved_workflows(connection: Connection, built_in: Collection[str]) -> tuple[UnservedWorkflow, ...]:
    """Give the published workflows that no living worker can run. ``built_in``: what every worker has."""
    needed = [(each.id, each.node_types.difference(built_in)) for each in beyond(connection, built_in)]
    apps = _node_types_of_living_apps(connection) if needed else []
    return tuple(
        UnservedWorkflow(workflow_id, tuple(sorted(types)))
        for workflow_id, types in needed
        if not any(types <= app for app in apps)
    )


def _node_types_of_living_apps(connection: Connection) -> list[set[str]]:
    query = select(node_types.c.app, node_types.c.name).where(
        node_types.c.retired_at.is_(None), node_types.c.app.in_(_LIVING_APPS)
    )
    names: dict[str, set[str]] = {}
    for app, name in connection.execute(query):
        names.setdefault(app, set()).add(name)
    return list(names.values())
