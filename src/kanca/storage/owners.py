"""Which tenant something belongs to: None for what is not there, and for what belongs to none."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, Connection, exists, select, update

from kanca.storage.tables import dead_letters, endpoints, events, runs, workflows


def of_endpoint(connection: Connection, webhook_id: str) -> str | None:
    """The tenant of an endpoint that was not deleted."""
    is_that = endpoints.c.webhook_id == webhook_id, endpoints.c.deleted_at.is_(None)
    return connection.scalar(select(endpoints.c.tenant).where(*is_that))


def of_event(connection: Connection, event_id: UUID) -> str | None:
    """The tenant of an event."""
    return connection.scalar(select(events.c.tenant).where(events.c.id == event_id))


def of_workflow(connection: Connection, workflow_id: str) -> str | None:
    """The tenant of a workflow."""
    return connection.scalar(select(workflows.c.tenant).where(workflows.c.id == workflow_id))


def of_run(connection: Connection, run_id: UUID) -> str | None:
    """The tenant of a run: that of its workflow, unless the run is of another one that had the same id before."""
    query = select(workflows.c.tenant).join(runs, runs.c.workflow_id == workflows.c.id)
    return connection.scalar(query.where(runs.c.id == run_id, _IS_YOUNGER))


def give_event(connection: Connection, event_id: UUID, tenant: str) -> None:
    """Label an event that came in at the address of a wait: only then is it known whose run it is for.

    The one thing of an event that is written after it was accepted, besides what is taken away.
    """
    connection.execute(update(events).where(events.c.id == event_id).values(tenant=tenant))


def of_dead_letter(connection: Connection, letter_id: UUID) -> str | None:
    """The tenant of a dead letter."""
    return connection.scalar(select(dead_letters.c.tenant).where(dead_letters.c.id == letter_id))


def is_run_of(tenant: str) -> ColumnElement[bool]:
    """What says, in a query of runs, that they belong to a tenant."""
    is_theirs = workflows.c.id == runs.c.workflow_id, workflows.c.tenant == tenant
    return exists().where(*is_theirs, _IS_YOUNGER)


_IS_YOUNGER: ColumnElement[bool] = runs.c.started_at >= workflows.c.created_at
"""A run than its workflow."""
