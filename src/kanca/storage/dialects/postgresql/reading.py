"""What every claimed batch asks for: through SQLAlchemy it would cost as much as all else that is done with it."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from kanca.domain.event import StoredEvent
from kanca.storage.dialects.postgresql.engine import PostgresEngine

# All in one statement: for a lone event, each way to the server and back counts.
# The bounds leave only the partitions in question.
_READ = """
SELECT known.versions,
       id, endpoint, tenant, type, received_at, source_event_id, correlation_id, request, body, replay_of
FROM (SELECT string_agg(subject || '=' || version, ' ' ORDER BY subject) FROM kanca.versions) AS known (versions)
LEFT JOIN kanca.events ON id = ANY ($1::uuid[]) AND id BETWEEN $2 AND $3
"""
_NOBODY = UUID(int=0)


async def read_claimed(engine: PostgresEngine, ids: Collection[UUID]) -> tuple[str, dict[UUID, StoredEvent]]:
    """See ``QueueStore.read_claimed``."""
    async with engine.connection() as connection:
        rows = await connection.fetch(_READ, ids, min(ids, default=_NOBODY), max(ids, default=_NOBODY))
    return rows[0][0] or "", {row[1]: StoredEvent(*row[1:]) for row in rows if row[1] is not None}
