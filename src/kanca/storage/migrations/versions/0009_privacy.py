"""Payloads that are taken away, fields that events are found by, and long changes that are done as jobs.

Revision ID: 0009
Revises: 0007
"""

from __future__ import annotations

import json

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, Text, select, table, text, update

from kanca.storage.types import Id, Instant

revision = "0009"
down_revision = "0007"

SCHEMA = "kanca"
_NEW_TABLES = ("jobs", "payloads_in_use", "payload_sweeps", "event_fields")
_NEW_CONFIG_KEYS = ("payload_retention_days", "indexed_fields")
_endpoints = table("endpoints", Column("number", Integer), Column("config", Text), schema=SCHEMA)


def upgrade() -> None:
    """Add what is missing."""
    op.add_column(
        "dead_letters",
        Column("expunged_at", Instant, comment="its payload is gone: it is not retried any more"),
        schema=SCHEMA,
    )
    _add_fields()
    _add_sweeps()
    _add_jobs()


def downgrade() -> None:
    """Drop it all. What was expunged stays so; older versions retry such a dead letter without a payload."""
    for name in _NEW_TABLES:
        op.drop_table(name, schema=SCHEMA)
    op.drop_column("dead_letters", "expunged_at", schema=SCHEMA)
    _remove_config_keys()


def _add_fields() -> None:
    op.create_table(
        "event_fields",
        Column("event_id", Id, nullable=False),
        Column("path", Text, nullable=False, comment="into the document, as the endpoint's config has it"),
        Column("value", Text, nullable=False, comment="cut to a hash where it is long"),
        PrimaryKeyConstraint("event_id", "path", name="pk_event_fields"),
        schema=SCHEMA,
        postgresql_partition_by="RANGE (event_id)",
    )
    columns = ["path", "value", "event_id"]
    op.create_index("ix_event_fields_path_value_event_id", "event_fields", columns, schema=SCHEMA)


def _add_sweeps() -> None:
    op.create_table(
        "payload_sweeps",
        Column("endpoint", Integer, nullable=False, autoincrement=False, comment="its number"),
        Column("position", Id, nullable=False, comment="the last event whose payload was looked at"),
        PrimaryKeyConstraint("endpoint", name="pk_payload_sweeps"),
        schema=SCHEMA,
    )
    op.create_table(
        "payloads_in_use",
        Column("event_id", Id, nullable=False, comment="to be expunged once its work has ended"),
        Column("endpoint", Integer, nullable=False, comment="its number"),
        PrimaryKeyConstraint("event_id", name="pk_payloads_in_use"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_payloads_in_use_endpoint_event_id", "payloads_in_use", ["endpoint", "event_id"], schema=SCHEMA
    )


def _add_jobs() -> None:
    op.create_table(
        "jobs",
        Column("id", Id, nullable=False),
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
        PrimaryKeyConstraint("id", name="pk_jobs"),
        schema=SCHEMA,
    )
    is_unfinished = text("finished_at IS NULL")
    op.create_index(
        "ix_jobs_unfinished",
        "jobs",
        ["id"],
        schema=SCHEMA,
        postgresql_where=is_unfinished,
        sqlite_where=is_unfinished,
    )


def _remove_config_keys() -> None:
    """Older versions refuse keys that they do not know."""
    connection = op.get_bind()
    for number, text_of_config in connection.execute(select(_endpoints.c.number, _endpoints.c.config)).all():
        config = json.loads(text_of_config)
        kept = {key: value for key, value in config.items() if key not in _NEW_CONFIG_KEYS}
        if kept != config:
            changed = update(_endpoints).where(_endpoints.c.number == number).values(config=json.dumps(kept))
            connection.execute(changed)
