"""What migrations have to know of the database underneath."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Dialect, text

from kanca.storage.standing import Half
from kanca.storage.tables import SCHEMA

LOCK_TIMEOUT_S = 60
"""The longest that one process waits while another migrates, and that a migration waits for a table."""

_MIGRATION_LOCK = 0x6B616E6361_02
_NAME = "kanca"
_CONNECTED = text(
    "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND split_part(application_name, ' ', 1) = :name"
)
_LIVING_WORKERS = f"SELECT count(*) FROM {SCHEMA}_workers WHERE expires_at > kanca_now()"  # noqa: S608 - a constant


def has_schemas(dialect: Dialect) -> bool:
    """Whether tables live in a schema and have partitions; else they are told apart by a prefix."""
    return dialect.name == "postgresql"


def version_table_options(dialect: Dialect, half: Half = Half.EXPAND) -> dict[str, Any]:
    """Give Alembic's options that name Kanca's own version table, so that it can live in the user's database.

    The contract halves have a table of their own, which is there once one of them has run.
    """
    name = "schema_version" if half is Half.EXPAND else "contract_schema_version"
    if has_schemas(dialect):
        return {"version_table": name, "version_table_schema": SCHEMA, "include_schemas": True}
    return {"version_table": f"{SCHEMA}_{name}"}


def shown_name(revision: str) -> str:
    """Give what a connection calls itself, for ``known_by_others`` of other processes."""
    return f"{_NAME} {revision}"


def known_by_others(connection: Connection) -> list[str]:
    """Give the newest revision that each other connection to the database knows; empty for one that does not say.

    A file does not know who has it open: there, each living worker counts as one that does not say.
    """
    if has_schemas(connection.dialect):
        names = connection.execute(_CONNECTED, {"name": _NAME}).scalars()
        return [name.removeprefix(_NAME).strip() for name in names]
    return [""] * int(connection.exec_driver_sql(_LIVING_WORKERS).scalar_one())


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
