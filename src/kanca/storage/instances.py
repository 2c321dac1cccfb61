"""Which instances are running: gateways and workers, and what each says of itself."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, literal, null, select, update

from kanca.storage.clock import now
from kanca.storage.tables import gateways, workers

KEPT_DEAD = timedelta(minutes=10)
"""How long a gateway that gave no more sign is listed."""


class InstanceKind(StrEnum):
    """What an instance does."""

    GATEWAY = "gateway"
    WORKER = "worker"


class InstanceState(StrEnum):
    """What an instance is about to do."""

    RUNNING = "running"
    STOPPING = "stopping"
    """It takes nothing new."""


@dataclass(frozen=True, slots=True)
class Description:
    """What an instance says of itself."""

    version: str
    """Of Kanca."""
    revision: str
    """The newest revision of the schema that it knows."""
    state: InstanceState
    connections: int | None
    """How many connections to PostgreSQL it opens at most; None where there is none to connect to."""
    clock_ahead_ms: int
    """How far the clock of its machine is ahead of the database's."""


def described(description: Description | None) -> tuple[object, ...]:
    """The columns of a description in the order of its fields; nulls for one that says nothing of itself."""
    return (None,) * len(fields(Description)) if description is None else astuple(description)


@dataclass(frozen=True, slots=True)
class Instance:
    """A gateway or a worker, as its last sign left it."""

    kind: InstanceKind
    id: int
    """Its number among those of its kind."""
    hostname: str
    pid: int
    address: str | None
    """Where a gateway listens."""
    app: str | None
    """Where a worker's handlers come from: ``module:object``."""
    started_at: datetime
    expires_at: datetime
    """When it counts as dead unless it gives another sign."""
    concurrency: int
    """Pieces of work that a worker has in hand at most."""
    active: int
    """Pieces of work in hand."""
    version: str | None
    """None of this and what follows: it is of a version that does not say so."""
    revision: str | None
    state: InstanceState
    connections: int | None
    clock_ahead_ms: int | None
    is_alive: bool
    """It has given a sign in time, by the database's clock."""


def running(connection: Connection) -> tuple[Instance, ...]:
    """Give every instance that has not signed off: workers, then gateways, the oldest first."""
    names = [field.name for field in fields(Description)]
    of_workers = select(
        literal(InstanceKind.WORKER.value).label("kind"),
        *(workers.c[name] for name in ("id", "hostname", "pid")),
        null().label("address"),
        *(workers.c[name] for name in ("app", "started_at", "expires_at", "concurrency", "active")),
        *(workers.c[name] for name in names),
        (workers.c.expires_at > now).label("is_alive"),
    ).order_by(workers.c.id)
    of_gateways = select(
        literal(InstanceKind.GATEWAY.value).label("kind"),
        *(gateways.c[name] for name in ("id", "hostname", "pid", "address")),
        null().label("app"),
        *(gateways.c[name] for name in ("started_at", "expires_at")),
        literal(0).label("concurrency"),
        literal(0).label("active"),
        *(gateways.c[name] for name in names),
        (gateways.c.expires_at > now).label("is_alive"),
    ).order_by(gateways.c.id)
    rows = [row._asdict() for query in (of_workers, of_gateways) for row in connection.execute(query)]
    return tuple(
        Instance(
            **row | {"kind": InstanceKind(row["kind"]), "state": InstanceState(row["state"] or "running")}
        )
        for row in rows
    )


def enter_gateway(
    connection: Connection,
    hostname: str,
    pid: int,
    address: str | None,
    lease: timedelta,
    description: Description,
) -> int:
    """Enter a gateway, and forget those that are dead for long; gives its number."""
    at = _now(connection)
    connection.execute(delete(gateways).where(gateways.c.expires_at < at - KEPT_DEAD))
    row = {"hostname": hostname, "pid": pid, "address": address, "started_at": at, "expires_at": at + lease}
    done = connection.execute(insert(gateways).values(**row, **asdict(description)).returning(gateways.c.id))
    return int(done.scalar_one())


def extend_gateway(connection: Connection, number: int, lease: timedelta, description: Description) -> bool:
    """Give a gateway's sign of life; False when it has been forgotten."""
    change = update(gateways).where(gateways.c.id == number)
    done = connection.execute(change.values(expires_at=_now(connection) + lease, **asdict(description)))
    return done.rowcount == 1


def leave_gateway(connection: Connection, number: int) -> None:
    """Sign a gateway off."""
    connection.execute(delete(gateways).where(gateways.c.id == number))


def describe_worker(connection: Connection, number: int, description: Description) -> bool:
    """Note what a worker says of itself; False when it has been cleared away. Its lease is not extended by it."""
    change = update(workers).where(workers.c.id == number).values(**asdict(description))
    return connection.execute(change).rowcount == 1


def _now(connection: Connection) -> datetime:
    return connection.execute(select(now)).scalar_one()
