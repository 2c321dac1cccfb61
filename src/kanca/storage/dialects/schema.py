"""What migrations have to know of the database underneath."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Dialect

from kanca.storage.tables import SCHEMA

LOCK_TIMEOUT_S = 60
"""The longest that one process waits while another migrates, and that a migration waits for a table."""

_MIGRATION_LOCK = 0x6B616E6361_02


def has_schemas(dialect: Dialect) -> bool:
    """Whether tables live in a schema and have partitions; else they are told apart by a prefix."""
    return dialect.name == "postgresql"


def version_table_options(dialect: Dialect) -> dict[str, Any]:
    """Give Alembic's options that name Kanca's own version table, so that it can live in the user's database."""
    if has_schemas(dialect):
        return {"version_table": "schema_version", "version_table_schema": SCHEMA, "include_schemas": True}
    return {"version_table": f"{SCHEMA}_schema_version"}


def begin_migrating(connection: Connection) -> None:
    """Wait until no other process migrates, and keep others waiting until this transaction ends.

    A file has been locked by the beginning of the transaction.
    """
    if not has_schemas(connection.dialect):
        return
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
    # Looked for first: who may not create schemas can still use one that an administrator has made.
    if connection.exec_driver_sql(f"SELECT to_regnamespace('{SCHEMA}') IS NULL").scalar():
        connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
