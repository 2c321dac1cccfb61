"""Runs that wait, take turns, are scheduled and answer; credentials of nodes; workflows that are paused.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    Boolean,
    Column,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    false,
    text,
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


def upgrade() -> None:
    """Add what is missing; runs that there are came from events or by hand."""
    _add_columns()
    _add_waits()
    _add_others()


def downgrade() -> None:
    """Drop it all; runs that wait are left without what would resume them."""
    op.drop_index("ix_runs_unfinished", table_name="runs", schema=SCHEMA)
    op.drop_index("ix_attempts_call_id", table_name="attempts", schema=SCHEMA)
    for table in _NEW_TABLES:
        op.drop_table(table, schema=SCHEMA)
    for table, column in reversed(_NEW_COLUMNS):
        op.drop_column(table, column, schema=SCHEMA)


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
