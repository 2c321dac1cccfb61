"""Turns of runs, where only so many of a workflow, or of a key, may be unfinished at once.

A run that has ended needs no turn, so nothing has to be given back: whoever asks next sees that it is free.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, update

from kanca.domain.status import UNFINISHED_RUNS
from kanca.storage.dialects.locking import lock_names
from kanca.storage.signals import signal
from kanca.storage.tables import run_slots, runs, tasks

AT_ONCE = 100
"""Runs that are told at once that it may be their turn."""


def take(connection: Connection, run_id: UUID, task_id: int, workflow: int, key: str, limit: int) -> bool:
    """Whether a run may begin: fewer than ``limit`` have their turn, and no older one waits for it.

    If not, it is remembered, and ``give`` signals its task. Asking again changes nothing.
    """
    lock_names(connection, [f"turn\x00{workflow}\x00{key}"])
    mine = connection.execute(select(run_slots.c.is_held).where(run_slots.c.run_id == run_id)).one_or_none()
    if mine is not None and mine.is_held:
        return True
    _forget_ended(connection, workflow, key)
    here = (run_slots.c.workflow == workflow, run_slots.c.key == key)
    held = _count(connection, *here, run_slots.c.is_held)
    older = _count(connection, *here, ~run_slots.c.is_held, run_slots.c.run_id < run_id)
    is_free = held + older < limit
    if mine is None:
        values = {"run_id": run_id, "workflow": workflow, "key": key, "is_held": is_free, "task_id": task_id}
        connection.execute(insert(run_slots).values(values | {"most": limit}))
    else:
        change = {"is_held": is_free, "task_id": task_id, "most": limit}
        connection.execute(update(run_slots).where(run_slots.c.run_id == run_id).values(change))
    return is_free


def give(connection: Connection, now: datetime) -> int:
    """Signal runs that wait although there is room; gives how many. Wake the workers afterwards."""
    queued = (
        select(run_slots.c.workflow, run_slots.c.key, func.max(run_slots.c.most))
        .where(~run_slots.c.is_held)
        .group_by(run_slots.c.workflow, run_slots.c.key)
    )
    signalled = 0
    for workflow, key, most in connection.execute(queued).all():
        _forget_ended(connection, workflow, key)
        here = (run_slots.c.workflow == workflow, run_slots.c.key == key)
        free = min(most - _count(connection, *here, run_slots.c.is_held), AT_ONCE)
        first = select(run_slots.c.task_id).where(*here, ~run_slots.c.is_held).order_by(run_slots.c.run_id)
        ids = connection.scalars(first.limit(free)).all() if free > 0 else ()
        if ids:
            signalled += signal(connection, tasks.c.id.in_(ids), now)
    return signalled


def is_anybody_waiting(connection: Connection) -> bool:
    """Whether a run waits for its turn."""
    return connection.scalar(select(run_slots.c.run_id).where(~run_slots.c.is_held).limit(1)) is not None


def _forget_ended(connection: Connection, workflow: int, key: str) -> None:
    """Forget the turns of runs that have ended."""
    unfinished = select(runs.c.id).where(runs.c.id == run_slots.c.run_id, runs.c.status.in_(UNFINISHED_RUNS))
    connection.execute(
        delete(run_slots).where(
            run_slots.c.workflow == workflow, run_slots.c.key == key, ~unfinished.exists()
        )
    )


def _count(connection: Connection, *conditions: object) -> int:
    query = select(func.count()).select_from(run_slots).where(*conditions)  # type: ignore[arg-type]  # columns
    return connection.scalar(query) or 0
