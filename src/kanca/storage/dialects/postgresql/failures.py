"""What an error of the server means for whoever asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kanca.errors import DatabaseUnavailable, DiskFull
from kanca.storage.dialects.postgresql.sqlstates import Outcome, meaning_of


def sqlstate_of(error: BaseException) -> str:
    """The five characters that PostgreSQL names an error with; empty when the error is not the server's."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) or ""


def is_retriable(error: BaseException) -> bool:
    """Whether the same transaction may succeed when it is tried again (deadlock, serialization)."""
    return _outcome(error) is Outcome.TRY_AGAIN


def is_read_only(error: BaseException) -> bool:
    """Whether the server only reads, so that its connections should not be used on."""
    return _outcome(error) is Outcome.ELSEWHERE


LOST = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the driver raises when a connection is lost; the last of them when it is cut at just the wrong moment."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise DatabaseUnavailable, or DiskFull, for errors that are not about the statement."""
    try:
        yield
    except (OSError, TimeoutError, PoolTimeout) as error:
        raise DatabaseUnavailable("The database does not answer") from error
    except asyncpg.InternalClientError as error:
        raise DatabaseUnavailable("The connection to the database is lost") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError) as error:
        translation = _translation(error)
        if translation is None:
            raise
        raise translation from error


def _outcome(error: BaseException) -> Outcome | None:
    meaning = meaning_of(sqlstate_of(error))
    return None if meaning is None else meaning.outcome


def _translation(error: BaseException) -> DatabaseUnavailable | None:
    state = sqlstate_of(error)
    meaning = meaning_of(state)
    if meaning is not None:
        is_full = meaning.outcome is Outcome.FULL
        return DiskFull(meaning.sentence) if is_full else DatabaseUnavailable(meaning.sentence)
    if state:
        return None
    # Without a state it is the driver's: a lost connection, or a value that it cannot encode (also a ValueError).
    is_connection = isinstance(error, asyncpg.InterfaceError) and not isinstance(error, ValueError)
    if is_connection or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return DatabaseUnavailable("The connection to the database is lost")
    return None
