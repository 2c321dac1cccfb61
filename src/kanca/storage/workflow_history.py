"""The versions of a workflow, as its history."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from kanca.storage.pages import Page, check_limit, cursor_after, read_number_cursor
from kanca.storage.tables import workflow_versions
from kanca.storage.workflows import Workflow


class VersionEntry(NamedTuple):
    """A version in the history of a workflow, without its definition."""

    version: int
    created_at: datetime
    published_at: datetime | None


def published_before(connection: Connection, workflow: Workflow) -> int | None:
    """The version that was published for the last time before the present one; None when there is none."""
    return connection.scalar(
        select(workflow_versions.c.version)
        .where(
            workflow_versions.c.workflow_id == workflow.id,
            workflow_versions.c.version != workflow.published_version,
            workflow_versions.c.published_at.is_not(None),
        )
        .order_by(workflow_versions.c.published_at.desc(), workflow_versions.c.version.desc())
        .limit(1)
    )


def history(
    connection: Connection, workflow_id: str, limit: int = 50, cursor: str | None = None
) -> Page[VersionEntry]:
    """List the versions of a workflow, the newest first. Raises InvalidInput for a wrong limit or cursor."""
    columns = (workflow_versions.c[name] for name in VersionEntry._fields)
    query = (
        select(*columns)
        .where(workflow_versions.c.workflow_id == workflow_id)
        .order_by(workflow_versions.c.version.desc())
        .limit(check_limit(limit) + 1)
    )
    if cursor is not None:
        query = query.where(workflow_versions.c.version < read_number_cursor(cursor))
    found = [VersionEntry(**row._asdict()) for row in connection.execute(query)]
    items = tuple(found[:limit])
    return Page(items, cursor_after(str(items[-1].version)) if len(found) > limit else None)
