"""Databases of others, in which Kanca has one table: opened for a few transactions at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from kanca.errors import DatabaseUnavailable, InvalidSetting
from kanca.storage.dialects.postgresql.address import read_address
from kanca.storage.dialects.postgresql.engine import PostgresEngine

log = structlog.get_logger(__name__)

T = TypeVar("T")

PATIENCE_S = 10
"""The longest that is waited for a connection, or for a file's lock."""
STATEMENT_S = 30
_KANCAS_OWN = {"postgresql", "postgres"}
_DRIVERS = {"mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
_LIMITS: dict[str, dict[str, Any]] = {
    "sqlite": {"timeout": PATIENCE_S},
    "mysql": {"connect_timeout": PATIENCE_S, "read_timeout": STATEMENT_S, "write_timeout": STATEMENT_S},
}


class Transaction(Protocol):
    """A transaction that is open."""

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """What ``work`` gives for the connection and ``args``. Raises DatabaseUnavailable."""
        ...


class ForeignDatabase(Protocol):
    """A database that is not Kanca's, or is looked at as if it were not."""

    name: str
    """Where it is, without a password."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that sees what others have committed; rolled back when the body raises.

        Raises DatabaseUnavailable.
        """
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


def open_foreign(url: str) -> ForeignDatabase:
    """Open the database at a SQLAlchemy URL, or at one of Kanca's own kind. Connects to nothing.

    Raises InvalidSetting for a URL that is none, and for a driver that is not installed.
    """
    try:
        address = make_url(url)
        if address.drivername in _KANCAS_OWN:
            return _Asynchronous(shown(url), _postgresql(url))
        address = address.set(drivername=_DRIVERS.get(address.drivername, address.drivername))
        if address.get_dialect().is_async:
            return _Asynchronous(shown(url), create_async_engine(address, **_options(address)))
        return _Threaded(shown(url), address)
    except ImportError as error:
        raise InvalidSetting(
            f"{shown(url)}: the driver {error.name} is not installed (`kanca[mysql]` has PyMySQL)"
        ) from None
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise InvalidSetting(f"{shown(url)} is no URL of a database: {error}") from None


def shown(url: str) -> str:
    """A URL as it may be shown: without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return "***"


class _Asynchronous:
    def __init__(self, name: str, engine: AsyncEngine) -> None:
        self.name = name
        self._engine = engine

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        with _translated(self.name):
            async with self._engine.begin() as connection:
                yield _AsynchronousTransaction(self.name, connection)

    async def close(self) -> None:
        await self._engine.dispose()


class _AsynchronousTransaction:
    def __init__(self, name: str, connection: AsyncConnection) -> None:
        self._name = name
        self._connection = connection

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        return await self._connection.run_sync(work, *args)


class _Threaded:
    """One thread does everything, in order: what was begun when its caller is cancelled ends before the rollback."""

    def __init__(self, name: str, address: URL) -> None:
        self.name = name
        self._file = Path(address.database) if _is_file(address) and address.database else None
        self._engine = _sync_engine(address)
        self._thread = ThreadPoolExecutor(1, "kanca-foreign-database")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        with _translated(self.name):
            if self._file is not None and not self._file.exists():
                raise DatabaseUnavailable(f"{self.name}: there is no such file")
            connection = await self.in_thread(self._engine.connect)
            try:
                yield _ThreadedTransaction(self, connection)
                await self.in_thread(connection.commit)
            finally:
                self._thread.submit(connection.close)

    async def in_thread(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)

    async def close(self) -> None:
        await self.in_thread(self._engine.dispose)
        self._thread.shutdown(wait=False)


class _ThreadedTransaction:
    def __init__(self, database: _Threaded, connection: Connection) -> None:
        self._database = database
        self._connection = connection

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        return await self._database.in_thread(work, self._connection, *args)


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        log.warning(
            "foreign_database_failed", database=name, error=str(getattr(error, "orig", None) or error)
        )
        raise DatabaseUnavailable(f"{name} cannot be used now") from error


def _postgresql(url: str) -> AsyncEngine:
    return PostgresEngine.query_engine(read_address(url))


def _options(address: URL) -> dict[str, Any]:
    options: dict[str, Any] = {
        "pool_size": 1,
        "max_overflow": 1,
        "pool_pre_ping": True,
        "hide_parameters": True,
    }
    if not _is_file(address):
        # Whoever waits for a lock sees what was committed meanwhile, and locks no room for rows to come.
        options["isolation_level"] = "READ COMMITTED"
    return options


def _is_file(address: URL) -> bool:
    return address.get_backend_name() == "sqlite"


def _sync_engine(address: URL) -> Engine:
    limits = _LIMITS.get(
        "mysql" if address.get_backend_name() == "mariadb" else address.get_backend_name(), {}
    )
    engine = create_engine(address, connect_args=limits, **_options(address))
    if _is_file(address):

        @event.listens_for(engine, "connect")
        def _read_anything(connection: Any, _record: Any) -> None:
            # A text that is no UTF-8 must not keep the rows beside it from being read.
            connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")

    return engine
