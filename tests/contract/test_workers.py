from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, insert

from kanca.storage import workers
from kanca.storage.ports import Database
from kanca.storage.tables import workers as table
from tests.databases import ClockOffset


async def test_workers_are_listed_and_their_lease_is_judged_by_the_databases_clock(
    database: Database, clock_offset: ClockOffset
) -> None:
    start = await database.now()

    def enter(connection: Connection) -> None:
        for pid, lease in ((1, 10), (2, 100)):
            connection.execute(
                insert(table).values(
                    hostname="here",
                    pid=pid,
                    app="shop:hooks",
                    started_at=start,
                    expires_at=start + timedelta(seconds=lease),
                    concurrency=10,
                    active=3,
                )
            )

    await database.write(enter)
    first, second = await database.read(workers.running)
    assert first.is_alive
    assert second.is_alive
    assert (first.pid, first.app, first.concurrency, first.active, first.started_at) == (
        1,
        "shop:hooks",
        10,
        3,
        start,
    )
    await clock_offset(50)
    first, second = await database.read(workers.running)
    assert not first.is_alive
    assert second.is_alive
