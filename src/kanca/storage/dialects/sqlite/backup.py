"""A copy of the file as it is at one moment, while others go on writing."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from kanca.errors import DatabaseUnavailable, InvalidInput
from kanca.storage.dialects.sqlite.engine import translated


def back_up(database: Path, target: Path) -> int:
    """Copy the database to ``target``, which is there only when it is whole and sound; gives its size in bytes.

    It reads one snapshot, so nobody waits for it: what commits meanwhile is not in it, and the file's journal grows
    until it is done. Raises InvalidInput when there is a file already or the target cannot be written, and
    DatabaseUnavailable when the database cannot be read.
    """
    if not database.exists():
        raise DatabaseUnavailable(f"There is no database {database}")
    if target.exists():
        raise InvalidInput(f"{target} is there already")
    aside = target.with_name(f".{target.name}.new")
    try:
        # Made for its owner alone before anything is in it.
        os.close(os.open(aside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
        _copy(database, aside)
        _sync(aside)
        os.link(aside, target)  # unlike a renaming, it replaces nothing that came meanwhile
        _sync(target.parent)
    except FileExistsError:
        raise InvalidInput(f"{target} is there already") from None
    except OSError as error:
        raise InvalidInput(f"{target} cannot be written: {error.strerror}") from None
    finally:
        aside.unlink(missing_ok=True)
    return target.stat().st_size


def _copy(database: Path, target: Path) -> None:
    with translated():
        source = sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True)
        copy = sqlite3.connect(target)
        try:
            # In one go: a copy by portions begins anew whenever another process has written.
            source.backup(copy, pages=-1)
            # One file, which no journal belongs to. The server turns it back when it opens it.
            copy.execute("PRAGMA journal_mode = DELETE")
            [[verdict]] = copy.execute("PRAGMA quick_check(1)").fetchall()
        finally:
            copy.close()
            source.close()
    if verdict != "ok":
        raise DatabaseUnavailable(f"The copy is not sound: {verdict}")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
