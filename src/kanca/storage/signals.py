"""Signals: news for tasks that wait (see ``domain.task.Wait``)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Update,
    bindparam,
    case,
    literal_column,
    null,
    select,
    text,
    update,
)

from kanca.domain.task import TaskKind, TaskState
from kanca.storage.tables import tasks
from kanca.storage.types import to_microseconds

# Lists are written out, and what every arrival asks is put together once: to do so each time took longer than to ask.
_WAITING = text(f"state IN ({TaskState.SCHEDULED:d}, {TaskState.PARKED:d})")
_MAY_WAIT = text(f"kind IN ({TaskKind.DISPATCH:d}, {TaskKind.RUN:d}, {TaskKind.RESUME:d})")
"""A dispatch may have brought its event somewhere, and not have said yet that it waits for a signal."""
_NOW_US = bindparam("now_us", type_=BigInteger)


def signal(connection: Connection, which: ColumnElement[bool], now: datetime) -> int:
    """Make these tasks ready, or say to those that are being done that there is news; gives how many there were.

    Wake the workers once it has committed.
    """
    return connection.execute(_signal(which), {"now_us": to_microseconds(now)}).rowcount


def signal_all(connection: Connection, task_ids: Collection[int], now: datetime) -> int:
    """The same for tasks by their ids."""
    given = {"now_us": to_microseconds(now), "task_ids": list(task_ids)}
    return connection.execute(_SIGNAL_ALL, given).rowcount


def _signal(which: ColumnElement[bool]) -> Update:
    # In an order that all keep: two who signal some of the same would else wait for each other.
    meant = select(tasks.c.id).where(which, _MAY_WAIT).order_by(tasks.c.id).with_for_update()
    return (
        update(tasks)
        .where(tasks.c.id.in_(meant))
        .values(
            signals=tasks.c.signals + 1,
            state=case((_WAITING, literal_column(f"{TaskState.READY:d}")), else_=tasks.c.state),
            due_at=case((_WAITING, null()), else_=tasks.c.due_at),
            position=case((_WAITING, _NOW_US), else_=tasks.c.position),
        )
    )


_SIGNAL_ALL = _signal(tasks.c.id.in_(bindparam("task_ids", expanding=True)))


def signals_of(connection: Connection, task_ids: Collection[int]) -> dict[int, int]:
    """Give how often there was news for each of these tasks, those that are there."""
    rows = connection.execute(select(tasks.c.id, tasks.c.signals).where(tasks.c.id.in_(task_ids)))
    return {row.id: row.signals for row in rows}
