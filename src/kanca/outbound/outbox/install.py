"""Making the outbox's table: by a connection, or in a migration of the caller's own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, MetaData, Table
from sqlalchemy.schema import CreateTable, DropTable

from kanca.outbound.outbox.table import outbox


def install(connection: Connection) -> None:
    """Make the table, unless it is there."""
    connection.execute(CreateTable(outbox, if_not_exists=True))


def create_outbox(op: Any) -> None:
    """Make the table in a migration, unless it is there; ``op`` is Alembic's. It needs no database (``--sql``)."""
    op.execute(CreateTable(outbox, if_not_exists=True))


def drop_outbox(op: Any) -> None:
    """Drop the table in a migration; what waits in it is lost. ``op`` is Alembic's."""
    op.execute(DropTable(outbox, if_exists=True))


def add_outbox(metadata: MetaData) -> Table:
    """Add the table to the caller's own metadata, for ``create_all`` and for Alembic's autogenerate."""
    return outbox.to_metadata(metadata)
