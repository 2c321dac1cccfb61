"""Threads and connections: one that writes, a few that read.

SQLite lets one connection write at a time. All writes of this process go through one thread that owns the writing
connection, so they queue in memory, in order, instead of fighting for the file's lock; only other processes are waited
for. Readers see the last commit and never wait for the writer (WAL).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from sqlalchemy import Connection, Engine, Pool, QueuePool, StaticPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from kanca.domain.positions import PositionClock
from kanca.errors import DatabaseUnavailable, DiskFull
from kanca.storage.dialects.schema import LOCK_TIMEOUT_S
from kanca.storage.dialects.sqlite.naming import name_by_prefix
from kanca.storage.presence import Presence

P = ParamSpec("P")
T = TypeVar("T")

BUSY_TIMEOUT_S = 10.0
"""The longest that a write waits for another process's."""
FIRST_PAUSE_S = 0.0002
LONGEST_PAUSE_S = 0.002
PAGE_SIZE_BYTES = 8192

# The file, not the statement, is what is wrong.
_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY: "The database is locked by another process",
    sqlite3.SQLITE_LOCKED: "The database is locked",
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened",
    sqlite3.SQLITE_PERM: "The database file may not be opened",
    sqlite3.SQLITE_READONLY: "The database file may not be written",
    sqlite3.SQLITE_IOERR: "The disk with the database does not work",
    sqlite3.SQLITE_FULL: "The disk with the database is full",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged",
    sqlite3.SQLITE_NOTADB: "The file is no database",
}


class Clock:
    """The database's clock, in microseconds since 1970. ``offset_us`` is for tests."""

    def __init__(self) -> None:
        self.offset_us = 0

    def now_us(self) -> int:
        return time.time_ns() // 1_000 + self.offset_us


class SqliteEngine:
    """An open SQLite file. Made by ``open``, ended by ``close``."""

    def __init__(self, path: str, readers: int, presence: Presence) -> None:
        self.path = path
        self.clock = Clock()
        self.positions = PositionClock()
        self._presence = presence
        self._patience_s = BUSY_TIMEOUT_S
        self._write_thread = ThreadPoolExecutor(1, "kanca-sqlite-writer")
        self._read_threads = ThreadPoolExecutor(readers, "kanca-sqlite-reader")
        # Not autocommit as a mode, but isolation_level None: transactions begin and end where this module says.
        self._writing = _engine(self._connect, self._begin_writing, poolclass=StaticPool)
        self._reading = _engine(
            partial(self._connect, read_only=True),
            _begin_reading,
            poolclass=QueuePool,
            pool_size=readers,
            max_overflow=0,
        )

    @classmethod
    async def open(cls, path: str, readers: int, presence: Presence) -> SqliteEngine:
        """Open the file, making it when there is none. Raises DatabaseUnavailable."""
        _make_private(path)
        engine = cls(path, readers, presence)
        try:
            await engine.run_write(lambda connection: connection.execute("SELECT 1").fetchone())
        except BaseException:
            await engine.close()
            raise
        return engine

    async def run_write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``change`` on the writing connection, in one transaction that is rolled back when it raises.

        Raises DatabaseUnavailable; other errors of the database come as sqlite3's.
        """
        return await self._in_thread(
            self._write_thread, partial(_run_raw, self._writing, self._begin_writing, change)
        )

    async def run_read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``query`` on a reading connection: one transaction, one snapshot. Raises as ``run_write`` does."""
        return await self._in_thread(
            self._read_threads, partial(_run_raw, self._reading, _begin_reading, query)
        )

    async def write(
        self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a SQLAlchemy function in one writing transaction."""
        work = partial(_run, self._writing, change, args, kwargs)
        return cast(T, await self._in_thread(self._write_thread, work))

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a SQLAlchemy function in one reading transaction."""
        work = partial(_run, self._reading, query, args, kwargs)
        return cast(T, await self._in_thread(self._read_threads, work))

    async def migrate(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` as ``write`` does, with the patience to wait until another process has migrated."""
        self._patience_s = LOCK_TIMEOUT_S
        try:
            return await self.write(work)
        finally:
            self._patience_s = BUSY_TIMEOUT_S

    async def empty_journal(self) -> None:
        """Write the journal into the file and cut it to nothing, where no reader holds it up: that is tried once.

        What was deleted has been overwritten in the file (``secure_delete``), and would still stand in the journal.
        """

        def empty() -> None:
            pooled = self._writing.raw_connection()
            try:
                connection = cast(sqlite3.Connection, pooled.driver_connection)
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                pooled.close()

        await self._in_thread(self._write_thread, empty)

    async def close(self) -> None:
        """Finish what was begun, then close all connections."""
        loop = asyncio.get_running_loop()
        for thread in (self._write_thread, self._read_threads):
            await loop.run_in_executor(None, thread.shutdown)
        self._writing.dispose()
        self._reading.dispose()

    def _begin_writing(self, connection: sqlite3.Connection) -> None:
        # SQLite's own waiting sleeps up to 100 ms between two looks: beside a process that writes all the time, one
        # write in a hundred took 200 ms. Nothing else waits for a lock: readers never do, and who writes has it.
        give_up_at = time.monotonic() + self._patience_s
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                    raise
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)

    async def _in_thread(self, thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        with self._watched():
            try:
                return await asyncio.get_running_loop().run_in_executor(thread, work)
            except RuntimeError as error:
                if "after shutdown" in str(error):
                    raise DatabaseUnavailable("The database is closed") from None
                raise

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            with translated():
                yield
        except DatabaseUnavailable as error:
            self._presence.failed(error)
            raise
        self._presence.worked()

    def _connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        # Connections move between the reading threads, but never serve two at once.
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.create_function("kanca_now", 0, self.clock.now_us)
        if not read_only:
            _shape(connection)
            connection.execute("PRAGMA busy_timeout = 0")
        for pragma in (
            "synchronous = FULL",
            "foreign_keys = ON",
            "cache_size = -32768",
            "journal_size_limit = 67108864",
            # What is deleted is overwritten with zeros: a payload that was expunged is in no free page.
            "secure_delete = ON",
            f"query_only = {int(read_only)}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection


def _make_private(path: str) -> None:
    """Make a new file for its owner alone; the files beside it get its mode. One that is there keeps what it has."""
    with suppress(OSError):  # SQLite says better why a file cannot be made
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _shape(connection: sqlite3.Connection) -> None:
    """Give a new file its shape; one that is shared keeps what it has, but for the journal."""
    if not connection.execute("PRAGMA page_count").fetchone()[0]:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")


@contextmanager
def translated() -> Iterator[None]:
    """Raise DatabaseUnavailable, or DiskFull, for errors that are not about the statement."""
    try:
        yield
    except (sqlite3.Error, DBAPIError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(cause, "sqlite_errorcode", None) or 0
        sentence = _UNAVAILABLE.get(code & 0xFF)
        if sentence is None and any(sign in str(cause) for sign in ("no such table", "no such column")):
            sentence = "The database has no Kanca tables yet, or older ones: run `kanca migrate`"
        if sentence is None:
            raise
        is_full = code & 0xFF == sqlite3.SQLITE_FULL
        raise (DiskFull if is_full else DatabaseUnavailable)(sentence) from error


def _engine(
    connect: Callable[[], sqlite3.Connection],
    begin: Callable[[sqlite3.Connection], None],
    poolclass: type[Pool],
    **pool: Any,
) -> Engine:
    # Parameters are what senders sent: errors, and with them logs, do not repeat it.
    engine = create_engine("sqlite://", creator=connect, poolclass=poolclass, hide_parameters=True, **pool)
    name_by_prefix(engine)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        begin(cast(sqlite3.Connection, connection.connection.driver_connection))

    return engine


def _run(engine: Engine, function: Callable[..., T], args: Any, kwargs: Any) -> T:
    with engine.begin() as connection:
        return function(connection, *args, **kwargs)


def _begin_reading(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")


def _run_raw(
    engine: Engine,
    begin: Callable[[sqlite3.Connection], None],
    function: Callable[[sqlite3.Connection], T],
) -> T:
    pooled = engine.raw_connection()
    try:
        connection = cast(sqlite3.Connection, pooled.driver_connection)
        begin(connection)
        try:
            result = function(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result
    finally:
        pooled.close()
