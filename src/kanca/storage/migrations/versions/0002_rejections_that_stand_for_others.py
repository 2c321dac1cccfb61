"""Rejections say how many requests they stand for.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Integer

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Each of those that are there stands for itself."""
    column = Column(
        "count", Integer, nullable=False, server_default="1", comment="requests that it stands for"
    )
    op.add_column("rejections", column, schema="kanca")


def downgrade() -> None:
    """Forget how many there were."""
    op.drop_column("rejections", "count", schema="kanca")
