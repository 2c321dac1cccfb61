"""The first schema: everything as of the first release.

Revision ID: 0001
Revises: nothing
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    UniqueConstraint,
    table,
    text,
)

from kanca.storage.dialects.schema import has_schemas
from kanca.storage.types import Id, Instant, Number

revision = "0001"
down_revision = None

FIRST_NUMBER = 100
"""Of the endpoints that people create; smaller ones are built in."""

BUILT_IN = (
    (1, "wh_000000000000000000000001", "/webhooks/receive"),
    (2, "wh_000000000000000000000002", "/webhooks/receive-content-hash"),
)

TABLES = (
    "endpoints",
    "versions",
    "handlers",
    "node_types",
    "workflows",
    "workflow_versions",
    "workers",
    "events",
    "dedupe",
    "tasks",
    "outcomes",
    "attempts",
    "dead_letters",
    "runs",
    "steps",
    "statistics",
    "rejections",
)

_CLOCK = """
    CREATE FUNCTION kanca.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT clock_timestamp() $$
"""


def upgrade() -> None:
    """Create the clock, the tables with their indexes, and the built-in endpoints."""
    is_on_server = has_schemas(op.get_context().dialect)
    if is_on_server:
        # Due times and leases are compared with this clock; tests replace it by one that is moved.
        op.execute(_CLOCK)
    sections: tuple[Callable[[], None], ...] = (_configuration, _received, _queue, _results, _runs, _counters)
    for create in sections:
        create()
    _add_built_in_endpoints()
    if not is_on_server:
        # What Identity(start=100) says on a server.
        op.execute(f"UPDATE sqlite_sequence SET seq = {FIRST_NUMBER - 1} WHERE name = 'kanca_endpoints'")  # noqa: S608 - a number of our own


def downgrade() -> None:
    """Drop everything, with all data."""
    for name in reversed(TABLES):
        op.drop_table(name, schema="kanca")
    if has_schemas(op.get_context().dialect):
        op.execute("DROP FUNCTION kanca.now()")


def _add_built_in_endpoints() -> None:
    """Insert the endpoints behind ``/webhooks/receive``. Their secret is a setting, not a column."""
    columns: dict[str, Any] = {
        "number": Integer(),
        "webhook_id": Text(),
        "name": Text(),
        "provider": Text(),
        "tenant": Text(),
        "config": Text(),
        "secrets": LargeBinary(),
        "is_active": Boolean(),
        "is_paused": Boolean(),
        "created_at": Instant(),
        "updated_at": Instant(),
    }
    endpoints = table("endpoints", *(Column(name, kind) for name, kind in columns.items()), schema="kanca")
    now = datetime.now(UTC)
    op.bulk_insert(
        endpoints,
        [
            {
                "number": number,
                "webhook_id": webhook_id,
                "name": name,
                "provider": "kanca",
                "tenant": "default",
                "config": "{}",
                "secrets": b"",
                "is_active": True,
                "is_paused": False,
                "created_at": now,
                "updated_at": now,
            }
            for number, webhook_id, name in BUILT_IN
        ],
    )


def _configuration() -> None:
    """Create what people configure, and what processes know of each other."""
    op.create_table(
        "endpoints",
        Column("number", Integer, Identity(start=100), nullable=False),
        Column("webhook_id", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("slug", Text),
        Column("provider", Text, nullable=False),
        Column("tenant", Text, nullable=False),
        Column("workflow_id", Text),
        Column("node_id", Text),
        Column("config", Text, nullable=False),
        Column("secrets", LargeBinary, nullable=False, comment="encrypted: [{value, expires_at}]"),
        Column("is_active", Boolean, nullable=False),
        Column("is_paused", Boolean, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        Column("deleted_at", Instant),
        PrimaryKeyConstraint("number", name="pk_endpoints"),
        UniqueConstraint("webhook_id", name="uq_endpoints_webhook_id"),
        schema="kanca",
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_endpoints_slug",
        "endpoints",
        ["slug"],
        schema="kanca",
        unique=True,
        postgresql_where=text("deleted_at IS NULL"),
        sqlite_where=text("deleted_at IS NULL"),
    )
    op.create_table(
        "versions",
        Column(
            "subject",
            Text,
            nullable=False,
            comment="endpoints, workflows, handlers: what a process keeps in memory",
        ),
        Column("version", BigInteger, nullable=False),
        PrimaryKeyConstraint("subject", name="pk_versions"),
        schema="kanca",
    )
    op.create_table(
        "handlers",
        Column("number", Integer, Identity(), nullable=False),
        Column("name", Text, nullable=False),
        Column("app", Text, nullable=False),
        Column("spec", Text, nullable=False, comment="what it listens to and how it is retried, as JSON"),
        Column("announced_at", Instant, nullable=False),
        Column("retired_at", Instant),
        PrimaryKeyConstraint("number", name="pk_handlers"),
        UniqueConstraint("name", name="uq_handlers_name"),
        schema="kanca",
    )
    op.create_table(
        "node_types",
        Column("name", Text, nullable=False),
        Column("app", Text, nullable=False),
        Column("spec", Text, nullable=False, comment="what GET /api/node-types shows of it, as JSON"),
        Column("announced_at", Instant, nullable=False),
        Column("retired_at", Instant),
        PrimaryKeyConstraint("name", name="pk_node_types"),
        schema="kanca",
    )
    op.create_table(
        "workflows",
        Column("id", Text, nullable=False),
        Column("number", Integer, nullable=False),
        Column("tenant", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("version", Integer, nullable=False, comment="the newest"),
        Column("published_version", Integer),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        PrimaryKeyConstraint("id", name="pk_workflows"),
        UniqueConstraint("number", name="uq_workflows_number"),
        schema="kanca",
    )
    op.create_table(
        "workflow_versions",
        Column("workflow_id", Text, nullable=False),
        Column("version", Integer, nullable=False, autoincrement=False),
        Column("definition", Text, nullable=False),
        Column(
            "node_types",
            Text,
            nullable=False,
            comment="the types of its nodes, as a JSON list in order",
        ),
        Column("created_at", Instant, nullable=False),
        PrimaryKeyConstraint("workflow_id", "version", name="pk_workflow_versions"),
        schema="kanca",
    )
    op.create_table(
        "workers",
        Column("id", Integer, Identity(), nullable=False),
        Column("hostname", Text, nullable=False),
        Column("pid", Integer, nullable=False),
        Column("app", Text),
        Column("started_at", Instant, nullable=False),
        Column("expires_at", Instant, nullable=False),
        Column("concurrency", Integer, nullable=False),
        Column(
            "active",
            Integer,
            nullable=False,
            server_default="0",
            comment="pieces of work in hand at the last heartbeat",
        ),
        PrimaryKeyConstraint("id", name="pk_workers"),
        schema="kanca",
        sqlite_autoincrement=True,
    )


def _received() -> None:
    """Create what is written once per event, and its key."""
    op.create_table(
        "events",
        Column("id", Id, nullable=False),
        Column("endpoint", Integer, nullable=False),
        Column("tenant", Text, nullable=False),
        Column("type", Text, nullable=False),
        Column("received_at", Instant, nullable=False),
        Column("source_event_id", Text),
        Column("correlation_id", Text, nullable=False),
        Column("request", LargeBinary, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("replay_of", Id),
        PrimaryKeyConstraint("id", name="pk_events"),
        schema="kanca",
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_events_endpoint_id", "events", ["endpoint", "id"], schema="kanca")
    op.create_table(
        "dedupe",
        Column("key", Id, nullable=False),
        Column("event_id", Id, nullable=False),
        Column("expires_at", Instant, nullable=False),
        PrimaryKeyConstraint("key", name="pk_dedupe"),
        schema="kanca",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_dedupe_expires_at", "dedupe", ["expires_at"], schema="kanca")


def _queue() -> None:
    """Create what has to be done."""
    op.create_table(
        "tasks",
        Column("id", Number, Identity(), nullable=False),
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
        PrimaryKeyConstraint("id", name="pk_tasks"),
        schema="kanca",
        postgresql_with={
            "fillfactor": "70",
            "autovacuum_vacuum_threshold": "1000",
            "autovacuum_vacuum_scale_factor": "0.05",
            "autovacuum_vacuum_cost_delay": "0",
            "autovacuum_analyze_scale_factor": "0.2",
        },
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_tasks_parked",
        "tasks",
        ["target"],
        schema="kanca",
        postgresql_where=text("state = 3 AND order_key IS NULL"),
        sqlite_where=text("state = 3 AND order_key IS NULL"),
    )
    op.create_index(
        "ix_tasks_ready",
        "tasks",
        ["lane", "position"],
        schema="kanca",
        postgresql_where=text("state = 0"),
        sqlite_where=text("state = 0"),
    )
    op.create_index(
        "ix_tasks_released",
        "tasks",
        ["target", "order_key"],
        schema="kanca",
        postgresql_where=text("state <> 3 AND order_key IS NOT NULL"),
        sqlite_where=text("state <> 3 AND order_key IS NOT NULL"),
    )
    op.create_index(
        "ix_tasks_scheduled",
        "tasks",
        ["due_at"],
        schema="kanca",
        postgresql_where=text("state = 2"),
        sqlite_where=text("state = 2"),
    )
    op.create_index(
        "ix_tasks_waiting",
        "tasks",
        ["target", "order_key", "ref", "id"],
        schema="kanca",
        postgresql_where=text("state = 3 AND order_key IS NOT NULL"),
        sqlite_where=text("state = 3 AND order_key IS NOT NULL"),
    )


def _results() -> None:
    """Create what became of events."""
    op.create_table(
        "outcomes",
        Column("event_id", Id, nullable=False),
        Column("work", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("works", Integer),
        Column("reason", Text),
        Column("result", LargeBinary),
        Column("attempt_number", SmallInteger, nullable=False),
        Column("started_at", Instant),
        Column("finished_at", Instant),
        Column("ref", Id),
        PrimaryKeyConstraint("event_id", "work", name="pk_outcomes"),
        schema="kanca",
        postgresql_partition_by="RANGE (event_id)",
    )
    op.create_table(
        "attempts",
        Column("id", Id, nullable=False),
        Column("event_id", Id),
        Column("work", Text, nullable=False),
        Column("call_id", Id, nullable=False),
        Column("attempt_number", SmallInteger, nullable=False),
        Column("started_at", Instant, nullable=False),
        Column("finished_at", Instant, nullable=False),
        Column("code", Text, nullable=False),
        Column("error", LargeBinary, nullable=False),
        PrimaryKeyConstraint("id", name="pk_attempts"),
        schema="kanca",
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_attempts_event_id", "attempts", ["event_id"], schema="kanca")
    op.create_table(
        "dead_letters",
        Column("id", Id, nullable=False),
        Column("kind", SmallInteger, nullable=False),
        Column("ref", Id, nullable=False),
        Column("target", Integer, nullable=False),
        Column("detail", LargeBinary),
        Column("order_key", BigInteger),
        Column("event_id", Id),
        Column("work", Text, nullable=False),
        Column("endpoint", Integer),
        Column("tenant", Text, nullable=False),
        Column("event_type", Text, nullable=False),
        Column("attempts", SmallInteger, nullable=False),
        Column("code", Text, nullable=False),
        Column("error", LargeBinary, nullable=False),
        Column("failed_at", Instant, nullable=False),
        Column("body", LargeBinary, nullable=False),
        PrimaryKeyConstraint("id", name="pk_dead_letters"),
        schema="kanca",
    )
    op.create_index("ix_dead_letters_event_id", "dead_letters", ["event_id"], schema="kanca")


def _runs() -> None:
    """Create the runs of workflows."""
    op.create_table(
        "runs",
        Column("id", Id, nullable=False),
        Column("workflow_id", Text, nullable=False),
        Column("version", Integer, nullable=False),
        Column("event_id", Id),
        Column("status", Text, nullable=False),
        Column("input", LargeBinary),
        Column("started_at", Instant, nullable=False),
        Column("finished_at", Instant),
        Column("output", LargeBinary),
        Column("error", LargeBinary),
        PrimaryKeyConstraint("id", name="pk_runs"),
        schema="kanca",
    )
    op.create_index("ix_runs_workflow_id_id", "runs", ["workflow_id", "id"], schema="kanca")
    op.create_table(
        "steps",
        Column("id", Id, nullable=False),
        Column("run_id", Id, nullable=False),
        Column("node_id", Text, nullable=False),
        Column("iteration", Integer, nullable=False),
        Column("status", Text, nullable=False),
        Column("port", Text),
        Column("input", LargeBinary),
        Column("output", LargeBinary),
        Column("error", LargeBinary),
        Column("attempt_number", SmallInteger, nullable=False),
        Column("started_at", Instant, nullable=False),
        Column("finished_at", Instant, nullable=False),
        PrimaryKeyConstraint("id", name="pk_steps"),
        schema="kanca",
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_steps_run_id", "steps", ["run_id"], schema="kanca")


def _counters() -> None:
    """Create what is counted, and what was refused."""
    op.create_table(
        "statistics",
        Column("endpoint", Integer, nullable=False, autoincrement=False),
        Column(
            "span",
            Integer,
            nullable=False,
            autoincrement=False,
            comment="seconds: 60, 3600, or 0 for the total",
        ),
        Column("started_at", Instant, nullable=False),
        Column("writer", Text, nullable=False),
        Column("accepted", BigInteger, nullable=False, server_default="0"),
        Column("duplicates", BigInteger, nullable=False, server_default="0"),
        Column("rejected", BigInteger, nullable=False, server_default="0"),
        Column("dead", BigInteger, nullable=False, server_default="0"),
        Column(
            "response_us",
            BigInteger,
            nullable=False,
            server_default="0",
            comment="summed over accepted and duplicates",
        ),
        Column("last_accepted_at", Instant),
        PrimaryKeyConstraint("endpoint", "span", "started_at", "writer", name="pk_statistics"),
        schema="kanca",
    )
    op.create_table(
        "rejections",
        Column("id", Id, nullable=False),
        Column("endpoint", Integer, nullable=False),
        Column("occurred_at", Instant, nullable=False),
        Column("status", SmallInteger, nullable=False),
        Column("code", Text, nullable=False),
        Column("detail", Text, nullable=False),
        Column("client", Text, nullable=False),
        Column(
            "request", LargeBinary, nullable=False, comment="method, path, redacted headers, head of the body"
        ),
        PrimaryKeyConstraint("id", name="pk_rejections"),
        schema="kanca",
    )
    op.create_index("ix_rejections_endpoint_id", "rejections", ["endpoint", "id"], schema="kanca")
