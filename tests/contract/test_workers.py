from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, insert

from kanca.storage import node_types, workers, workflows
from kanca.storage.claimed_work import announce_handlers
from kanca.storage.ports import Database
from kanca.storage.tables import workers as table
from kanca.storage.workers import UnservedHandler, UnservedWorkflow
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


async def test_a_handler_is_unserved_until_a_living_worker_has_its_app(
    database: Database, clock_offset: ClockOffset
) -> None:
    await database.write(announce_handlers, "shop:hooks", {"confirm": "{}", "ship": "{}"})
    await database.write(announce_handlers, "shop:hooks", {"ship": "{}"})
    await database.write(announce_handlers, "blog:hooks", {"publish": "{}"})
    await database.queue.register("here", 1, None, 10, timedelta(seconds=100))
    await database.queue.register("here", 2, "blog:hooks", 10, timedelta(seconds=100))
    await database.queue.register("here", 3, "shop:hooks", 10, timedelta(seconds=10))
    assert await database.read(workers.unserved_handlers) == ()

    await clock_offset(50)

    assert await database.read(workers.unserved_handlers) == (UnservedHandler("ship", "shop:hooks"),)


async def test_a_workflow_is_unserved_until_a_living_worker_has_all_its_node_types(
    database: Database, clock_offset: ClockOffset
) -> None:
    now = datetime.now(UTC)
    for name, needed in (
        ("plain", ["Log"]),
        ("bill", ["Log", "SendInvoice"]),
        ("both", ["SendInvoice", "Post"]),
    ):
        await database.write(workflows.create, name, "default", name, "{}", now, needed)
        await database.write(workflows.publish, name, now)
    await database.write(node_types.announce, "shop:hooks", {"SendInvoice": "{}", "Post": "{}"})
    await database.write(node_types.announce, "shop:hooks", {"SendInvoice": "{}"})
    await database.write(node_types.announce, "blog:hooks", {"Post": "{}"})
    await database.queue.register("here", 1, None, 10, timedelta(seconds=100))
    await database.queue.register("here", 2, "blog:hooks", 10, timedelta(seconds=100))
    await database.queue.register("here", 3, "shop:hooks", 10, timedelta(seconds=10))
    both = UnservedWorkflow("both", ("Post", "SendInvoice"))
    assert await database.read(workers.unserved_workflows, ["Log"]) == (both,)

    await clock_offset(50)

    bill = UnservedWorkflow("bill", ("SendInvoice",))
    assert await database.read(workers.unserved_workflows, ["Log"]) == (bill, both)
