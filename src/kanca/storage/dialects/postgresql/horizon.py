"""How far the feed is settled on PostgreSQL, where transactions commit in another order than their numbers have.

Whoever inserts into ``kanca.feed`` locks the table (``ROW EXCLUSIVE``) before it is given its first number, and keeps
the lock until its transaction has ended. So: note the last number N that was given out, *then* note who holds the
lock. Every number up to N belongs to one of those, or to a transaction that is over. Once all of them have let go,
nothing up to N can appear any more. Nobody is kept waiting for that, and transactions that write no events do not
count: the horizon of snapshots (``pg_snapshot_xmin``) stands still for any long transaction of the whole server.
"""

from __future__ import annotations

from collections import deque

from kanca.storage.dialects.postgresql.engine import PostgresEngine
from kanca.storage.ports import Reach

MOST_LOOKS = 64
"""Looks that may wait for transactions to end. More would say nothing new about the oldest of them."""

_NEWEST = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM kanca.feed_number_seq"
_WRITERS = """
SELECT virtualtransaction FROM pg_locks
WHERE locktype = 'relation' AND relation = 'kanca.feed'::regclass AND mode = 'RowExclusiveLock' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class PostgresHorizon:
    """The ``Horizon`` port."""

    def __init__(self, engine: PostgresEngine) -> None:
        self._engine = engine
        self._looks: deque[tuple[int, frozenset[str]]] = deque()
        """The oldest first: the last number, and who held the lock then and may still."""
        self._settled = 0

    async def reach(self) -> Reach:
        """See the port."""
        async with self._engine.connection() as connection:
            # Two statements, in this order: who begins between them has a greater number.
            newest: int = await connection.fetchval(_NEWEST)
            writers = frozenset(name for (name,) in await connection.fetch(_WRITERS))
        if len(self._looks) < MOST_LOOKS:
            self._looks.append((newest, writers))
        while self._looks and self._looks[0][1].isdisjoint(writers):
            self._settled = self._looks.popleft()[0]
        return Reach(self._settled, newest)
