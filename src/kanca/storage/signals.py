"""Signals: news for tasks that wait (see ``domain.task.Wait``)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
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

# Lists are written out, and what is done for every arrival is made once: to put the statement together each time took
# longer than to run it.
_WAITING = text(f"state IN ({TaskState.SCHEDULED:d}, {TaskState.PARKED:d})")
_NOW_US = bindparam("now_us", type_=BigInteger)
_SIGNAL = (
    update(tasks)
    .where(text(f"kind IN ({TaskKind.RUN:d}, {TaskKind.RESUME:d})"))
    .values(
        signals=tasks.c.signals + 1,
        state=case((_WAITING, literal_column(f"{TaskState.READY:d}")), else_=tasks.c.state),
        due_at=case((_WAITING, null()), else_=tasks.c.due_at),
        position=case((_WAITING, _NOW_US), else_=tasks.c.position),
    )
)
_SIGNAL_ONE = _SIGNAL.where(tasks.c.id == bindparam("task_id"))


def signal(connection: Connection, which: ColumnElement[bool], now: datetime) -> int:
    """Make these tasks ready, or say to those that are being done that there is news; gives how many there were.

    Wake the workers once it has committed.
    """
    return connection.execute(_SIGNAL.where(which), {"now_us": to_microseconds(now)}).rowcount


def signal_one(connection: Connection, task_id: int, now: datetime) -> int:
    """The same for one task."""
    return connection.execute(_SIGNAL_ONE, {"now_us": to_microseconds(now), "task_id": task_id}).rowcount


def signals_of(connection: Connection, task_ids: Collection[int]) -> dict[int, int]:
    """Give how often there was news for each of these tasks, those that are there."""
    rows = connection.execute(select(tasks.c.id, tasks.c.signals).where(tasks.c.id.in_(task_ids)))
    return {row.id: row.signals for row in rows}
