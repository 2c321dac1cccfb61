"""The table of the outbox, as it lies in the caller's own database: PostgreSQL, SQLite, MySQL or MariaDB.

Its columns are of types that every driver writes the same way, so that one statement does for all.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Uuid,
)
from sqlalchemy.dialects import mysql

from kanca.domain.event import MAX_SOURCE_ID_LENGTH, MAX_TYPE_LENGTH
from kanca.storage.types import Number

MAX_TENANT_LENGTH = 64
MAX_ERROR_LENGTH = 500

_ID = Uuid(native_uuid=False).with_variant(Uuid(), "postgresql")
"""``uuid`` on PostgreSQL, 32 hex digits elsewhere."""

_TRANSACTIONAL: dict[str, Any] = {
    f"{name}_{option}": value
    for name in ("mysql", "mariadb")
    for option, value in {"engine": "InnoDB", "charset": "utf8mb4"}.items()
}

outbox = Table(
    "kanca_outbox",
    MetaData(),
    Column("position", Number, Identity(), primary_key=True),
    Column("id", _ID, nullable=False, comment="of the event"),
    Column("event_type", String(MAX_TYPE_LENGTH), nullable=False),
    Column(
        "payload",
        LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb"),
        nullable=False,
        comment="JSON",
    ),
    Column("tenant", String(MAX_TENANT_LENGTH), nullable=False),
    Column("event_id", String(MAX_SOURCE_ID_LENGTH), comment="the publisher's own id of the event"),
    Column("correlation_id", String(MAX_SOURCE_ID_LENGTH), nullable=False),
    Column("hops", Integer, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False, comment="microseconds since 1970"),
    Column("error", String(MAX_ERROR_LENGTH), comment="why the relay leaves it here"),
    sqlite_autoincrement=True,
    **_TRANSACTIONAL,
)
