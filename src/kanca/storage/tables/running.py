"""Workflows, their runs, and what those wait for."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, SmallInteger, Table, Text, false, text

from kanca.domain.status import UNFINISHED_RUNS, RunOrigin, WaitStatus
from kanca.storage.tables.schema import BY_DAY, metadata
from kanca.storage.types import Id, Instant, Number

workflows = Table(
    "workflows",
    metadata,
    Column("id", Text, primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False, comment="the newest"),
    Column("published_version", Integer),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("is_paused", Boolean, nullable=False, server_default=false()),
)

workflow_versions = Table(
    "workflow_versions",
    metadata,
    Column("workflow_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("definition", Text, nullable=False),
    Column("node_types", Text, nullable=False, comment="the types of its nodes, as a JSON list in order"),
    Column("created_at", Instant, nullable=False),
    Column("published_at", Instant, comment="for the last time"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("workflow_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("event_id", Id),
    Column("status", Text, nullable=False),
    Column("input", LargeBinary),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("output", LargeBinary),
    Column("error", LargeBinary),
    Column("origin", Text, nullable=False, server_default=RunOrigin.EVENT),
    Column("parent_run_id", Id),
    Column("parent_wait", Id),
    Column("is_test", Boolean, nullable=False, server_default=false()),
    Column("cancel_requested_at", Instant),
    Index(None, "workflow_id", "id"),
)
_UNFINISHED = ", ".join(f"'{status}'" for status in UNFINISHED_RUNS)
UNFINISHED = text(f"status IN ({_UNFINISHED}) AND NOT is_test")
"""As an index knows it: a query that says it in other words would not use that index."""
Index(
    "ix_runs_unfinished",
    runs.c.workflow_id,
    runs.c.version,
    postgresql_where=UNFINISHED,
    sqlite_where=UNFINISHED,
)

steps = Table(
    "steps",
    metadata,
    Column("id", Id, primary_key=True),
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
    Index(None, "run_id"),
    **BY_DAY,
)

waits = Table(
    "waits",
    metadata,
    Column("id", Id, primary_key=True, comment="derived from the run: its time is in front"),
    Column("run_id", Id, nullable=False, index=True),
    Column("workflow", Integer, nullable=False, comment="its number"),
    Column("node_id", Text, nullable=False),
    Column("iteration", Integer, nullable=False),
    Column("rule", Text, nullable=False, comment="how keys are made: waits and events of one rule can meet"),
    Column("key", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("task_id", Number, nullable=False, comment="of the run: who has news signals it"),
    Column("opened_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("event_id", Id, comment="what claimed it"),
    Column("child_run_id", Id, comment="the run that it waits for"),
)
OPEN = text(f"status = '{WaitStatus.OPEN}'")
_HAS_EVENT = text("event_id IS NOT NULL")
Index(
    "ix_waits_open",
    *(waits.c[c] for c in ("workflow", "node_id", "rule", "key")),
    postgresql_where=OPEN,
    sqlite_where=OPEN,
)
Index("ix_waits_event", waits.c.event_id, postgresql_where=_HAS_EVENT, sqlite_where=_HAS_EVENT)

early_events = Table(
    "early_events",
    metadata,
    Column("event_id", Id, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("workflow", Integer, nullable=False, comment="its number"),
    Column("node_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column(
        "task_id", Number, nullable=False, comment="of the event's work: it ends when the event is claimed"
    ),
    Column("received_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index(None, "workflow", "node_id", "rule", "key", "event_id"),
)

run_slots = Table(
    "run_slots",
    metadata,
    Column("run_id", Id, primary_key=True),
    Column("workflow", Integer, nullable=False, comment="its number"),
    Column("key", Text, nullable=False),
    Column("is_held", Boolean, nullable=False, comment="else the run waits for its turn"),
    Column("most", Integer, nullable=False, comment="runs of this key that may have their turn"),
    Column("task_id", Number, nullable=False, comment="of the run: it is signalled when it has its turn"),
    Index(None, "workflow", "key", "is_held", "run_id"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("workflow", Integer, primary_key=True, autoincrement=False, comment="its number"),
    Column("node_id", Text, primary_key=True),
    Column("workflow_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("cron", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("missed", Text, nullable=False, comment="what becomes of moments at which nobody was there"),
    Column("next_at", Instant, nullable=False, index=True),
    Column("last_at", Instant),
)
