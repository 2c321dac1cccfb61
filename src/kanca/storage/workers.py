"""Which workers are running."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from kanca.storage.clock import now
from kanca.storage.tables import handlers, workers


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
    query = select(workers, (workers.c.expires_at > now).label("is_alive")).order_by(workers.c.id)
    return tuple(Worker(**row._asdict()) for row in connection.execute(query))


@dataclass(frozen=True, slots=True)
class UnservedHandler:
    """A handler whose events wait."""

    name: str
    app: str
    """What a worker has to be started with."""


def unserved_handlers(connection: Connection) -> tuple[UnservedHandler, ...]:
    """Give the announced handlers that no living worker has."""
    served = select(workers.c.app).where(workers.c.app.is_not(None), workers.c.expires_at > now)
    query = (
        select(handlers.c.name, handlers.c.app)
        .where(handlers.c.retired_at.is_(None), handlers.c.app.not_in(served))
        .order_by(handlers.c.number)
    )
    return tuple(UnservedHandler(*row) for row in connection.execute(query))
