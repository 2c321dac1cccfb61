"""Runs that wait, take turns, are scheduled and answer; credentials of nodes; workflows that are paused.

And the built-in endpoint of the addresses at which runs are resumed.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from alembic import op
from sqlalchemy import (
    Boolean,
    Column,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    delete,
    false,
    select,
    table,
    text,
    update,
)

from kanca.storage.types import Id, Instant, Number

revision = "0004"
down_revision = "0003"

SCHEMA = "kanca"
_NEW_TABLES = ("credentials", "answers", "schedules", "run_slots", "early_events", "waits")
_NEW_COLUMNS = (
    ("tasks", "signals"),
    ("workflows", "is_paused"),
    ("workflow_versions", "published_at"),
    ("runs", "origin"),
    ("runs", "parent_run_id"),
    ("runs", "parent_wait"),
    ("runs", "is_test"),
    ("runs", "cancel_requested_at"),
)
_PUBLISHED = """
    UPDATE kanca.workflow_versions SET published_at = (
        SELECT w.updated_at FROM kanca.workflows AS w
        WHERE w.id = kanca.workflow_versions.workflow_id AND w.published_version = kanca.workflow_versions.version
    )
"""
_RESUME_ENDPOINT = 3
_NEW_CONFIG_KEYS = ("response_wait", "response_timeout_status")
_endpoints = table(
    "endpoints",
    Column("number", Integer),
    Column("webhook_id", Text),
    Column("name", Text),
    Column("provider", Text),
    Column("tenant", Text),
    Column("config", Text),
    Column("secrets", LargeBinary),
    Column("is_active", Boolean),
    Column("is_paused", Boolean),
    Column("created_at", Instant),
    Column("updated_at", Instant),
    schema=SCHEMA,
)


def upgrade() -> None:
    """Add what is missing; runs that there are came from events or by hand."""
    _add_columns()
    _add_waits()
    _add_others()
    _add_resume_endpoint()


def downgrade() -> None:
    """Drop it all; runs that wait are left without what would resume them."""
    op.execute(delete(_endpoints).where(_endpoints.c.number == _RESUME_ENDPOINT))
    _forget_new_config_keys()
    op.drop_index("ix_runs_unfinished", table_name="runs", schema=SCHEMA)
    op.drop_index("ix_attempts_call_id", table_name="attempts", schema=SCHEMA)
    for name in _NEW_TABLES:
        op.drop_table(name, schema=SCHEMA)
    for name, column in reversed(_NEW_COLUMNS):
        op.drop_column(name, column, schema=SCHEMA)


def _add_columns() -> None:
    signals = Column("signals", Integer, nullable=False, server_default="0", comment="news for whoever waits")
    op.add_column("tasks", signals, schema=SCHEMA)
    op.add_column(
        "workflows", Column("is_paused", Boolean, nullable=False, server_default=false()), schema=SCHEMA
    )
    published_at = Column("published_at", Instant, comment="for the last time")
    op.add_column("workflow_versions", published_at, schema=SCHEMA)
    for column in (
        Column("origin", Text, nullable=False, server_default="event"),
        Column("parent_run_id", Id),
        Column("parent_wait", Id),
        Column("is_test", Boolean, nullable=False, server_default=false()),
        Column("cancel_requested_at", Instant),
    ):
        op.add_column("runs", column, schema=SCHEMA)
    op.execute(_PUBLISHED)
    op.execute("UPDATE kanca.runs SET origin = 'hand' WHERE event_id IS NULL")
    unfinished = text("status IN ('pending', 'running', 'waiting') AND NOT is_test")
    op.create_index(
        "ix_runs_unfinished",
        "runs",
        ["workflow_id", "version"],
        schema=SCHEMA,
        postgresql_where=unfinished,
        sqlite_where=unfinished,
    )
    op.create_index("ix_attempts_call_id", "attempts", ["call_id"], schema=SCHEMA)


def _add_waits() -> None:
    op.create_table(
        "waits",
        Column("id", Id, nullable=False, comment="derived from the run: its time is in front"),
        Column("run_id", Id, nullable=False),
        Column("workflow", Integer, nullable=False, comment="its number"),
        Column("node_id", Text, nullable=False),
        Column("iteration", Integer, nullable=False),
        Column(
            "rule", Text, nullable=False, comment="how keys are made: waits and events of one rule can meet"
        ),
        Column("key", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("task_id", Number, nullable=False, comment="of the run: who has news signals it"),
        Column("opened_at", Instant, nullable=False),
        Column("due_at", Instant, nullable=False),
        Column("ended_at", Instant),
        Column("event_id", Id, comment="what claimed it"),
        Column("child_run_id", Id, comment="the run that it waits for"),
        PrimaryKeyConstraint("id", name="pk_waits"),
        schema=SCHEMA,
    )
    op.create_index("ix_waits_run_id", "waits", ["run_id"], schema=SCHEMA)
    for name, columns, where in (
        ("ix_waits_open", ["workflow", "node_id", "rule", "key"], text("status = 'open'")),
        ("ix_waits_event", ["event_id"], text("event_id IS NOT NULL")),
    ):
        op.create_index(name, "waits", columns, schema=SCHEMA, postgresql_where=where, sqlite_where=where)
    op.create_table(
        "early_events",
        Column("event_id", Id, nullable=False),
        Column("rule", Text, nullable=False),
        Column("workflow", Integer, nullable=False, comment="its number"),
        Column("node_id", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column(
            "task_id",
            Number,
            nullable=False,
            comment="of the event's work: it ends when the event is claimed",
        ),
        Column("received_at", Instant, nullable=False),
        Column("expires_at", Instant, nullable=False),
        PrimaryKeyConstraint("event_id", "rule", name="pk_early_events"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_early_events_workflow_node_id_rule_key_event_id",
        "early_events",
        ["workflow", "node_id", "rule", "key", "event_id"],
        schema=SCHEMA,
    )


def _add_others() -> None:
    op.create_table(
        "run_slots",
        Column("run_id", Id, nullable=False),
        Column("workflow", Integer, nullable=False, comment="its number"),
        Column("key", Text, nullable=False),
        Column("is_held", Boolean, nullable=False, comment="else the run waits for its turn"),
        Column("most", Integer, nullable=False, comment="runs of this key that may have their turn"),
        Column("task_id", Number, nullable=False, comment="of the run: it is signalled when it has its turn"),
        PrimaryKeyConstraint("run_id", name="pk_run_slots"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_run_slots_workflow_key_is_held_run_id",
        "run_slots",
        ["workflow", "key", "is_held", "run_id"],
        schema=SCHEMA,
    )
    op.create_table(
        "schedules",
        Column("workflow", Integer, nullable=False, autoincrement=False, comment="its number"),
        Column("node_id", Text, nullable=False),
        Column("workflow_id", Text, nullable=False),
        Column("version", Integer, nullable=False),
        Column("cron", Text, nullable=False),
        Column("timezone", Text, nullable=False),
        Column("missed", Text, nullable=False, comment="what becomes of moments at which nobody was there"),
        Column("next_at", Instant, nullable=False),
        Column("last_at", Instant),
        PrimaryKeyConstraint("workflow", "node_id", name="pk_schedules"),
        schema=SCHEMA,
    )
    op.create_index("ix_schedules_next_at", "schedules", ["next_at"], schema=SCHEMA)
    op.create_table(
        "answers",
        Column("event_id", Id, nullable=False),
        Column("status", SmallInteger, nullable=False),
        Column("headers", LargeBinary, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("created_at", Instant, nullable=False),
        PrimaryKeyConstraint("event_id", name="pk_answers"),
        schema=SCHEMA,
    )
    op.create_table(
        "credentials",
        Column("name", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column(
            "sealed", LargeBinary, nullable=False, comment="encrypted: what the kind consists of, as JSON"
        ),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        PrimaryKeyConstraint("name", name="pk_credentials"),
        schema=SCHEMA,
    )


def _add_resume_endpoint() -> None:
    """Insert the endpoint behind ``/webhooks/resume``.

    The token in the address is its proof. Without a secret, nothing else is: what came without a token is refused.
    """
    now = datetime.now(UTC)
    op.bulk_insert(
        _endpoints,
        [
            {
                "number": _RESUME_ENDPOINT,
                "webhook_id": "wh_000000000000000000000003",
                "name": "/webhooks/resume",
                "provider": "kanca",
                "tenant": "default",
                "config": json.dumps({"rate_limit_per_minute": 60, "enable_cors": False}),
                "secrets": b"",
                "is_active": True,
                "is_paused": False,
                "created_at": now,
                "updated_at": now,
            }
        ],
    )


def _forget_new_config_keys() -> None:
    """Take out of configs what older versions do not know: they would not read them at all."""
    connection = op.get_bind()
    rows = connection.execute(select(_endpoints.c.number, _endpoints.c.config)).all()
    for number, text_of_config in rows:
        config = json.loads(text_of_config)
        kept = {key: value for key, value in config.items() if key not in _NEW_CONFIG_KEYS}
        if kept != config:
            changed = update(_endpoints).where(_endpoints.c.number == number).values(config=json.dumps(kept))
            connection.execute(changed)
