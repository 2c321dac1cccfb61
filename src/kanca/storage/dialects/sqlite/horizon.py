"""How far the feed is settled on SQLite: one transaction writes at a time, so numbers become visible in their order."""

from __future__ import annotations

import sqlite3

from kanca.storage.dialects.sqlite.engine import SqliteEngine
from kanca.storage.ports import Reach

# Not the greatest number in the table: retention may have emptied it.
_NEWEST = "SELECT seq FROM sqlite_sequence WHERE name = 'kanca_feed'"


class SqliteHorizon:
    """The ``Horizon`` port."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    async def reach(self) -> Reach:
        """See the port."""
        newest = await self._engine.run_read(_newest)
        return Reach(newest, newest)


def _newest(connection: sqlite3.Connection) -> int:
    row = connection.execute(_NEWEST).fetchone()
    return row[0] if row else 0
