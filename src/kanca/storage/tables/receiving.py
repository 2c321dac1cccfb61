"""What is received: endpoints, events, and what is said back."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Identity, Index, Integer, LargeBinary, SmallInteger, Table, Text, text

from kanca.storage.tables.schema import BY_DAY, NEVER_REUSED, metadata
from kanca.storage.types import Id, Instant, Number

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

event_fields = Table(
    "event_fields",
    metadata,
    Column("event_id", Id, primary_key=True),
    Column("path", Text, primary_key=True, comment="into the document, as the endpoint's config has it"),
    Column("value", Text, nullable=False, comment="cut to a hash where it is long"),
    Index(None, "path", "value", "event_id"),
    postgresql_partition_by="RANGE (event_id)",
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
