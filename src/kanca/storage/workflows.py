"""Workflows and their versions. A version never changes; runs keep the one they started with."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from kanca.errors import WorkflowExists, WorkflowInUse, WorkflowNotFound
from kanca.storage import schedules
from kanca.storage.pages import Page, check_limit, cursor_after, read_cursor
from kanca.storage.signals import signal
from kanca.storage.tables import early_events, endpoints, tasks, workflow_versions, workflows
from kanca.storage.versions import bump_version, read_versions


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow, without its definition."""

    id: str
    number: int
    """What the queue calls it."""
    tenant: str
    name: str
    version: int
    """The newest."""
    published_version: int | None
    created_at: datetime
    updated_at: datetime
    is_paused: bool = False
    """Its runs are held: none goes on, and none begins."""

    @property
    def has_draft(self) -> bool:
        """Whether the newest version is not the published one."""
        return self.version != self.published_version


@dataclass(frozen=True, slots=True)
class WorkflowVersion:
    """A definition as it was saved."""

    workflow_id: str
    version: int
    definition: str
    """JSON."""
    created_at: datetime
    published_at: datetime | None = None
    """For the last time."""


class Needed(NamedTuple):
    """What it takes to run a workflow."""

    number: int
    id: str
    node_types: frozenset[str]


def create(
    connection: Connection,
    workflow_id: str,
    tenant: str,
    name: str,
    definition: str,
    now: datetime,
    node_types: Collection[str] = (),
) -> Workflow:
    """Store a new workflow, unpublished. ``node_types``: what a worker must have to run it.

    Raises WorkflowExists when there is one with that id.
    """
    bump_version(connection, "workflows")
    if get(connection, workflow_id) is not None:
        raise WorkflowExists(f"There is a workflow {workflow_id} already")
    # A deleted workflow's versions stay for its runs; one that comes after it with the same id counts on.
    version = 1 + (
        connection.scalar(
            select(func.max(workflow_versions.c.version)).where(
                workflow_versions.c.workflow_id == workflow_id
            )
        )
        or 0
    )
    workflow = Workflow(workflow_id, _next_number(connection), tenant, name, version, None, now, now)
    connection.execute(
        insert(workflows).values({field.name: getattr(workflow, field.name) for field in fields(workflow)})
    )
    _add_version(connection, workflow_id, version, definition, now, node_types)
    return workflow


def save(
    connection: Connection,
    workflow_id: str,
    name: str,
    definition: str,
    now: datetime,
    node_types: Collection[str] = (),
) -> Workflow:
    """Store a new version, which is published only by ``publish``. Raises WorkflowNotFound."""
    bump_version(connection, "workflows")
    version = _existing(connection, workflow_id).version + 1
    _add_version(connection, workflow_id, version, definition, now, node_types)
    return _set(connection, workflow_id, name=name, version=version, updated_at=now)


def publish(connection: Connection, workflow_id: str, now: datetime, version: int | None = None) -> Workflow:
    """Make a version, by default the newest, the one that new runs start with. Raises WorkflowNotFound."""
    bump_version(connection, "workflows")
    newest = _existing(connection, workflow_id).version
    chosen = newest if version is None else version
    published = connection.execute(
        update(workflow_versions)
        .where(workflow_versions.c.workflow_id == workflow_id, workflow_versions.c.version == chosen)
        .values(published_at=now)
    )
    if not published.rowcount:
        raise WorkflowNotFound(f"Workflow {workflow_id} has no version {version}")
    _look_again(connection, _existing(connection, workflow_id).number, now)
    return _set(connection, workflow_id, published_version=chosen, updated_at=now)


def _look_again(connection: Connection, number: int, now: datetime) -> None:
    """Let events that are kept for runs to come look for them anew: they may have other keys from now on."""
    kept = select(early_events.c.task_id).where(early_events.c.workflow == number)
    signal(connection, tasks.c.id.in_(kept), now)


def unpublish(connection: Connection, workflow_id: str, now: datetime) -> Workflow:
    """Let no new run start. Raises WorkflowNotFound."""
    bump_version(connection, "workflows")
    schedules.remove(connection, _existing(connection, workflow_id).number)
    return _set(connection, workflow_id, published_version=None, updated_at=now)


def set_paused(connection: Connection, workflow_id: str, now: datetime, *, is_paused: bool) -> Workflow:
    """Hold the workflow's runs, or let them go on. Raises WorkflowNotFound."""
    bump_version(connection, "workflows")
    _existing(connection, workflow_id)
    return _set(connection, workflow_id, is_paused=is_paused, updated_at=now)


def remove(connection: Connection, workflow_id: str) -> None:
    """Delete a workflow; its versions and runs stay. Raises WorkflowNotFound, WorkflowInUse (by endpoints)."""
    bump_version(connection, "workflows")
    # Locked before looking: an endpoint that is being created for it locks it too.
    number = connection.scalar(
        select(workflows.c.number).where(workflows.c.id == workflow_id).with_for_update()
    )
    if number is None:
        raise WorkflowNotFound(f"There is no workflow {workflow_id}")
    users = connection.scalars(
        select(endpoints.c.webhook_id)
        .where(endpoints.c.workflow_id == workflow_id, endpoints.c.deleted_at.is_(None))
        .limit(10)
    ).all()
    if users:
        raise WorkflowInUse(
            f"Endpoints use workflow {workflow_id}: {', '.join(users)}", webhook_ids=list(users)
        )
    schedules.remove(connection, number)
    connection.execute(delete(workflows).where(workflows.c.id == workflow_id))
    # Nobody goes back to them: a workflow that comes after it with the same id has a history of its own.
    connection.execute(
        update(workflow_versions)
        .where(workflow_versions.c.workflow_id == workflow_id)
        .values(published_at=None)
    )


def get(connection: Connection, workflow_id: str) -> Workflow | None:
    """Give the workflow with that id."""
    row = connection.execute(select(workflows).where(workflows.c.id == workflow_id)).one_or_none()
    return None if row is None else Workflow(**row._asdict())


def definition_of(connection: Connection, workflow_id: str, version: int) -> WorkflowVersion | None:
    """Give a version, also one of a workflow that was deleted."""
    row = connection.execute(
        select(*(workflow_versions.c[field.name] for field in fields(WorkflowVersion))).where(
            workflow_versions.c.workflow_id == workflow_id, workflow_versions.c.version == version
        )
    ).one_or_none()
    return None if row is None else WorkflowVersion(**row._asdict())


def version_of(
    connection: Connection, workflow_id: str, version: int | None = None
) -> tuple[Workflow, WorkflowVersion]:
    """Give a workflow with its newest version, or with that one. Raises WorkflowNotFound."""
    workflow = _existing(connection, workflow_id)
    stored = definition_of(connection, workflow_id, workflow.version if version is None else version)
    if stored is None:
        raise WorkflowNotFound(f"Workflow {workflow_id} has no version {version}")
    return workflow, stored


def beyond(connection: Connection, node_types: Collection[str]) -> list[Needed]:
    """The published workflows for which these node types are not enough, with what each needs, by number."""
    published = workflow_versions.join(
        workflows,
        (workflows.c.id == workflow_versions.c.workflow_id)
        & (workflows.c.published_version == workflow_versions.c.version),
    )
    # Many workflows need the same: each need is looked at once, and most are no reason to read any further.
    needs = connection.scalars(select(workflow_versions.c.node_types).select_from(published).distinct())
    lacking = {need: types for need in needs if (types := frozenset(json.loads(need))) - set(node_types)}
    if not lacking:
        return []
    query = (
        select(workflows.c.number, workflows.c.id, workflow_versions.c.node_types)
        .select_from(published)
        .where(workflow_versions.c.node_types.in_(list(lacking)))
        .order_by(workflows.c.number)
    )
    return [Needed(row.number, row.id, lacking[row.node_types]) for row in connection.execute(query)]


def page(
    connection: Connection, limit: int = 50, cursor: str | None = None, tenant: str | None = None
) -> Page[Workflow]:
    """List workflows by id. Raises InvalidInput for a wrong limit or cursor."""
    query = select(workflows).order_by(workflows.c.id).limit(check_limit(limit) + 1)
    if cursor is not None:
        query = query.where(workflows.c.id > read_cursor(cursor))
    if tenant is not None:
        query = query.where(workflows.c.tenant == tenant)
    rows = [Workflow(**row._asdict()) for row in connection.execute(query)]
    items = tuple(rows[:limit])
    return Page(items, cursor_after(items[-1].id) if len(rows) > limit else None)


def _existing(connection: Connection, workflow_id: str) -> Workflow:
    workflow = get(connection, workflow_id)
    if workflow is None:
        raise WorkflowNotFound(f"There is no workflow {workflow_id}")
    return workflow


def _add_version(
    connection: Connection,
    workflow_id: str,
    version: int,
    definition: str,
    now: datetime,
    node_types: Collection[str],
) -> None:
    connection.execute(
        insert(workflow_versions).values(
            workflow_id=workflow_id,
            version=version,
            definition=definition,
            node_types=json.dumps(sorted(set(node_types))),
            created_at=now,
        )
    )


def _set(connection: Connection, workflow_id: str, **values: object) -> Workflow:
    connection.execute(update(workflows).where(workflows.c.id == workflow_id).values(values))
    return _existing(connection, workflow_id)


def _next_number(connection: Connection) -> int:
    """A number that no workflow ever had, deleted ones included: unfinished tasks may still name one of those."""
    bump_version(connection, "workflow_numbers")
    return read_versions(connection)["workflow_numbers"]
