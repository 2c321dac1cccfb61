"""Sessions that ended before their time.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, PrimaryKeyConstraint

from kanca.storage.types import Id, Instant

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the table; without a row in it, all is as before."""
    op.create_table(
        "ended_sessions",
        Column("id", Id, nullable=False),
        Column("ends_at", Instant, nullable=False, comment="when its cookie says nothing any more anyway"),
        PrimaryKeyConstraint("id", name="pk_ended_sessions"),
        schema="kanca",
    )


def downgrade() -> None:
    """Forget them: until it is idle, a copy of their cookies counts again."""
    op.drop_table("ended_sessions", schema="kanca")
