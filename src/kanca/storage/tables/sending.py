"""What is sent: subscriptions, their deliveries, and the types of events."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)

from kanca.domain.status import DeliveryStatus
from kanca.storage.tables.schema import NEVER_REUSED, metadata
from kanca.storage.types import Id, Instant

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
