"""Events kept for runs which do not wait for them yet: reading them (``keeping_early`` keeps and gives them)."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, select, true

from kanca.storage.pages import Page, check_limit, cursor_after, read_id_cursor
from kanca.storage.tables import early_events, workflows


class EarlyEvent(NamedTuple):
    """An event under one of its keys."""

    event_id: UUID
    workflow_id: str | None
    node_id: str
    rule: str
    key: str
    received_at: datetime
    expires_at: datetime


_EARLY = early_events.c
_COLUMNS = (
    _EARLY.event_id,
    workflows.c.id.label("workflow_id"),
    *(_EARLY[name] for name in ("node_id", "rule", "key", "received_at", "expires_at")),
)


def page(
    connection: Connection,
    limit: int = 50,
    cursor: str | None = None,
    workflow_id: str | None = None,
    tenant: str | None = None,
) -> Page[EarlyEvent]:
    """List up to ``limit`` events, the oldest first, each with all its keys; with ``tenant``, those for its workflows.

    Raises InvalidInput for a wrong limit or cursor.
    """
    source = early_events.outerjoin(workflows, workflows.c.number == _EARLY.workflow)
    wanted = select(_EARLY.event_id).select_from(source).distinct().order_by(_EARLY.event_id)
    if workflow_id is not None:
        wanted = wanted.where(workflows.c.id == workflow_id)
    if tenant is not None:
        wanted = wanted.where(workflows.c.tenant == tenant)
    if cursor is not None:
        wanted = wanted.where(_EARLY.event_id > read_id_cursor(cursor))
    ids = connection.scalars(wanted.limit(check_limit(limit) + 1)).all()
    query = (
        select(*_COLUMNS)
        .select_from(source)
        .where(
            _EARLY.event_id.in_(ids[:limit]), workflows.c.tenant == tenant if tenant is not None else true()
        )
        .order_by(_EARLY.event_id, _EARLY.rule)
    )
    items = tuple(EarlyEvent(*row) for row in connection.execute(query))
    return Page(items, cursor_after(ids[limit - 1]) if len(ids) > limit else None)
