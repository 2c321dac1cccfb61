"""Instances say what they are, gateways too; and whose turn a periodic duty is.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Identity, Integer, PrimaryKeyConstraint, Text

from kanca.storage.types import Instant

revision = "0008"
down_revision = "0007"

SCHEMA = "kanca"


def upgrade() -> None:
    """Add what is missing; workers that do not say it are of an older version."""
    for column in _description():
        op.add_column("workers", column, schema=SCHEMA)
    op.create_table(
        "gateways",
        Column("id", Integer, Identity(), nullable=False),
        Column("hostname", Text, nullable=False),
        Column("pid", Integer, nullable=False),
        Column("address", Text, comment="where it listens"),
        Column("started_at", Instant, nullable=False),
        Column("expires_at", Instant, nullable=False),
        *_description(),
        PrimaryKeyConstraint("id", name="pk_gateways"),
        schema=SCHEMA,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "duties",
        Column("name", Text, nullable=False),
        Column("due_at", Instant, nullable=False),
        PrimaryKeyConstraint("name", name="pk_duties"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Drop it all."""
    op.drop_table("duties", schema=SCHEMA)
    op.drop_table("gateways", schema=SCHEMA)
    for column in reversed(_description()):
        op.drop_column("workers", column.name, schema=SCHEMA)


def _description() -> list[Column[object]]:
    return [
        Column("version", Text, comment="of Kanca"),
        Column("revision", Text, comment="of the schema that it knows"),
        Column("state", Text),
        Column("connections", Integer, comment="to PostgreSQL, that it opens at most"),
        Column("clock_ahead_ms", Integer, comment="of its machine, of the database's"),
    ]
