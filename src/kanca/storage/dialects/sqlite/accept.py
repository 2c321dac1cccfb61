"""Accepting on SQLite: one transaction of the writing thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from uuid import UUID

from kanca.domain.event import Accepted, Appended, Duplicate, NewEvent
from kanca.domain.task import TaskKind, TaskState, lane_of
from kanca.storage.dialects.sqlite.engine import SqliteEngine
from kanca.storage.halving import Refused
from kanca.storage.types import to_microseconds

_TAKEN = "SELECT event_id FROM kanca_dedupe WHERE key = ? AND expires_at > ?"
_TAKE = """
    INSERT INTO kanca_dedupe (key, event_id, expires_at) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET event_id = excluded.event_id, expires_at = excluded.expires_at
"""
_EVENT = """
    INSERT INTO kanca_events (id, endpoint, tenant, type, received_at, source_event_id, correlation_id, request, body,
                              replay_of)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_TASK = f"""
    INSERT INTO kanca_tasks (kind, state, lane, target, position, ref)
    VALUES ({TaskKind.DISPATCH:d}, {TaskState.READY:d}, ?, ?, ?, ?)
"""  # noqa: S608  numbers of our own
_UNIQUE = {sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE}


async def store(engine: SqliteEngine, events: Sequence[NewEvent]) -> list[Appended]:
    """Store events of distinct dedupe keys (see ``storage.appending.Store``)."""
    positions = [engine.positions.next(TaskKind.DISPATCH, event.endpoint) for event in events]
    try:
        return await engine.run_write(partial(_store, events, positions, engine.clock.now_us()))
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode in _UNIQUE and len(events) == 1:
            return [Accepted()]  # it was stored before, and the answer was lost
        raise Refused from error
    except (sqlite3.DataError, sqlite3.InterfaceError, OverflowError, UnicodeError) as error:
        raise Refused from error


def _store(
    events: Sequence[NewEvent], positions: Sequence[int], now_us: int, connection: sqlite3.Connection
) -> list[Appended]:
    answers: list[Appended] = []
    keys, rows, tasks = [], [], []
    for event, position in zip(events, positions, strict=True):
        identifier = event.id.bytes
        if event.dedupe_key is not None and event.dedupe_until is not None:
            key = event.dedupe_key.bytes
            taken = connection.execute(_TAKEN, (key, now_us)).fetchone()
            if taken is not None:
                # Its own id: the batch was stored before, and the answer was lost.
                answers.append(Accepted() if taken[0] == identifier else Duplicate(UUID(bytes=taken[0])))
                continue
            keys.append((key, identifier, to_microseconds(event.dedupe_until)))
        answers.append(Accepted())
        rows.append(
            (
                identifier,
                event.endpoint,
                event.tenant,
                event.type,
                to_microseconds(event.received_at),
                event.source_event_id,
                event.correlation_id,
                event.request,
                event.body,
                event.replay_of and event.replay_of.bytes,
            )
        )
        tasks.append((lane_of(TaskKind.DISPATCH, event.endpoint), event.endpoint, position, identifier))
    connection.executemany(_TAKE, keys)
    connection.executemany(_EVENT, rows)
    connection.executemany(_TASK, tasks)
    return answers
