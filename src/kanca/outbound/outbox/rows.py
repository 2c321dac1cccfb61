"""What the relay and the command line ask of an outbox: functions that take a SQLAlchemy connection."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, String, bindparam, delete, func, inspect, select, type_coerce, update

from kanca.domain.ids import EVENT
from kanca.outbound.outbox.table import MAX_ERROR_LENGTH, outbox
from kanca.storage.types import from_microseconds

_WAITING = outbox.c.error.is_(None)
# An id that is none must not keep the rows beside it from being read.
_AS_WRITTEN = [
    type_coerce(column, String).label("id") if column is outbox.c.id else column for column in outbox.columns
]


def is_installed(connection: Connection) -> bool:
    """Whether the table is there."""
    return inspect(connection).has_table(outbox.name)


def take(connection: Connection, limit: int, max_bytes: int) -> list[Row[Any]]:
    """The first rows, in order, at most so many and (but for the first one) so large; locked, where rows can be.

    None of them while another relay has the first ones: two that took turns would mix up the order.
    """
    heads = connection.execute(
        select(outbox.c.position, func.length(outbox.c.payload))
        .where(_WAITING)
        .order_by(outbox.c.position)
        .limit(limit)
    ).all()
    positions: list[int] = []
    for position, size_bytes in heads:
        max_bytes -= size_bytes or 0
        if positions and max_bytes < 0:
            break
        positions.append(position)
    if not positions:
        return []
    rows = connection.execute(
        select(*_AS_WRITTEN)
        .where(outbox.c.position.in_(positions), _WAITING)
        .order_by(outbox.c.position)
        .with_for_update(skip_locked=True)
    ).all()
    return list(rows) if rows and rows[0].position == positions[0] else []


def remove(connection: Connection, positions: Collection[int]) -> None:
    """Delete rows that have become events."""
    if positions:
        connection.execute(delete(outbox).where(outbox.c.position.in_(positions)))


def refuse(connection: Connection, errors: Mapping[int, str]) -> None:
    """Leave rows aside, each with the reason."""
    if errors:
        statement = update(outbox).where(outbox.c.position == bindparam("row")).values(error=bindparam("why"))
        rows = [{"row": position, "why": error[:MAX_ERROR_LENGTH]} for position, error in errors.items()]
        connection.execute(statement, rows)


def status(connection: Connection, limit: int = 10) -> dict[str, Any]:
    """What waits, and what was refused: how many, and the first few, as JSON has it."""
    if not is_installed(connection):
        return {"is_installed": False}
    count, oldest = func.count(outbox.c.position), func.min(outbox.c.created_at)
    waiting, oldest_us = connection.execute(select(count, oldest).where(_WAITING)).one()
    refused = connection.execute(select(count).where(~_WAITING)).scalar_one()
    first = connection.execute(
        select(*_AS_WRITTEN).where(~_WAITING).order_by(outbox.c.position).limit(limit)
    ).all()
    return {
        "is_installed": True,
        "waiting": waiting,
        "oldest_at": oldest_us and f"{from_microseconds(oldest_us):%Y-%m-%dT%H:%M:%S.%fZ}",
        "refused": refused,
        "refused_items": [
            {
                "position": row.position,
                "id": f"{EVENT}_{row.id.hex if isinstance(row.id, UUID) else row.id}",
                "event_type": row.event_type,
                "error": row.error,
            }
            for row in first
        ],
    }
