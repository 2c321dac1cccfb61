"""Runs of workflows and their steps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, insert, select

from kanca.domain.ids import id_at, time_of
from kanca.domain.status import RunOrigin, RunStatus, StepStatus
from kanca.domain.task import Attempt, NewTask, RunChange, Step
from kanca.storage.events import CLOCKS_DIFFER_BY, padded
from kanca.storage.new_tasks import add_tasks
from kanca.storage.owners import is_run_of
from kanca.storage.pages import Page, check_limit, cursor_after, read_id_cursor
from kanca.storage.scanning import IN_DATABASE, Scan, look
from kanca.storage.tables import OPEN, attempts, runs, steps, waits

Run = RunChange
"""A run as it is; the same fields as the change that made it so."""

_RUN = [runs.c[field.name] for field in fields(Run)]
_ATTEMPT = [attempts.c[field.name] for field in fields(Attempt)]
_STEP = [steps.c[field.name] for field in fields(Step)]


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs; what is None does not matter."""

    workflow_id: str | None = None
    status: RunStatus | None = None
    since: datetime | None = None
    until: datetime | None = None
    event_id: UUID | None = None
    """What started them."""
    is_test: bool | None = None
    waiting_for: str | None = None
    """They wait now for an event with this key."""
    tenant: str | None = None
    """Of its workflows."""


ALL = RunFilter()
AT_ONCE = 1_000
"""Ids in one query."""


def start(connection: Connection, run: Run, task: NewTask, now: datetime) -> None:
    """Store a run that a person starts, with its task. Wake the workers once it has committed."""
    connection.execute(insert(runs).values(_values(run)))
    add_tasks(connection, [task], now)


def get(connection: Connection, run_id: UUID) -> Run | None:
    """Give the run with that id."""
    row = connection.execute(select(*_RUN).where(runs.c.id == run_id)).one_or_none()
    return None if row is None else _run(row)


def get_all(connection: Connection, run_ids: Collection[UUID]) -> dict[UUID, Run]:
    """Give the runs that are there, by id."""
    if not run_ids:
        return {}
    rows = connection.execute(select(*_RUN).where(runs.c.id.in_(padded(run_ids))))
    return {row.id: _run(row) for row in rows}


def steps_of(connection: Connection, run_id: UUID) -> tuple[Step, ...]:
    """Give the stored steps of a run, in the order in which they ended."""
    return steps_of_all(connection, [run_id]).get(run_id, ())


def steps_of_all(connection: Connection, run_ids: Collection[UUID]) -> dict[UUID, tuple[Step, ...]]:
    """Give the stored steps of each run, in the order in which they ended."""
    if not run_ids:
        return {}
    # Ids of steps are derived from the run's and have its time in front: this finds the partitions.
    first, last = min(run_ids).int >> 80, max(run_ids).int >> 80
    query = (
        select(*_STEP)
        .where(
            steps.c.run_id.in_(padded(run_ids)),
            steps.c.id >= UUID(int=first << 80),
            steps.c.id < UUID(int=(last + 1) << 80),
        )
        .order_by(steps.c.finished_at, steps.c.iteration, steps.c.node_id)
    )
    found: dict[UUID, list[Step]] = {}
    for row in connection.execute(query):
        found.setdefault(row.run_id, []).append(_step(row))
    return {run_id: tuple(its) for run_id, its in found.items()}


def attempts_of(connection: Connection, run_id: UUID, step_ids: Sequence[UUID]) -> dict[UUID, list[Attempt]]:
    """Give the failed attempts of these steps of a run, the oldest first."""
    found: dict[UUID, list[Attempt]] = {}
    # An attempt is as old as its run at most: this finds the partitions.
    since = id_at(time_of(run_id) - CLOCKS_DIFFER_BY)
    for start in range(0, len(step_ids), AT_ONCE):
        theirs = attempts.c.call_id.in_(padded(step_ids[start : start + AT_ONCE]))
        query = select(*_ATTEMPT).where(theirs, attempts.c.id >= since).order_by(attempts.c.id)
        for row in connection.execute(query):
            found.setdefault(row.call_id, []).append(Attempt(**row._asdict()))
    return found


def page(
    connection: Connection, wanted: RunFilter = ALL, limit: int = 50, cursor: str | None = None
) -> Page[Run]:
    """List runs, newest first. Raises InvalidInput for a wrong limit or cursor.

    A page may hold fewer runs than ``limit`` although there are more: looking for a status goes back only so far at
    once. ``next_cursor`` is None only at the end.
    """
    in_rows: dict[str, Any] = {
        name: value for name in ("status", "event_id") if (value := getattr(wanted, name)) is not None
    }
    if wanted.is_test:
        in_rows["is_test"] = True
    scan = Scan(
        check_limit(limit), read_id_cursor(cursor) if cursor else None, IN_DATABASE if in_rows else None
    )
    bounds = _bounds(wanted)
    while scan.is_on:
        scan.saw(*look(connection, runs, scan, bounds, in_rows))
    found = {row.id: _run(row) for row in connection.execute(select(*_RUN).where(runs.c.id.in_(scan.found)))}
    return Page(
        tuple(found[run_id] for run_id in scan.found),
        cursor_after(scan.goes_on_before) if scan.goes_on_before else None,
    )


def _bounds(wanted: RunFilter) -> list[ColumnElement[bool]]:
    bounds: list[ColumnElement[bool]] = []
    if wanted.workflow_id is not None:
        bounds.append(runs.c.workflow_id == wanted.workflow_id)
    if wanted.since is not None:
        bounds.append(runs.c.id >= id_at(wanted.since))
    if wanted.until is not None:
        bounds.append(runs.c.id < id_at(wanted.until))
    if wanted.event_id is not None:
        # The id of a run that an event starts is derived from the event's, and has its time in front.
        first = wanted.event_id.int >> 80
        bounds += [runs.c.id >= UUID(int=first << 80), runs.c.id < UUID(int=(first + 1) << 80)]
    if wanted.is_test is False:
        # Few are, so leaving them out costs little; finding them takes looking at all.
        bounds.append(~runs.c.is_test)
    if wanted.tenant is not None:
        bounds.append(is_run_of(wanted.tenant))
    if wanted.waiting_for is not None:
        theirs = select(waits.c.run_id).where(waits.c.key == wanted.waiting_for, OPEN)
        bounds.append(runs.c.id.in_(theirs))
    return bounds


def _values(run: Run) -> dict[str, Any]:
    return {field.name: getattr(run, field.name) for field in fields(Run)}


def _run(row: Row[Any]) -> Run:
    return Run(**row._asdict() | {"status": RunStatus(row.status), "origin": RunOrigin(row.origin)})


def _step(row: Row[Any]) -> Step:
    return Step(**row._asdict() | {"status": StepStatus(row.status)})
