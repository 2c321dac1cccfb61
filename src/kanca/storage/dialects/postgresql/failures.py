"""What an error of the server means for whoever asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kanca.errors import DatabaseUnavailable

_RETRIABLE = {"40001", "40P01"}
_NOT_MIGRATED = {"42P01", "3F000", "42703", "42883"}
_UNAVAILABLE_CLASSES = {
    "08",  # the connection
    "53",  # out of disk, memory or connections
    "57",  # shut down, or the statement took too long
    "58",  # a file or the disk
    "28",  # who we are, or our password
    "3D",  # no such database
}
_UNAVAILABLE = {"25006", "55P03", "25P03"} | _RETRIABLE


def sqlstate_of(error: BaseException) -> str:
    """The five characters that PostgreSQL names an error with; empty when the error is not the server's."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) or ""


def is_retriable(error: BaseException) -> bool:
    """Whether the same transaction may succeed when it is tried again (deadlock, serialization)."""
    return sqlstate_of(error) in _RETRIABLE


LOST = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the driver raises when a connection is lost; the last of them when it is cut at just the wrong moment."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise DatabaseUnavailable for errors that are not about the statement."""
    try:
        yield
    except (OSError, TimeoutError, PoolTimeout) as error:
        raise DatabaseUnavailable("The database does not answer") from error
    except asyncpg.InternalClientError as error:
        raise DatabaseUnavailable("The connection to the database is lost") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError) as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        raise DatabaseUnavailable(sentence) from error


def _sentence(error: BaseException) -> str | None:
    state = sqlstate_of(error)
    if state in _NOT_MIGRATED:
        return "The database has no Kanca tables yet, or older ones: run `kanca migrate`"
    if state[:2] in _UNAVAILABLE_CLASSES or state in _UNAVAILABLE:
        return "The database cannot do this now"
    if state:
        return None
    # Without a state it is the driver's: a lost connection, or a value that it cannot encode (also a ValueError).
    is_connection = isinstance(error, asyncpg.InterfaceError) and not isinstance(error, ValueError)
    if is_connection or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return "The connection to the database is lost"
    return None
