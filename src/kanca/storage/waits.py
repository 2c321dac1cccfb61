"""Waits of runs: reading them, and the ways in which one ends."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, select, update

from kanca.domain.status import UNFINISHED_RUNS, WaitStatus
from kanca.domain.task import RunChange
from kanca.domain.wait import Wait
from kanca.storage.signals import signal, signal_all
from kanca.storage.tables import OPEN, UNFINISHED, runs, tasks, waits

COLUMNS = [waits.c[field.name] for field in fields(Wait)]


def of_runs(connection: Connection, run_ids: Collection[UUID]) -> dict[UUID, list[Wait]]:
    """Give the waits of each run, in the order in which they were opened."""
    found: dict[UUID, list[Wait]] = {}
    query = select(*COLUMNS).where(waits.c.run_id.in_(run_ids)).order_by(waits.c.opened_at)
    for row in connection.execute(query):
        found.setdefault(row.run_id, []).append(wait_in(row))
    return found


def expire(connection: Connection, wait_ids: Collection[UUID], now: datetime) -> None:
    """Let these waits be over without what was waited for, those that are still open."""
    _end(connection, wait_ids, WaitStatus.TIMED_OUT, now)


def cancel(connection: Connection, wait_ids: Collection[UUID], now: datetime) -> None:
    """Close these waits, those that are still open; runs that they wait for are asked to end."""
    _end(connection, wait_ids, WaitStatus.CANCELLED, now)
    for child in _children(connection, wait_ids, waits.c.status == WaitStatus.CANCELLED):
        request_cancel(connection, child, now)


def give_up(connection: Connection, wait_ids: Collection[UUID], now: datetime) -> None:
    """Close these waits, also those that have ended: another attempt waits anew, for another run."""
    children = _children(connection, wait_ids)
    connection.execute(
        update(waits)
        .where(waits.c.id.in_(wait_ids))
        .values(status=WaitStatus.CANCELLED, ended_at=now, event_id=None, child_run_id=None)
    )
    for child in children:
        request_cancel(connection, child, now)


def child_ended(connection: Connection, child: RunChange, now: datetime) -> bool:
    """Tell the run that waits for this one; False when it waits no longer."""
    if child.parent_wait is None:
        return False
    is_meant = waits.c.child_run_id == child.id
    wait = claim(connection, child.parent_wait, None, now, CLAIM.where(is_meant))
    if wait is not None:
        signal_all(connection, [wait.task_id], now)
    return wait is not None


def request_cancel(connection: Connection, run_id: UUID, now: datetime) -> bool:
    """Ask for the end of a run that is not over, and close its waits; False when it is over, or was asked already.

    Rows are locked in the order in which those lock them who claim waits and finish tasks: waits, tasks, runs.
    """
    opened = open_of(connection, [run_id])
    _end(connection, opened, WaitStatus.CANCELLED, now)
    # The task of a run is found without an index; this is rare.
    signal(connection, tasks.c.ref == run_id, now)
    asked = connection.execute(
        update(runs)
        .where(runs.c.id == run_id, runs.c.status.in_(UNFINISHED_RUNS), runs.c.cancel_requested_at.is_(None))
        .values(cancel_requested_at=now)
    )
    # What was opened until the run was locked; nothing is opened from now on.
    late = open_of(connection, [run_id])
    _end(connection, late, WaitStatus.CANCELLED, now)
    for child in _children(connection, [*opened, *late]):
        request_cancel(connection, child, now)
    return bool(asked.rowcount)


def open_of(connection: Connection, run_ids: Collection[UUID]) -> Sequence[UUID]:
    """Give the open waits of these runs."""
    return connection.scalars(select(waits.c.id).where(waits.c.run_id.in_(run_ids), OPEN)).all()


def versions_in_use(connection: Connection, workflow_id: str) -> list[int]:
    """Give the versions of a workflow that unfinished runs have, without reading those runs."""
    found: list[int] = []
    newest = 0
    while True:
        version = connection.scalar(_NEXT_VERSION, {"of_workflow": workflow_id, "after": newest})
        if version is None:
            return found
        found.append(version)
        newest = version


_NEXT_VERSION = (
    select(runs.c.version)
    .where(runs.c.workflow_id == bindparam("of_workflow"), UNFINISHED, runs.c.version > bindparam("after"))
    .order_by(runs.c.version)
    .limit(1)
)


# Put together once, as below: to do so for every arrival took longer than to run it.
CLAIM = (
    update(waits)
    .where(waits.c.id == bindparam("of_wait"), waits.c.status == WaitStatus.OPEN)
    .values(
        status=WaitStatus.CLAIMED,
        ended_at=bindparam("at", type_=waits.c.ended_at.type),
        event_id=bindparam("by_event", type_=waits.c.event_id.type),
    )
    .returning(*COLUMNS)
)
"""What ``claim`` runs; narrowed further, a wait is claimed only if it is so."""


def claim(
    connection: Connection, wait_id: UUID, event_id: UUID | None, now: datetime, claiming: Any = CLAIM
) -> Wait | None:
    """Let what was waited for end a wait; None when it is not open (any more), or not as ``claiming`` says.

    Compare and set: of an arrival, a timeout and a cancellation, one wins. The run's task is still to be signalled.
    """
    given = {"of_wait": wait_id, "by_event": event_id, "at": now}
    row = connection.execute(claiming, given).one_or_none()
    return None if row is None else wait_in(row)


def _children(connection: Connection, wait_ids: Collection[UUID], *further: Any) -> Sequence[UUID]:
    """The runs that these waits wait for."""
    query = select(waits.c.child_run_id).where(
        waits.c.id.in_(wait_ids), waits.c.child_run_id.is_not(None), *further
    )
    return [child for child in connection.scalars(query) if child is not None]


def _end(connection: Connection, wait_ids: Collection[UUID], status: WaitStatus, now: datetime) -> None:
    connection.execute(
        update(waits)
        .where(waits.c.id.in_(wait_ids), waits.c.status == WaitStatus.OPEN)
        .values(status=status, ended_at=now)
    )


def get(connection: Connection, wait_id: UUID) -> Wait | None:
    """Give the wait with that id."""
    row = connection.execute(_GET, {"of_wait": wait_id}).one_or_none()
    return None if row is None else wait_in(row)


_GET = select(*COLUMNS).where(waits.c.id == bindparam("of_wait"))


def wait_in(row: Row[Any]) -> Wait:
    """Read a row of ``COLUMNS``."""
    return Wait(**row._asdict() | {"status": WaitStatus(row.status)})
