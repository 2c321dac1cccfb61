"""Runs of workflows and their steps."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select

from kanca.domain.ids import id_at
from kanca.domain.status import RunOrigin, RunStatus, StepStatus
from kanca.domain.task import NewTask, RunChange, Step
from kanca.storage.events import padded
from kanca.storage.new_tasks import add_tasks
from kanca.storage.pages import Page, check_limit, cursor_after, read_id_cursor
from kanca.storage.scanning import IN_DATABASE, Scan, look
from kanca.storage.tables import runs, steps

Run = RunChange
"""A run as it is; the same fields as the change that made it so."""

_RUN = [runs.c[field.name] for field in fields(Run)]
_STEP = [steps.c[field.name] for field in fields(Step)]


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs; what is None does not matter."""

    workflow_id: str | None = None
    status: RunStatus | None = None
    since: datetime | None = None
    until: datetime | None = None


ALL = RunFilter()


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


def page(
    connection: Connection, wanted: RunFilter = ALL, limit: int = 50, cursor: str | None = None
) -> Page[Run]:
    """List runs, newest first. Raises InvalidInput for a wrong limit or cursor.

    A page may hold fewer runs than ``limit`` although there are more: looking for a status goes back only so far at
    once. ``next_cursor`` is None only at the end.
    """
    in_rows = {"status": wanted.status} if wanted.status is not None else {}
    scan = Scan(
        check_limit(limit), read_id_cursor(cursor) if cursor else None, IN_DATABASE if in_rows else None
    )
    bounds = []
    if wanted.workflow_id is not None:
        bounds.append(runs.c.workflow_id == wanted.workflow_id)
    if wanted.since is not None:
        bounds.append(runs.c.id >= id_at(wanted.since))
    if wanted.until is not None:
        bounds.append(runs.c.id < id_at(wanted.until))
    while scan.is_on:
        scan.saw(*look(connection, runs, scan, bounds, in_rows))
    found = {row.id: _run(row) for row in connection.execute(select(*_RUN).where(runs.c.id.in_(scan.found)))}
    return Page(
        tuple(found[run_id] for run_id in scan.found),
        cursor_after(scan.goes_on_before) if scan.goes_on_before else None,
    )


def _values(run: Run) -> dict[str, Any]:
    return {field.name: getattr(run, field.name) for field in fields(Run)}


def _run(row: Row[Any]) -> Run:
    return Run(**row._asdict() | {"status": RunStatus(row.status), "origin": RunOrigin(row.origin)})


def _step(row: Row[Any]) -> Step:
    return Step(**row._asdict() | {"status": StepStatus(row.status)})
