"""What the file says of sizes."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

from kanca.storage.dialects.sqlite.engine import SqliteEngine
from kanca.storage.measuring import StorageReadings

COUNTED_AT_MOST = 1_000_000
"""Keys: counting goes through all of them."""

_KEYS = "SELECT count(*) FROM (SELECT 1 FROM kanca_dedupe LIMIT ?)"


async def storage(engine: SqliteEngine) -> StorageReadings:
    """See ``Database.measure``."""

    def look(connection: sqlite3.Connection) -> StorageReadings:
        (keys,) = connection.execute(_KEYS, (COUNTED_AT_MOST,)).fetchone()
        free = None
        with suppress(OSError):
            free = shutil.disk_usage(Path(engine.path).absolute().parent).free
        return StorageReadings({}, _size(engine.path) + _size(f"{engine.path}-wal"), keys, free)

    return await engine.run_read(look)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
