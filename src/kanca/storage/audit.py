"""The audit log. Rows are added, in the transaction of what they tell of, and removed when they are old."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, or_, select

from kanca.domain.audit import Actor, ActorKind, AuditEntry
from kanca.domain.ids import id_at
from kanca.storage.pages import Page, check_limit, cursor_after, read_id_cursor
from kanca.storage.tables import audit

AT_ONCE = 500
"""Rows that are removed in one transaction."""
_ALL_OF_A_KIND = ".*"


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries; what is None does not matter."""

    actor: str | None = None
    """The kind, the id or the name of who did it."""
    action: str | None = None
    """``endpoint.changed``, or ``endpoint.*`` for all that was done to endpoints."""
    subject: str | None = None
    """The id of what it was done to, or its kind."""
    tenant: str | None = None
    since: datetime | None = None
    until: datetime | None = None


ALL = AuditFilter()


def add(connection: Connection, entry: AuditEntry) -> None:
    """Write an entry down, in the transaction of what it tells of: both are there, or neither."""
    connection.execute(
        insert(audit).values(
            id=entry.id,
            at=entry.at,
            actor_kind=entry.actor.kind.value,
            actor_id=entry.actor.id,
            actor_name=entry.actor.name,
            action=entry.action,
            subject_kind=entry.subject_kind,
            subject_id=entry.subject_id,
            tenant=entry.tenant,
            address=entry.address,
            request_id=entry.request_id,
            before=_text(entry.before),
            after=_text(entry.after),
            detail=json.dumps(dict(entry.detail)),
        )
    )


def get(connection: Connection, entry_id: UUID) -> AuditEntry | None:
    """Give the entry with that id."""
    row = connection.execute(select(audit).where(audit.c.id == entry_id)).one_or_none()
    return None if row is None else _entry(row)


def page(
    connection: Connection, wanted: AuditFilter = ALL, limit: int = 50, cursor: str | None = None
) -> Page[AuditEntry]:
    """List entries, the newest first. Raises InvalidInput for a wrong limit or cursor."""
    query = (
        select(audit).where(*_conditions(wanted)).order_by(audit.c.id.desc()).limit(check_limit(limit) + 1)
    )
    if cursor is not None:
        query = query.where(audit.c.id < read_id_cursor(cursor))
    rows = connection.execute(query).all()
    items = tuple(_entry(row) for row in rows[:limit])
    return Page(items, cursor_after(items[-1].id) if len(rows) > limit else None)


def remove_before(connection: Connection, before: datetime, limit: int = AT_ONCE) -> int:
    """Remove the oldest ``limit`` entries that are older than ``before``; gives how many there were.

    The database refuses it for entries of the last 30 days.
    """
    old = select(audit.c.id).where(audit.c.id < id_at(before), audit.c.at < before)
    return connection.execute(
        delete(audit).where(audit.c.id.in_(old.order_by(audit.c.id).limit(limit)))
    ).rowcount


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.actor is not None:
        columns = audit.c.actor_kind, audit.c.actor_id, audit.c.actor_name
        conditions.append(or_(*(column == wanted.actor for column in columns)))
    if wanted.action is not None:
        conditions.append(_is_action(wanted.action))
    if wanted.subject is not None:
        conditions.append(or_(audit.c.subject_id == wanted.subject, audit.c.subject_kind == wanted.subject))
    if wanted.tenant is not None:
        conditions.append(audit.c.tenant == wanted.tenant)
    if wanted.since is not None:
        conditions.append(audit.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(audit.c.at < wanted.until)
    return conditions


def _is_action(action: str) -> ColumnElement[bool]:
    if action.endswith(_ALL_OF_A_KIND):
        return audit.c.action.startswith(action.removesuffix("*"), autoescape=True)
    return audit.c.action == action


def _text(fields: Mapping[str, Any] | None) -> str | None:
    return None if fields is None else json.dumps(fields)


def _entry(row: Row[Any]) -> AuditEntry:
    values = row._asdict()
    actor = Actor(ActorKind(values.pop("actor_kind")), values.pop("actor_id"), values.pop("actor_name"))
    fields = {name: values.pop(name) for name in ("before", "after", "detail")}
    return AuditEntry(
        **values, actor=actor, **{name: text and json.loads(text) for name, text in fields.items()}
    )
