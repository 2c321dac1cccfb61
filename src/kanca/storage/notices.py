"""What is still to be told of webhooks themselves: one row for each kind and subject, whatever happens how often.

A row is noted again and again, and told now and then: at once when it was not told for a while, and else together with
what happened since. Who tells takes it in the transaction that stores what is told, so that of two workers one does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, delete, or_, select, true, tuple_, update

from kanca.storage.dialects.locking import lock_names
from kanca.storage.dialects.upsert import upsert
from kanca.storage.tables import notices

ALERT = "alert"
"""The kind of rows that are messages to people (``storage.alerts``): those are never told as events."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened to a subject, since it was told last."""

    kind: str
    """The type of the event that tells of it."""
    subject: str
    tenant: str
    first_at: datetime
    last_at: datetime
    count: int = 1
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Of the last time."""


def note(
    connection: Connection, kind: str, subject: str, tenant: str, facts: Mapping[str, Any], now: datetime
) -> None:
    """Note that something happened."""
    note_all(connection, [Notice(kind, subject, tenant, now, now, 1, facts)])


def note_once(
    connection: Connection,
    kind: str,
    subject: str,
    tenant: str,
    facts: Mapping[str, Any],
    now: datetime,
    within: timedelta,
) -> bool:
    """Note what others may notice too, unless somebody did ``within`` this time; say whether it was noted.

    What was noted further in the future was so before the clock was set back, and keeps nobody from noting it.
    """
    lock_names(connection, [f"notice {kind} {subject}"])
    last = select(notices.c.last_at).where(notices.c.kind == kind, notices.c.subject == subject)
    last_at = connection.scalar(last)
    if last_at is not None and now - within < last_at <= now + within:
        return False
    note(connection, kind, subject, tenant, facts, now)
    return True


def note_all(connection: Connection, noted: Sequence[Notice]) -> None:
    """Note all of this; no two of it have the same kind and subject."""
    # Sorted, so that two who note the same cannot lock each other out.
    rows = [_values(notice) for notice in sorted(noted, key=lambda each: (each.kind, each.subject))]
    upsert(connection, notices, rows, _joined)


def is_any_due(connection: Connection, now: datetime, quiet: timedelta) -> bool:
    """Whether ``take_due`` would take something."""
    return connection.execute(select(notices.c.kind).where(*_due(now, quiet)).limit(1)).first() is not None


def take_due(connection: Connection, now: datetime, quiet: timedelta, limit: int) -> list[Notice]:
    """Take up to ``limit`` notices that are to be told, and were not within the ``quiet`` time; the oldest first.

    They count as told once the transaction commits. Nobody else is given them.
    """
    query = (
        select(notices)
        .where(*_due(now, quiet))
        .order_by(notices.c.first_at, notices.c.kind, notices.c.subject)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = [_notice(row) for row in connection.execute(query)]
    if taken:
        key = tuple_(notices.c.kind, notices.c.subject)
        which = key.in_([(notice.kind, notice.subject) for notice in taken])
        connection.execute(update(notices).where(which).values(is_due=False, told_at=now))
    return taken


def forget(connection: Connection, before: datetime) -> int:
    """Delete what was told, and has not happened since ``before``; gives how much."""
    gone = delete(notices).where(~notices.c.is_due, notices.c.last_at < before)
    return connection.execute(gone).rowcount


def _due(now: datetime, quiet: timedelta) -> list[ColumnElement[bool]]:
    may_be_told = or_(
        notices.c.told_at.is_(None),
        notices.c.told_at <= now - quiet,
        notices.c.told_at > now + quiet,  # before the clock was set back
    )
    return [notices.c.is_due.is_(True), notices.c.kind != ALERT, may_be_told]


def _values(notice: Notice) -> dict[str, Any]:
    return {
        "kind": notice.kind,
        "subject": notice.subject,
        "tenant": notice.tenant,
        "first_at": notice.first_at,
        "last_at": notice.last_at,
        "count": notice.count,
        "facts": json.dumps(notice.facts),
        "is_due": True,
    }


def _joined(new: Any) -> dict[str, Any]:
    """What a row becomes: what was told already does not count any more."""
    old = notices.c
    return {
        "tenant": new.tenant,
        "first_at": case((old.is_due.is_(True), old.first_at), else_=new.first_at),
        "last_at": new.last_at,
        "count": case((old.is_due.is_(True), old["count"] + new["count"]), else_=new["count"]),
        "facts": new.facts,
        "is_due": true(),
    }


def _notice(row: Row[Any]) -> Notice:
    values = row._asdict()
    return Notice(
        values["kind"],
        values["subject"],
        values["tenant"],
        values["first_at"],
        values["last_at"],
        values["count"],
        json.loads(values["facts"]),
    )
