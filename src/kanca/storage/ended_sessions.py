"""Sessions that somebody ended: of all others nothing is stored.

They move the version of the API keys on: whoever keeps those in memory keeps these beside them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select

from kanca.storage.tables import ended_sessions
from kanca.storage.versions import bump_version

CLOCKS_DIFFER_BY = timedelta(hours=1)
"""Behind its end an ended session is remembered for so long."""


def end(connection: Connection, session_id: UUID, ends_at: datetime, now: datetime) -> None:
    """Remember that a session has ended, whose cookie could be used until ``ends_at``; others are forgotten then."""
    bump_version(connection, "api_keys")
    old = ended_sessions.c.ends_at < now - CLOCKS_DIFFER_BY
    connection.execute(delete(ended_sessions).where(old))
    is_known = connection.scalar(select(ended_sessions.c.id).where(ended_sessions.c.id == session_id))
    if is_known is None:
        connection.execute(insert(ended_sessions).values(id=session_id, ends_at=ends_at))


def read_all(connection: Connection) -> frozenset[UUID]:
    """The ids of all that are remembered."""
    return frozenset(connection.scalars(select(ended_sessions.c.id)))
