"""The schema that the tables stand in, and what many of them have in common."""

from __future__ import annotations

from typing import Any

from sqlalchemy import MetaData

SCHEMA = "kanca"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)

BY_DAY: dict[str, Any] = {"postgresql_partition_by": "RANGE (id)"}
"""Partitioned by day, by the UUIDv7 itself."""

NEVER_REUSED: dict[str, Any] = {"sqlite_autoincrement": True}
"""A deleted row's number is not given to another row (a fence or a lease would mistake one for the other)."""
