"""``INSERT … ON CONFLICT DO UPDATE`` on both databases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

_INSERT: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    change: Callable[[Any], Mapping[str, Any]],
) -> None:
    """Insert rows; where the primary key is there already, set what ``change`` gives for the new row's columns.

    ``change`` receives the columns of the row that was to be inserted (``excluded``).
    """
    if not rows:
        return
    statement = _INSERT[connection.dialect.name](table)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns), set_=change(statement.excluded)
        ),
        list(rows),
    )


def insert_missing(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row unless its primary key is there already; gives whether it was inserted."""
    statement = _INSERT[connection.dialect.name](table).values(row).on_conflict_do_nothing()
    return bool(connection.execute(statement).rowcount)
