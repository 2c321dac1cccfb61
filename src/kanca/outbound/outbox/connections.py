"""Connections that callers have: how each takes one row, told by their names so that no driver is loaded for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import insert

from kanca.errors import InvalidInput
from kanca.outbound.outbox.table import outbox

Columns = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Sync:
    write: Callable[[Any, Columns], object]


@dataclass(frozen=True, slots=True)
class _Async:
    write: Callable[[Any, Columns], Awaitable[object]]


async def write(connection: Any, columns: Columns) -> None:
    """Add a row in the transaction of an async connection. Raises InvalidInput for what is none."""
    match _way_of(connection):
        case _Async(add):
            await add(connection, columns)
        case _Sync():
            raise InvalidInput(
                f"{_shown(connection)} is a sync connection: use `publish_sync`, without `await`"
            )


def write_sync(connection: Any, columns: Columns) -> None:
    """Add a row in the transaction of a sync connection. Raises InvalidInput for what is none."""
    match _way_of(connection):
        case _Sync(add):
            add(connection, columns)
        case _Async():
            raise InvalidInput(f"{_shown(connection)} is an async connection: use `await publish(…)`")


def _way_of(connection: Any) -> _Sync | _Async:
    for ancestor in type(connection).__mro__:
        way = _WAYS.get((ancestor.__module__.partition(".")[0], ancestor.__name__))
        if way is not None:
            return way
    raise InvalidInput(
        f"`connection` cannot be a {_shown(connection)}: give a session or connection of SQLAlchemy, or a connection "
        "of asyncpg, psycopg, sqlite3, aiosqlite or PyMySQL"
    )


def _shown(connection: Any) -> str:
    kind = type(connection)
    return f"{kind.__module__}.{kind.__qualname__}"


def _statement(placeholders: list[str], columns: Columns) -> str:
    return f"INSERT INTO {outbox.name} ({', '.join(columns)}) VALUES ({', '.join(placeholders)})"  # noqa: S608  names of our own


def _numbered(columns: Columns) -> str:
    return _statement([f"${number}" for number in range(1, len(columns) + 1)], columns)


def _percent(columns: Columns) -> str:
    return _statement(["%s"] * len(columns), columns)


def _question(columns: Columns) -> str:
    return _statement(["?"] * len(columns), columns)


def _with_cursor(connection: Any, columns: Columns) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_percent(columns), tuple(columns.values()))


def _sqlalchemy(columns: Columns) -> Any:
    return insert(outbox).values({**columns, "id": UUID(hex=columns["id"])})


async def _async_session(session: Any, columns: Columns) -> None:
    await (await session.connection()).execute(_sqlalchemy(columns))


_SYNC_SESSION = _Sync(lambda session, columns: session.connection().execute(_sqlalchemy(columns)))
_ASYNC_SESSION = _Async(_async_session)

_WAYS: dict[tuple[str, str], _Sync | _Async] = {
    ("sqlalchemy", "Session"): _SYNC_SESSION,
    ("sqlalchemy", "scoped_session"): _SYNC_SESSION,
    ("sqlalchemy", "AsyncSession"): _ASYNC_SESSION,
    ("sqlalchemy", "async_scoped_session"): _ASYNC_SESSION,
    ("sqlalchemy", "Connection"): _Sync(lambda own, columns: own.execute(_sqlalchemy(columns))),
    ("sqlalchemy", "AsyncConnection"): _Async(lambda own, columns: own.execute(_sqlalchemy(columns))),
    ("asyncpg", "Connection"): _Async(
        lambda own, columns: own.execute(_numbered(columns), *columns.values())
    ),
    ("asyncpg", "PoolConnectionProxy"): _Async(
        lambda own, columns: own.execute(_numbered(columns), *columns.values())
    ),
    ("psycopg", "AsyncConnection"): _Async(
        lambda own, columns: own.execute(_percent(columns), tuple(columns.values()))
    ),
    ("psycopg", "Connection"): _Sync(
        lambda own, columns: own.execute(_percent(columns), tuple(columns.values()))
    ),
    ("sqlite3", "Connection"): _Sync(
        lambda own, columns: own.execute(_question(columns), tuple(columns.values()))
    ),
    ("aiosqlite", "Connection"): _Async(
        lambda own, columns: own.execute_insert(_question(columns), tuple(columns.values()))
    ),
    ("pymysql", "Connection"): _Sync(_with_cursor),
}
"""By the package and the name of the class, or of one that it is made of."""
