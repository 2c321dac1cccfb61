"""The work that events mean: tasks, who does them, and what came of them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)

from kanca.domain.task import TaskKind, TaskState
from kanca.storage.tables.schema import BY_DAY, NEVER_REUSED, metadata
from kanca.storage.types import Id, Instant, Number

tasks = Table(
    "tasks",
    metadata,
    Column("id", Number, Identity(), primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("target", Integer, nullable=False),
    Column("position", BigInteger, nullable=False, comment="microseconds; the order within a lane"),
    Column("ref", Id, nullable=False),
    Column("due_at", Instant),
    Column("attempt", SmallInteger, nullable=False, server_default="0"),
    Column("crashes", SmallInteger, nullable=False, server_default="0"),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("worker", Integer),
    Column("order_key", BigInteger),
    Column("detail", LargeBinary),
    Column("signals", Integer, nullable=False, server_default="0", comment="news for whoever waits"),
    # Updated and deleted from all the time: room for updates within the page, and vacuum soon and unhurried by costs.
    postgresql_with={
        "fillfactor": "70",
        "autovacuum_vacuum_threshold": "1000",
        "autovacuum_vacuum_scale_factor": "0.05",
        "autovacuum_vacuum_cost_delay": "0",
        "autovacuum_analyze_scale_factor": "0.2",
    },
    **NEVER_REUSED,
)
for _name, _columns, _where in (
    ("ready", ("lane", "position"), f"state = {TaskState.READY:d}"),
    ("scheduled", ("due_at",), f"state = {TaskState.SCHEDULED:d}"),
    ("parked", ("target", "position"), f"state = {TaskState.PARKED:d} AND order_key IS NULL"),
    # Ordered tasks: those that wait for their turn, and those that have it.
    (
        "waiting",
        ("target", "order_key", "ref", "id"),
        f"state = {TaskState.PARKED:d} AND order_key IS NOT NULL",
    ),
    ("released", ("target", "order_key"), f"state <> {TaskState.PARKED:d} AND order_key IS NOT NULL"),
):
    Index(
        f"ix_tasks_{_name}",
        *(tasks.c[c] for c in _columns),
        postgresql_where=text(_where),
        sqlite_where=text(_where),
    )
# Open deliveries are tasks: found by their event, and by their subscription.
_IS_DELIVERY = text(f"kind = {TaskKind.DELIVER:d}")
for _name, _columns in (("delivery", ("ref", "target")), ("subscription", ("target", "ref"))):
    Index(
        f"ix_tasks_{_name}",
        *(tasks.c[c] for c in _columns),
        postgresql_where=_IS_DELIVERY,
        sqlite_where=_IS_DELIVERY,
    )

handlers = Table(
    "handlers",
    metadata,
    Column("number", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("app", Text, nullable=False),
    Column("spec", Text, nullable=False, comment="what it listens to and how it is retried, as JSON"),
    Column("announced_at", Instant, nullable=False),
    Column("retired_at", Instant),
)

node_types = Table(
    "node_types",
    metadata,
    Column("name", Text, primary_key=True),
    Column("app", Text, nullable=False),
    Column("spec", Text, nullable=False, comment="what GET /api/node-types shows of it, as JSON"),
    Column("announced_at", Instant, nullable=False),
    Column("retired_at", Instant),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("event_id", Id, primary_key=True),
    Column("work", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("works", Integer),
    Column("reason", Text),
    Column("result", LargeBinary),
    Column("attempt_number", SmallInteger, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("ref", Id),
    postgresql_partition_by="RANGE (event_id)",
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("event_id", Id),
    Column("work", Text, nullable=False),
    Column("call_id", Id, nullable=False),
    Column("attempt_number", SmallInteger, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant, nullable=False),
    Column("code", Text, nullable=False),
    Column("error", LargeBinary, nullable=False),
    Index(None, "event_id"),
    Index(None, "call_id"),
    **BY_DAY,
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    Column("ref", Id, nullable=False),
    Column("target", Integer, nullable=False),
    Column("detail", LargeBinary),
    Column("order_key", BigInteger),
    Column("event_id", Id, index=True),
    Column("work", Text, nullable=False),
    Column("endpoint", Integer),
    Column("tenant", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("error", LargeBinary, nullable=False),
    Column("failed_at", Instant, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("expunged_at", Instant, comment="its payload is gone: it is not retried any more"),
)
