"""API keys.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, LargeBinary, PrimaryKeyConstraint, Text, UniqueConstraint

from kanca.storage.types import Id, Instant

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the table; without a row in it, all is as before."""
    op.create_table(
        "api_keys",
        Column("id", Id, nullable=False),
        Column("name", Text, nullable=False),
        Column("digest", LargeBinary, nullable=False, comment="SHA-256 of the key"),
        Column("hint", Text, nullable=False, comment="how the key begins"),
        Column("role", Text, nullable=False),
        Column("tenant", Text, comment="null: all tenants"),
        Column("created_at", Instant, nullable=False),
        Column("created_by", Text, nullable=False),
        Column("expires_at", Instant),
        Column("last_used_at", Instant),
        Column("revoked_at", Instant),
        PrimaryKeyConstraint("id", name="pk_api_keys"),
        UniqueConstraint("digest", name="uq_api_keys_digest"),
        schema="kanca",
    )


def downgrade() -> None:
    """Take the keys away: what used them needs KANCA_ADMIN_KEY again."""
    op.drop_table("api_keys", schema="kanca")
