"""Rows as workers write them, put into the database without a worker."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Table, insert, select

from kanca.domain.event import NewEvent
from kanca.domain.ids import EVENT, IdFactory, show_id
from kanca.domain.task import Attempt, DeadLetter, Outcome, RunChange, Step
from kanca.storage.ports import Database
from kanca.storage.tables import attempts, dead_letters, endpoints, outcomes, runs, steps, tasks
from tests.factories import new_event

Record = Outcome | Attempt | DeadLetter | RunChange | Step

_TABLES: dict[type, Table] = {
    Outcome: outcomes,
    Attempt: attempts,
    DeadLetter: dead_letters,
    RunChange: runs,
    Step: steps,
}


async def store(database: Database, *records: Record) -> None:
    """Write down what became of events and runs."""

    def write(connection: Connection) -> None:
        for record in records:
            connection.execute(insert(_TABLES[type(record)]), asdict(record))

    await database.write(write)


_milliseconds = itertools.count(int(time.time() * 1000))
later_ids = IdFactory(lambda: next(_milliseconds) / 1000)
"""Each later than the one before: ids of one millisecond are in no order."""


async def accept(database: Database, **values: Any) -> NewEvent:
    """An event that came in after the one before; from no endpoint, unless it is given."""
    event = new_event(**{"id": later_ids.new(), "endpoint": 0} | values)
    assert not isinstance((await database.accepting.append([event]))[0], Exception)
    return event


async def number_of(database: Database, webhook_id: str) -> int:
    """The number of an endpoint."""
    query = select(endpoints.c.number).where(endpoints.c.webhook_id == webhook_id)
    return await database.read(lambda connection: connection.execute(query).scalar_one())


async def waiting(database: Database) -> Sequence[Any]:
    """The tasks in the queue."""
    return await database.read(
        lambda connection: connection.execute(select(tasks).order_by(tasks.c.id)).all()
    )


def shown(event: NewEvent) -> str:
    """The event's id as the API has it."""
    return show_id(EVENT, event.id)
