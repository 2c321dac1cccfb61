"""The one package that knows which database is underneath."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from kanca.errors import InvalidInput, InvalidSetting
from kanca.storage.ports import Database


async def open_database(url: str, *, connections: int = 5, is_quiet: bool = False) -> Database:
    """Open the database at ``url``: ``sqlite:///path``, or ``postgresql://user@host/name``.

    A unix socket is ``postgresql://user@/name?host=/path``; behind a pooler (PgBouncer) add ``statement_cache_size=0``.
    ``connections`` is how many of each sort this process uses: for the hot statements, and for everything else.
    ``is_quiet`` leaves it to whoever asks to say that the database is away; else the log says so, too.
    Opening does not connect to a server, so one that is away is only noticed by the first question.
    Raises InvalidSetting when the URL is neither, DatabaseUnavailable when the file cannot be opened.
    """
    match urlsplit(url).scheme:
        case "sqlite":
            from kanca.storage.dialects.sqlite.database import SqliteDatabase  # noqa: PLC0415 - loads its driver

            return await SqliteDatabase.open(url, connections, is_quiet=is_quiet)
        case "postgresql" | "postgres":
            from kanca.storage.dialects.postgresql.database import PostgresDatabase  # noqa: PLC0415 - loads its driver

            return await PostgresDatabase.open(url, connections, is_quiet=is_quiet)
        case scheme:
            raise InvalidSetting(
                f"KANCA_DATABASE_URL must begin with sqlite:/// or postgresql://, not {scheme or 'nothing'}:"
            )


def file_of(url: str) -> Path | None:
    """Where the file of a database is; None for a database on a server."""
    prefix, _, path = url.partition(":///")
    return Path(path) if prefix == "sqlite" else None


def back_up(url: str, target: Path) -> int:
    """Copy a database that is a file, while it is written to; gives the copy's size in bytes.

    Raises InvalidInput for a database on a server, which has programs of its own for that, and when the copy cannot be
    written; DatabaseUnavailable.
    """
    file = file_of(url)
    if file is None:
        raise InvalidInput(
            "A PostgreSQL database is backed up with its own programs: `pg_dump --format=custom --schema=kanca`"
            " (docs/guides/backup.md says more)."
        )
    from kanca.storage.dialects.sqlite import backup  # noqa: PLC0415 - loads its driver

    return backup.back_up(file, target)


def key_file_of(url: str) -> Path | None:
    """Where the key of a database that is a file may lie: ``kanca.key`` beside it. None for a database on a server."""
    file = file_of(url)
    return None if file is None else file.parent / "kanca.key"


def serves_many_gateways(url: str) -> bool:
    """Whether several gateway processes may accept into the database at ``url``: a file has one writer at a time."""
    return file_of(url) is None
