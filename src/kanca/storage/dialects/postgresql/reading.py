"""What every claimed batch asks for: through SQLAlchemy it would cost as much as all else that is done with it."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from kanca.domain.event import StoredEvent
from kanca.storage.dialects.postgresql.engine import PostgresEngine

_VERSIONS = "SELECT subject, version FROM kanca.versions"
# The bounds leave only the partitions in question.
_EVENTS = """
SELECT id, endpoint, tenant, type, received_at, source_event_id, correlation_id, request, body, replay_of
FROM kanca.events WHERE id = ANY ($1::uuid[]) AND id BETWEEN $2 AND $3
"""


async def read_claimed(
    engine: PostgresEngine, ids: Collection[UUID]
) -> tuple[dict[str, int], dict[UUID, StoredEvent]]:
    """See ``QueueStore.read_claimed``."""
    async with engine.connection() as connection:
        events = await connection.fetch(_EVENTS, ids, min(ids), max(ids)) if ids else []
        versions = await connection.fetch(_VERSIONS)
    return {row[0]: row[1] for row in versions}, {row[0]: StoredEvent(*row) for row in events}
