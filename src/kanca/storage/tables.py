"""The tables of Kanca.

They live in the PostgreSQL schema ``kanca``; on SQLite the schema becomes the prefix ``kanca_``. Only ``tasks``,
``runs`` and what people configure ever change; everything else is written once. No foreign key points at a partitioned
table.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    false,
    text,
)

from kanca.domain.status import UNFINISHED_RUNS, DeliveryStatus, RunOrigin, WaitStatus
from kanca.domain.task import TaskKind, TaskState
from kanca.storage.types import Id, Instant, Number

SCHEMA = "kanca"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)

BY_DAY: dict[str, Any] = {"postgresql_partition_by": "RANGE (id)"}
"""Partitioned by day, by the UUIDv7 itself."""

NEVER_REUSED: dict[str, Any] = {"sqlite_autoincrement": True}
"""A deleted row's number is not given to another row (a fence or a lease would mistake one for the other)."""

FIRST_ENDPOINT_NUMBER = 100
"""Of those that people create; smaller numbers are built in, and 0 stands for published events."""

endpoints = Table(
    "endpoints",
    metadata,
    Column("number", Integer, Identity(start=FIRST_ENDPOINT_NUMBER), primary_key=True),
    Column("webhook_id", Text, nullable=False, unique=True),
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
    **NEVER_REUSED,
)
Index(
    "ix_endpoints_slug",
    endpoints.c.slug,
    unique=True,
    postgresql_where=text("deleted_at IS NULL"),
    sqlite_where=text("deleted_at IS NULL"),
)

versions = Table(
    "versions",
    metadata,
    Column(
        "subject",
        Text,
        primary_key=True,
        comment="endpoints, workflows, handlers: what a process keeps in memory",
    ),
    Column("version", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("endpoint", Integer, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("source_event_id", Text),
    Column("correlation_id", Text, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("replay_of", Id),
    Index(None, "endpoint", "id"),
    **BY_DAY,
)

feed = Table(
    "feed",
    metadata,
    Column("number", Number, Identity(), primary_key=True, comment="the order in which tails show events"),
    Column("event_id", Id, nullable=False),
    comment="written by a trigger of events, so that nothing that stores an event can leave it out",
    **NEVER_REUSED,
)

dedupe = Table(
    "dedupe",
    metadata,
    Column("key", Id, primary_key=True),
    Column("event_id", Id, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    sqlite_with_rowid=False,
)

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


def description_of_instance() -> list[Column[Any]]:
    """What gateways and workers say of themselves. None where one of an older version said nothing."""
    return [
        Column("version", Text, comment="of Kanca"),
        Column("revision", Text, comment="of the schema that it knows"),
        Column("state", Text),
        Column("connections", Integer, comment="to PostgreSQL, that it opens at most"),
        Column("clock_ahead_ms", Integer, comment="of its machine, of the database's"),
    ]


workers = Table(
    "workers",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
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
    *description_of_instance(),
    **NEVER_REUSED,
)

gateways = Table(
    "gateways",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("hostname", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("address", Text, comment="where it listens"),
    Column("started_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    *description_of_instance(),
    **NEVER_REUSED,
)

duties = Table(
    "duties",
    metadata,
    Column("name", Text, primary_key=True),
    Column("due_at", Instant, nullable=False),
)
"""Periodic duties that one instance does for all: whoever moves ``due_at`` on does it."""

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

statistics = Table(
    "statistics",
    metadata,
    Column("endpoint", Integer, primary_key=True, autoincrement=False),
    Column(
        "span",
        Integer,
        primary_key=True,
        autoincrement=False,
        comment="seconds: 60, 3600, or 0 for the total",
    ),
    Column("started_at", Instant, primary_key=True),
    Column("writer", Text, primary_key=True),
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
)

rejections = Table(
    "rejections",
    metadata,
    Column("id", Id, primary_key=True),
    Column("endpoint", Integer, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column(
        "request", LargeBinary, nullable=False, comment="method, path, redacted headers, head of the body"
    ),
    Column("count", Integer, nullable=False, server_default="1", comment="requests that it stands for"),
    Index(None, "endpoint", "id"),
)

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

answers = Table(
    "answers",
    metadata,
    Column("event_id", Id, primary_key=True),
    Column("status", SmallInteger, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
)

credentials = Table(
    "credentials",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False, comment="encrypted: what the kind consists of, as JSON"),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("number", Integer, Identity(), primary_key=True),
    Column("id", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False, comment="types or wildcards, as a JSON list"),
    Column("sources", Text, nullable=False, comment="endpoints besides published events, as a JSON list"),
    Column("config", Text, nullable=False),
    Column("secrets", LargeBinary, nullable=False, comment="encrypted: [{value, expires_at}]"),
    Column("is_active", Boolean, nullable=False),
    Column("is_verified", Boolean, nullable=False),
    Column("disabled_reason", Text),
    Column("disabled_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("deleted_at", Instant),
    **NEVER_REUSED,
)
_IS_LIVE = text("deleted_at IS NULL")
Index(
    "ix_subscriptions_id",
    subscriptions.c.id,
    unique=True,
    postgresql_where=_IS_LIVE,
    sqlite_where=_IS_LIVE,
)

subscription_health = Table(
    "subscription_health",
    metadata,
    Column("subscription", Integer, primary_key=True, autoincrement=False, comment="its number"),
    Column("failing_since", Instant, comment="every attempt since then failed"),
    Column("last_success_at", Instant),
    Column("last_failure_at", Instant),
    Column("last_error", Text, comment="the code of the last failure"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("event_id", Id, primary_key=True),
    Column("subscription", Integer, primary_key=True, autoincrement=False, comment="its number"),
    Column("status", Text, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("reason", Text),
    Column("response_status", SmallInteger),
    Column("started_at", Instant),
    Column("finished_at", Instant, nullable=False),
    Column("attempt", LargeBinary, comment="the last one, as JSON"),
    Index("ix_deliveries_subscription", "subscription", "event_id"),
    postgresql_partition_by="RANGE (event_id)",
)
_NOT_DELIVERED = text(f"status <> '{DeliveryStatus.DELIVERED}'")
Index(
    "ix_deliveries_undelivered",
    deliveries.c.subscription,
    deliveries.c.event_id,
    postgresql_where=_NOT_DELIVERED,
    sqlite_where=_NOT_DELIVERED,
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

replays = Table(
    "replays",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant", Text),
    Column("subscription", Integer, comment="its number; null: all"),
    Column("only", Text, nullable=False),
    Column("since", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("event_types", Text, nullable=False, comment="as a JSON list"),
    Column("rate_per_second", Float),
    Column("status", Text, nullable=False),
    Column("position", Id, comment="the last event that was looked at"),
    Column("total", BigInteger, nullable=False),
    Column("queued", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("cancel_requested_at", Instant),
)

event_types = Table(
    "event_types",
    metadata,
    Column("name", Text, primary_key=True),
    Column("description", Text, nullable=False),
    Column("schema", Text, comment="of the data: a JSON Schema"),
    Column("example", Text, comment="data, as JSON"),
    Column("is_enforced", Boolean, nullable=False, comment="data that does not fit is refused"),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("kind", Text, primary_key=True, comment="the type of the event that tells of it"),
    Column("subject", Text, primary_key=True, comment="what it is about"),
    Column("tenant", Text, nullable=False),
    Column("first_at", Instant, nullable=False, comment="since it was told last"),
    Column("last_at", Instant, nullable=False),
    Column("count", Integer, nullable=False),
    Column("facts", Text, nullable=False, comment="of the last time, as JSON"),
    Column("told_at", Instant),
    Column("is_due", Boolean, nullable=False, index=True, comment="it is still to be told"),
)

event_fields = Table(
    "event_fields",
    metadata,
    Column("event_id", Id, primary_key=True),
    Column("path", Text, primary_key=True, comment="into the document, as the endpoint's config has it"),
    Column("value", Text, nullable=False, comment="cut to a hash where it is long"),
    Index(None, "path", "value", "event_id"),
    postgresql_partition_by="RANGE (event_id)",
)

payload_sweeps = Table(
    "payload_sweeps",
    metadata,
    Column("endpoint", Integer, primary_key=True, autoincrement=False, comment="its number"),
    Column("position", Id, nullable=False, comment="the last event whose payload was looked at"),
)

payloads_in_use = Table(
    "payloads_in_use",
    metadata,
    Column("event_id", Id, primary_key=True, comment="to be expunged once its work has ended"),
    Column("endpoint", Integer, nullable=False, comment="its number"),
    Index(None, "endpoint", "event_id"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("tenant", Text),
    Column("wanted", Text, nullable=False, comment="what it was asked for, as JSON"),
    Column("status", Text, nullable=False),
    Column("portion", Integer, nullable=False, server_default="0", comment="how many are behind it"),
    Column("state", Text, nullable=False, comment="where it goes on, as JSON"),
    Column("total", BigInteger, nullable=False, comment="what there was to do when it was asked for"),
    Column("counts", Text, nullable=False, comment="what it did, as JSON"),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
)
_GOES_ON = text("finished_at IS NULL")
Index("ix_jobs_unfinished", jobs.c.id, postgresql_where=_GOES_ON, sqlite_where=_GOES_ON)

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Text),
    Column("actor_name", Text),
    Column("action", Text, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("subject_id", Text),
    Column("tenant", Text),
    Column("address", Text),
    Column("request_id", Text),
    Column("before", Text, comment="the fields that changed, as JSON; secrets are not in it"),
    Column("after", Text, comment="as above"),
    Column("detail", Text, nullable=False, comment="what else there is to say, as JSON"),
    Index(None, "subject_id", "id"),
    Index(None, "actor_id", "id"),
    Index(None, "action", "id"),
    Index(None, "tenant", "id"),
)
"""Rows are only added: triggers refuse to change one, or to delete one that is young (see its migration)."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True, comment="SHA-256 of the key"),
    Column("hint", Text, nullable=False, comment="how the key begins"),
    Column("role", Text, nullable=False),
    Column("tenant", Text, comment="null: all tenants"),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", Instant),
    Column("last_used_at", Instant),
    Column("revoked_at", Instant),
)

ended_sessions = Table(
    "ended_sessions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("ends_at", Instant, nullable=False, comment="when its cookie says nothing any more anyway"),
)

PARTITIONED = (events, outcomes, attempts, steps, deliveries, event_fields)
"""Tables that PostgreSQL keeps a partition a day of."""
