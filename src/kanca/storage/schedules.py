"""The schedules of published workflows: when each starts its next run.

A row is a ``Schedule`` node of the published version. It is there while the workflow is published.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, select, tuple_, update

from kanca.storage.pages import Page, check_limit, cursor_after, read_cursor
from kanca.storage.tables import schedules, workflows


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """A schedule as a version of a workflow has it."""

    node_id: str
    cron: str
    timezone: str
    missed: str
    next_at: datetime
    """When it is due, if it is new or its times have changed."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When runs of a workflow start next."""

    workflow: int
    """The number of the workflow."""
    node_id: str
    workflow_id: str
    version: int
    cron: str
    timezone: str
    missed: str
    next_at: datetime
    """In the past while nobody was there, or the workflow is paused."""
    last_at: datetime | None
    """The moment for which it started a run last."""


def replace(
    connection: Connection, workflow_number: int, workflow_id: str, version: int, new: Iterable[NewSchedule]
) -> None:
    """Let a workflow have these schedules and no others, in the transaction that publishes the version.

    Those whose times are as they were go on: what they have missed stays missed, and what they started stays started.
    """
    of_workflow = schedules.c.workflow == workflow_number
    query = select(schedules).where(of_workflow).with_for_update()
    before = {row.node_id: row for row in connection.execute(query)}
    remove(connection, workflow_number)
    for schedule in new:
        old = before.get(schedule.node_id)
        is_as_it_was = old is not None and (old.cron, old.timezone) == (schedule.cron, schedule.timezone)
        connection.execute(
            insert(schedules).values(
                workflow=workflow_number,
                node_id=schedule.node_id,
                workflow_id=workflow_id,
                version=version,
                cron=schedule.cron,
                timezone=schedule.timezone,
                missed=schedule.missed,
                next_at=old.next_at if old is not None and is_as_it_was else schedule.next_at,
                last_at=None if old is None else old.last_at,
            )
        )


def remove(connection: Connection, workflow_number: int) -> None:
    """Let a workflow have no schedules, in the transaction that unpublishes or deletes it."""
    connection.execute(delete(schedules).where(schedules.c.workflow == workflow_number))


def soonest(connection: Connection) -> datetime | None:
    """When the first schedule is due that may start runs; None when there is none."""
    query = select(func.min(schedules.c.next_at)).select_from(schedules.join(workflows, _MAY_START))
    found: datetime | None = connection.scalar(query)
    return found


def due(connection: Connection, now: datetime, limit: int) -> list[Schedule]:
    """The schedules that are due and may start runs, the longest overdue first.

    Nobody else is given them until the transaction is over.
    """
    query = (
        select(schedules)
        .join(workflows, _MAY_START)
        .where(schedules.c.next_at <= now)
        .order_by(schedules.c.next_at, schedules.c.workflow, schedules.c.node_id)
        .limit(limit)
        .with_for_update(of=schedules, skip_locked=True)
    )
    return [_schedule(row) for row in connection.execute(query)]


def move_on(connection: Connection, schedule: Schedule, next_at: datetime, last_at: datetime | None) -> None:
    """Say when a schedule is due next, and for which moment it started a run last."""
    connection.execute(
        update(schedules)
        .where(schedules.c.workflow == schedule.workflow, schedules.c.node_id == schedule.node_id)
        .values(next_at=next_at, last_at=last_at)
    )


def page(
    connection: Connection,
    limit: int = 50,
    cursor: str | None = None,
    workflow_id: str | None = None,
    tenant: str | None = None,
) -> Page[Schedule]:
    """List schedules by workflow and node; with ``tenant``, those of its workflows.

    Raises InvalidInput for a wrong limit or cursor.
    """
    place = tuple_(schedules.c.workflow_id, schedules.c.node_id)
    query = select(schedules).order_by(*place).limit(check_limit(limit) + 1)
    if cursor is not None:
        # Neither of the two ids can have a slash in it.
        before, _, node_id = read_cursor(cursor).partition("/")
        query = query.where(place > tuple_(before, node_id))
    if workflow_id is not None:
        query = query.where(schedules.c.workflow_id == workflow_id)
    if tenant is not None:
        theirs = select(workflows.c.number).where(workflows.c.tenant == tenant)
        query = query.where(schedules.c.workflow.in_(theirs))
    rows = [_schedule(row) for row in connection.execute(query)]
    items = tuple(rows[:limit])
    last = f"{items[-1].workflow_id}/{items[-1].node_id}" if len(rows) > limit else None
    return Page(items, None if last is None else cursor_after(last))


def _schedule(row: Row[Any]) -> Schedule:
    return Schedule(**row._asdict())


_MAY_START: ColumnElement[bool] = and_(
    workflows.c.number == schedules.c.workflow,
    workflows.c.published_version == schedules.c.version,
    ~workflows.c.is_paused,
)
"""What is published, and not paused."""
