"""Who may do what, and who did it: keys, credentials, the audit log."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, Table, Text

from kanca.storage.tables.schema import metadata
from kanca.storage.types import Id, Instant

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

credentials = Table(
    "credentials",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False, comment="encrypted: what the kind consists of, as JSON"),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

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

ended_sessions = Table(
    "ended_sessions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("ends_at", Instant, nullable=False, comment="when its cookie says nothing any more anyway"),
)
