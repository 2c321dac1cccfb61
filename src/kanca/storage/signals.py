"""Signals: news for tasks that wait (see ``domain.task.Wait``)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, null, select, update

from kanca.domain.task import TaskKind, TaskState
from kanca.storage.tables import tasks
from kanca.storage.types import to_microseconds

_SIGNALLED = (TaskKind.RUN, TaskKind.RESUME, TaskKind.DISPATCH)
"""What can have news. The dispatch of an event becomes one of the others, and may be in the midst of that."""
_WAITING = tasks.c.state.in_([TaskState.SCHEDULED, TaskState.PARKED])


def signal(connection: Connection, which: ColumnElement[bool], now: datetime) -> int:
    """Make these tasks ready, or say to those that are being done that there is news; gives how many there were.

    Wake the workers once it has committed.
    """
    changed = connection.execute(
        update(tasks)
        .where(which, tasks.c.kind.in_(_SIGNALLED))
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
