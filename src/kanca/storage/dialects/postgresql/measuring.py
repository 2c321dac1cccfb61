"""What the server says of sizes and connections."""

from __future__ import annotations

from kanca.storage.dialects.postgresql.engine import PostgresEngine
from kanca.storage.measuring import StorageReadings

_SIZES = """
    SELECT coalesce(p.relname, c.relname), sum(pg_total_relation_size(c.oid))::bigint
    FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
    WHERE c.relnamespace = 'kanca'::regnamespace AND c.relkind = 'r' GROUP BY 1
"""
# Counting ten million keys would take seconds. The one is kept up as rows come and go, the other survives a crash.
_KEYS = """
    SELECT greatest(c.reltuples, pg_stat_get_live_tuples(c.oid))::bigint FROM pg_class c
    WHERE c.oid = 'kanca.dedupe'::regclass
"""
_CONNECTIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND split_part(application_name, ' ', 1) = 'kanca'
"""


async def storage(engine: PostgresEngine) -> StorageReadings:
    """See ``Database.measure``."""
    async with engine.connection() as connection:
        sizes = {row[0]: row[1] for row in await connection.fetch(_SIZES)}
        return StorageReadings(
            table_bytes=sizes,
            total_bytes=sum(sizes.values()),
            dedupe_keys=max(await connection.fetchval(_KEYS), 0),
            connections=await connection.fetchval(_CONNECTIONS),
            connections_max=int(await connection.fetchval("SELECT current_setting('max_connections')")),
        )
