"""Messages to people, until they are sent: rows among the notices, of a kind of their own.

Between two messages there is a pause, so what is told meanwhile is collected for the next one. A message is stored in
the transaction that tells of its notices, and stays until it was sent (or tried often enough), whatever crashes.

In such a row ``first_at`` is from when the message is sent, ``last_at`` when it is tried next, ``told_at`` when it was
tried last (null: it is still collected for), and ``count`` how often it was tried.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, insert, or_, select, update

from kanca.storage.dialects.locking import lock_names
from kanca.storage.notices import ALERT, Notice
from kanca.storage.tables import notices

MOST_LINES = 1_000
"""Subjects that one message knows by name."""
LONGEST_WAIT = timedelta(hours=2)
"""No pause, lease or retry is that long: a message that waits for longer is one from before the clock was set back."""
_IS_ALERT = notices.c.kind == ALERT


@dataclass(frozen=True, slots=True)
class Line:
    """What a message says of one subject."""

    kind: str
    subject: str
    tenant: str
    count: int
    reason: str | None = None
    """Why, the last time."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A message to people."""

    id: str
    lines: tuple[Line, ...]
    others: int
    """Notices of which there is no line, because there are too many."""
    tries: int
    """The one that begins now among them."""
    done: frozenset[int]
    """The positions of the addresses that have it already."""


def collect(
    connection: Connection, alert_id: str, told: Sequence[Notice], now: datetime, pause: timedelta
) -> None:
    """Have people told of these notices: in the message that is being collected for, else in a new one.

    A new one has ``alert_id``, and is sent at once unless the one before it was within the ``pause``.
    """
    _lock(connection)
    row = connection.execute(
        select(notices).where(_IS_ALERT, notices.c.is_due.is_(True), notices.c.told_at.is_(None)).limit(1)
    ).one_or_none()
    if row is not None:
        stored = json.loads(row.facts)
        facts = _facts((Line(**line) for line in stored["lines"]), stored["others"], told)
        connection.execute(update(notices).where(*_is(row.subject)).values(facts=facts))
        return
    last = connection.scalar(select(func.max(notices.c.first_at)).where(_IS_ALERT))
    # Further in the future than it can be: the clock was set back.
    sent_from = now if last is None or last > now + pause else max(now, last + pause)
    values = {"kind": ALERT, "subject": alert_id, "tenant": "", "first_at": sent_from, "last_at": sent_from}
    connection.execute(
        insert(notices).values(count=0, facts=_facts((), 0, told), is_due=True, told_at=None, **values)
    )


def is_any_due(connection: Connection, now: datetime) -> bool:
    """Whether ``take`` would give something."""
    return connection.execute(select(notices.c.kind).where(*_due(now)).limit(1)).first() is not None


def take(connection: Connection, now: datetime, lease: timedelta) -> Alert | None:
    """Give the next message that is to be sent; nobody else is given it before the ``lease`` is over."""
    _lock(connection)
    query = select(notices).where(*_due(now)).order_by(notices.c.last_at, notices.c.subject).limit(1)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    tries = int(row._asdict()["count"]) + 1
    taken = {"told_at": now, "last_at": now + lease, "count": tries}
    connection.execute(update(notices).where(*_is(row.subject)).values(taken))
    stored = json.loads(row.facts)
    lines = tuple(Line(**line) for line in stored["lines"])
    return Alert(row.subject, lines, stored["others"], tries, frozenset(stored["done"]))


def put_off(connection: Connection, alert: Alert, done: Iterable[int], until: datetime) -> None:
    """Have a message tried again for those who do not have it."""
    lines = [asdict(line) for line in alert.lines]
    facts = json.dumps({"lines": lines, "others": alert.others, "done": sorted(done)})
    connection.execute(update(notices).where(*_is(alert.id)).values(facts=facts, last_at=until))


def end(connection: Connection, alert: Alert) -> None:
    """Say that a message was sent, or will not be."""
    connection.execute(update(notices).where(*_is(alert.id)).values(is_due=False))


def _lock(connection: Connection) -> None:
    """Whoever collects or takes does so alone: nothing is added to a message that is being sent."""
    lock_names(connection, ["alerts"])


def _is(alert_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _IS_ALERT, notices.c.subject == alert_id


def _due(now: datetime) -> list[ColumnElement[bool]]:
    is_time = or_(notices.c.last_at <= now, notices.c.last_at > now + LONGEST_WAIT)
    return [_IS_ALERT, notices.c.is_due.is_(True), is_time]


def _facts(lines: Iterable[Line], others: int, told: Iterable[Notice]) -> str:
    """The lines with what is told now: what is told of one subject twice is one line."""
    found = {(line.kind, line.subject): line for line in lines}
    for notice in told:
        key = (notice.kind, notice.subject)
        reason = notice.facts.get("reason") or notice.facts.get("last_error")
        if key in found:
            count = found[key].count + notice.count
            found[key] = replace(found[key], count=count, reason=reason or found[key].reason)
        elif len(found) < MOST_LINES:
            found[key] = Line(notice.kind, notice.subject, notice.tenant, notice.count, reason)
        else:
            others += notice.count
    return json.dumps({"lines": [asdict(line) for line in found.values()], "others": others, "done": []})
