"""When duties are due that one instance does for all, and who takes them."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, or_, select, update

from kanca.storage.clock import now
from kanca.storage.dialects.upsert import insert_missing
from kanca.storage.tables import duties


def due_in(connection: Connection, name: str, every: timedelta) -> timedelta:
    """Say how long nobody need do a duty; not positive when it is due."""
    at: datetime = connection.execute(select(now)).scalar_one()
    due_at: datetime | None = connection.scalar(select(duties.c.due_at).where(duties.c.name == name))
    # Further away than it can be: the clock was set back.
    if due_at is None or due_at - at > every:
        return timedelta(0)
    return due_at - at


def take(connection: Connection, name: str, every: timedelta) -> bool:
    """Take a duty that is due, for once; False when another instance has taken it."""
    at: datetime = connection.execute(select(now)).scalar_one()
    is_due = or_(duties.c.due_at <= at, duties.c.due_at > at + every)
    change = update(duties).where(duties.c.name == name, is_due).values(due_at=at + every)
    if connection.execute(change).rowcount:
        return True
    return insert_missing(connection, duties, {"name": name, "due_at": at + every})


def give_back(connection: Connection, name: str, after: timedelta) -> None:
    """Have a duty that failed done again after a while, by whoever."""
    at: datetime = connection.execute(select(now)).scalar_one()
    connection.execute(update(duties).where(duties.c.name == name).values(due_at=at + after))
