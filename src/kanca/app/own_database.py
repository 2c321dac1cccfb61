"""Kanca's database in a process that does not run Kanca: opened when first asked for, in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

from kanca.outbound.known_types import KnownTypes
from kanca.settings import Settings
from kanca.storage.dialects import open_database
from kanca.storage.ports import Database, Waker

CONNECTIONS = 2
TIMEOUT_S = 60.0
"""The longest that opening or closing may take; both have shorter limits of their own."""


@dataclass(frozen=True, slots=True)
class OpenDatabase:
    """A database, and the event loop that it belongs to."""

    database: Database
    waker: Waker
    types: KnownTypes
    loop: asyncio.AbstractEventLoop

    @classmethod
    def of(cls, database: Database, settings: Settings) -> OpenDatabase:
        """A database that was opened on the event loop that runs."""
        types = KnownTypes(database, is_closed=settings.event_catalogue == "closed")
        return cls(database, database.waker(), types, asyncio.get_running_loop())


class OwnDatabase:
    """Opens the database once, however many threads and event loops ask, and keeps it."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._opened: OpenDatabase | None = None
        self._pid: int | None = None

    def open(self) -> OpenDatabase:
        """The open database. Blocks while it is opened. Raises InvalidSetting, DatabaseUnavailable."""
        with self._lock:
            if (
                self._opened is None or self._pid != os.getpid()
            ):  # a fork has neither the thread nor the connections
                self._opened, self._pid = self._open(), os.getpid()
            return self._opened

    def close(self) -> None:
        """Let go of it. It is opened again when asked for again."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None and self._pid == os.getpid():
            asyncio.run_coroutine_threadsafe(_close(opened), opened.loop).result(TIMEOUT_S)
            opened.loop.call_soon_threadsafe(opened.loop.stop)

    def _open(self) -> OpenDatabase:
        settings = self._settings()
        loop = asyncio.new_event_loop()
        # A daemon: it must not keep the process from ending, and loses nothing then, for whoever publishes waits.
        threading.Thread(target=_run, args=(loop,), name="kanca-publisher", daemon=True).start()
        try:
            return asyncio.run_coroutine_threadsafe(_open(settings), loop).result(TIMEOUT_S)
        except BaseException:
            loop.call_soon_threadsafe(loop.stop)
            raise


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


async def _open(settings: Settings) -> OpenDatabase:
    # The caller's own log is its own: it is told by what is raised.
    database = await open_database(settings.database_url, connections=CONNECTIONS, is_quiet=True)
    return OpenDatabase.of(database, settings)


async def _close(opened: OpenDatabase) -> None:
    await opened.waker.close()
    await opened.database.close()
    # The threads of run_in_executor, for which nobody would wait any more.
    await opened.loop.shutdown_default_executor()
