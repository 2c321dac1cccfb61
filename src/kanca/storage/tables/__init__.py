"""The tables of Kanca, each in the module of its area.

They live in the PostgreSQL schema ``kanca``; on SQLite the schema becomes the prefix ``kanca_``. Only ``tasks``,
``runs`` and what people configure ever change; everything else is written once. No foreign key points at a partitioned
table.
"""

from __future__ import annotations

from kanca.storage.tables.access import api_keys, audit, credentials, ended_sessions
from kanca.storage.tables.operating import (
    duties,
    gateways,
    jobs,
    notices,
    payload_sweeps,
    payloads_in_use,
    statistics,
    versions,
    workers,
)
from kanca.storage.tables.receiving import (
    FIRST_ENDPOINT_NUMBER,
    answers,
    dedupe,
    endpoints,
    event_fields,
    events,
    feed,
    rejections,
)
from kanca.storage.tables.running import (
    OPEN,
    UNFINISHED,
    early_events,
    run_slots,
    runs,
    schedules,
    steps,
    waits,
    workflow_versions,
    workflows,
)
from kanca.storage.tables.schema import SCHEMA, metadata
from kanca.storage.tables.sending import deliveries, event_types, replays, subscription_health, subscriptions
from kanca.storage.tables.work import attempts, dead_letters, handlers, node_types, outcomes, tasks

__all__ = [
    "FIRST_ENDPOINT_NUMBER",
    "OPEN",
    "PARTITIONED",
    "SCHEMA",
    "UNFINISHED",
    "answers",
    "api_keys",
    "attempts",
    "audit",
    "credentials",
    "dead_letters",
    "dedupe",
    "deliveries",
    "duties",
    "early_events",
    "ended_sessions",
    "endpoints",
    "event_fields",
    "event_types",
    "events",
    "feed",
    "gateways",
    "handlers",
    "jobs",
    "metadata",
    "node_types",
    "notices",
    "outcomes",
    "payload_sweeps",
    "payloads_in_use",
    "rejections",
    "replays",
    "run_slots",
    "runs",
    "schedules",
    "statistics",
    "steps",
    "subscription_health",
    "subscriptions",
    "tasks",
    "versions",
    "waits",
    "workers",
    "workflow_versions",
    "workflows",
]

PARTITIONED = (events, outcomes, attempts, steps, deliveries, event_fields)
"""Tables that PostgreSQL keeps a partition a day of."""
