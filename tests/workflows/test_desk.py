from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from sqlalchemy import insert, update

from kanca.domain.ids import IdFactory
from kanca.domain.status import RunStatus
from kanca.domain.task import RunChange
from kanca.storage import runs
from kanca.storage.ports import Database
from kanca.storage.tables import runs as table
from kanca.workflows.desk import StoredDesk
from tests.workers.site import MOMENT

ids = IdFactory()


class Counting:
    """A database that counts its reading transactions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def read(self, query: Callable[..., Any], *args: Any) -> Any:
        self.reads += 1
        return await self._database.read(query, *args)


async def a_run(database: Database) -> RunChange:
    run = RunChange(ids.new(), "w", 3, None, RunStatus.WAITING, MOMENT)
    values = {"id": run.id, "workflow_id": "w", "version": 3, "status": run.status, "started_at": MOMENT}
    await database.write(lambda connection: connection.execute(insert(table).values(values)))
    return run


async def test_what_is_asked_at_the_same_time_is_read_in_one_transaction(database: Database) -> None:
    first, second = await a_run(database), await a_run(database)
    counting = Counting(database)
    desk = StoredDesk(counting, database.waker())  # type: ignore[arg-type]  # it is one, but for what it counts

    found = await asyncio.gather(*(desk.run(each.id) for each in (first, second, first)), desk.versions("w"))

    assert [each.id for each in found[:3] if isinstance(each, runs.Run)] == [first.id, second.id, first.id]
    assert found[3] == frozenset({3})
    assert counting.reads == 1
    await desk.close()


async def test_a_row_that_cannot_be_read_fails_for_its_asker_alone(database: Database) -> None:
    good, bad = await a_run(database), await a_run(database)
    broken = update(table).where(table.c.id == bad.id).values(origin="from the future")
    await database.write(lambda connection: connection.execute(broken))
    desk = StoredDesk(database, database.waker())

    read, failed = await asyncio.gather(desk.run(good.id), desk.run(bad.id), return_exceptions=True)

    assert isinstance(read, RunChange)
    assert read.id == good.id
    assert isinstance(failed, ValueError)
    await desk.close()


async def test_nobody_waits_with_a_version_of_no_workflow(database: Database) -> None:
    desk = StoredDesk(database, database.waker())

    assert await desk.versions("unknown") == frozenset()
    await desk.close()
