"""Sending: subscriptions, their deliveries, replays, the catalogue of event types, and notices of trouble.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Identity,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    text,
)

from kanca.storage.types import Id, Instant

revision = "0005"
down_revision = "0004"

SCHEMA = "kanca"
_NEW_TABLES = ("notices", "event_types", "replays", "deliveries", "subscription_health", "subscriptions")
_KINDS = (6, 7)


def upgrade() -> None:
    """Add what is missing."""
    _add_subscriptions()
    _add_others()
    _add_indexes()


def downgrade() -> None:
    """Drop it all, and the work that older versions do not know."""
    _replace_parked("target")
    for name in ("ix_tasks_subscription", "ix_tasks_delivery"):
        op.drop_index(name, table_name="tasks", schema=SCHEMA)
    for table in ("tasks", "dead_letters"):
        op.execute(f"DELETE FROM kanca.{table} WHERE kind IN {_KINDS}")  # noqa: S608 - constants
    for name in _NEW_TABLES:
        op.drop_table(name, schema=SCHEMA)


def _add_subscriptions() -> None:
    op.create_table(
        "subscriptions",
        Column("number", Integer, Identity(), nullable=False),
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
        PrimaryKeyConstraint("number", name="pk_subscriptions"),
        schema=SCHEMA,
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_subscriptions_id",
        "subscriptions",
        ["id"],
        schema=SCHEMA,
        unique=True,
        postgresql_where=text("deleted_at IS NULL"),
        sqlite_where=text("deleted_at IS NULL"),
    )
    op.create_table(
        "subscription_health",
        Column("subscription", Integer, nullable=False, autoincrement=False, comment="its number"),
        Column("failing_since", Instant, comment="every attempt since then failed"),
        Column("last_success_at", Instant),
        Column("last_failure_at", Instant),
        Column("last_error", Text, comment="the code of the last failure"),
        PrimaryKeyConstraint("subscription", name="pk_subscription_health"),
        schema=SCHEMA,
    )
    op.create_table(
        "deliveries",
        Column("event_id", Id, nullable=False),
        Column("subscription", Integer, nullable=False, autoincrement=False, comment="its number"),
        Column("status", Text, nullable=False),
        Column("attempts", SmallInteger, nullable=False),
        Column("reason", Text),
        Column("response_status", SmallInteger),
        Column("started_at", Instant),
        Column("finished_at", Instant, nullable=False),
        Column("attempt", LargeBinary, comment="the last one, as JSON"),
        PrimaryKeyConstraint("event_id", "subscription", name="pk_deliveries"),
        schema=SCHEMA,
        postgresql_partition_by="RANGE (event_id)",
    )
    op.create_index("ix_deliveries_subscription", "deliveries", ["subscription", "event_id"], schema=SCHEMA)
    op.create_index(
        "ix_deliveries_undelivered",
        "deliveries",
        ["subscription", "event_id"],
        schema=SCHEMA,
        postgresql_where=text("status <> 'delivered'"),
        sqlite_where=text("status <> 'delivered'"),
    )


def _add_others() -> None:
    op.create_table(
        "replays",
        Column("id", Id, nullable=False),
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
        PrimaryKeyConstraint("id", name="pk_replays"),
        schema=SCHEMA,
    )
    op.create_table(
        "event_types",
        Column("name", Text, nullable=False),
        Column("description", Text, nullable=False),
        Column("schema", Text, comment="of the data: a JSON Schema"),
        Column("example", Text, comment="data, as JSON"),
        Column("is_enforced", Boolean, nullable=False, comment="data that does not fit is refused"),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        PrimaryKeyConstraint("name", name="pk_event_types"),
        schema=SCHEMA,
    )
    op.create_table(
        "notices",
        Column("kind", Text, nullable=False, comment="the type of the event that tells of it"),
        Column("subject", Text, nullable=False, comment="what it is about"),
        Column("tenant", Text, nullable=False),
        Column("first_at", Instant, nullable=False, comment="since it was told last"),
        Column("last_at", Instant, nullable=False),
        Column("count", Integer, nullable=False),
        Column("facts", Text, nullable=False, comment="of the last time, as JSON"),
        Column("told_at", Instant),
        Column("is_due", Boolean, nullable=False, comment="it is still to be told"),
        PrimaryKeyConstraint("kind", "subject", name="pk_notices"),
        schema=SCHEMA,
    )
    op.create_index("ix_notices_is_due", "notices", ["is_due"], schema=SCHEMA)


def _add_indexes() -> None:
    """Open deliveries are tasks: found by their event, and by their subscription."""
    _replace_parked("target", "position")
    is_delivery = text("kind = 6")
    for name, columns in (
        ("ix_tasks_delivery", ["ref", "target"]),
        ("ix_tasks_subscription", ["target", "ref"]),
    ):
        op.create_index(
            name, "tasks", columns, schema=SCHEMA, postgresql_where=is_delivery, sqlite_where=is_delivery
        )


def _replace_parked(*columns: str) -> None:
    """Find parked tasks of a target in their order, however many there are."""
    is_parked = text("state = 3 AND order_key IS NULL")
    op.drop_index("ix_tasks_parked", table_name="tasks", schema=SCHEMA)
    op.create_index(
        "ix_tasks_parked",
        "tasks",
        list(columns),
        schema=SCHEMA,
        postgresql_where=is_parked,
        sqlite_where=is_parked,
    )
