"""Signals: news for tasks that wait (see ``domain.task.Wait``)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, null, select, update

from kanca.domain.task import TaskKind, TaskState
from kanca.storage.tables import tasks
from kanca.storage.types import to_microseconds

_WAITING = tasks.c.state.in_([TaskState.SCHEDULED, TaskState.PARKED])
_MAY_WAIT = tasks.c.kind.in_([TaskKind.DISPATCH, TaskKind.RUN, TaskKind.RESUME])
"""A dispatch may have brought its event somewhere, and not have said yet that it waits for a signal."""


def signal(connection: Connection, which: ColumnElement[bool], now: datetime) -> int:
    """Make these tasks ready, or say to those that are being done that there is news; gives how many there were.

    Wake the workers once it has committed.
    """
    # In an order that all keep: two who signal some of the same would else wait for each other.
    meant = select(tasks.c.id).where(which, _MAY_WAIT).order_by(tasks.c.id).with_for_update()
    changed = connection.execute(
        update(tasks)
        .where(tasks.c.id.in_(meant))
        .values(
            signals=tasks.c.signals + 1,
            state=case((_WAITING, TaskState.READY), else_=tasks.c.state),
            due_at=case((_WAITING, null()), else_=tasks.c.due_at),
            position=case((_WAITING, to_microseconds(now)), else_=tasks.c.position),
        )
    )
    return changed.rowcount


def signals_of(connection: Connection, task_ids: Collection[int]) -> dict[int, int]:
    """Give how often there was news for each of these tasks, those that are there."""
    rows = connection.execute(select(tasks.c.id, tasks.c.signals).where(tasks.c.id.in_(task_ids)))
    return {row.id: row.signals for row in rows}
