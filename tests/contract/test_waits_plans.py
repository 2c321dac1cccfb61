"""What one opening and one arrival cost does not grow with the runs that wait: every statement has its index."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, event, insert, text

from kanca.domain.status import RunStatus, WaitStatus
from kanca.domain.task import NewTask, TaskKind
from kanca.domain.wait import Wait
from kanca.storage import matching, waits
from kanca.storage.dialects.sqlite.database import SqliteDatabase
from kanca.storage.new_tasks import add_tasks
from kanca.storage.ports import Database
from kanca.storage.seeking import KEYLESS, Arrival, Opening
from kanca.storage.tables import early_events, runs, tasks
from kanca.storage.tables import waits as table
from tests.queueing import new_id, register
from tests.waiting import (
    HOUR,
    MOMENT,
    RULE,
    WORKFLOW,
    arrival,
    dispatches_at_work,
    new_run,
    opening,
    runs_at_work,
    wait_id,
)

MANY = 20_000
BATCH = 2_000
LARGE = {table.fullname for table in (table, tasks, early_events, runs)}


async def test_no_statement_reads_all_that_wait(database: Database) -> None:
    worker = await register(database.queue, HOUR)
    held = await runs_at_work(database, worker, 2)
    events = await dispatches_at_work(database, worker, 4)
    for start in range(0, MANY, BATCH):
        await database.write(_add, range(start, start + BATCH))
    await database.write(lambda connection: connection.execute(text("ANALYZE")))
    late = timedelta(seconds=-1)
    batch: Sequence[Opening | Arrival] = (
        opening(held[0], "nobody's"),
        opening(held[1], "early-9"),
        arrival(events[0], "key-7"),
        arrival(events[1], "key-8", received_at=MOMENT, patience=late),
        arrival(events[1], keys=(("other", "key-9"), (RULE, "nobody's else")), wait_id=None),
        arrival(events[2], wait_id=new_id()),
        arrival(events[3], node_id="any", keys=((KEYLESS, KEYLESS),)),
    )

    plans = await database.write(_plans_of, batch, await database.now(), isinstance(database, SqliteDatabase))

    assert len(plans) > 20
    assert [plan for plan in plans if plan[1]] == []


def _add(connection: Connection, numbers: range) -> None:
    """Runs that wait, each for a key of its own, and events that came early for others."""
    added = [new_run(status=RunStatus.WAITING) for _ in numbers]
    connection.execute(insert(runs), [asdict(run) for run in added])
    add_tasks(connection, [NewTask(TaskKind.RUN, run.id, WORKFLOW, due_at=MOMENT) for run in added], MOMENT)
    stored = [
        Wait(
            wait_id(run.id), run.id, WORKFLOW, "paid", 0, RULE, f"key-{number}", WaitStatus.OPEN, number,
            MOMENT, MOMENT + HOUR,
        )
        for number, run in zip(numbers, added, strict=True)
    ]  # fmt: skip
    connection.execute(insert(table), [asdict(wait) for wait in stored])
    kept = [
        {
            "event_id": new_id(),
            "rule": RULE,
            "key": f"early-{number}",
            "workflow": WORKFLOW,
            "node_id": "paid",
            "task_id": number,
            "received_at": MOMENT,
            "expires_at": MOMENT + timedelta(days=10_000),
        }
        for number in numbers
    ]
    connection.execute(insert(early_events), kept)


def _plans_of(
    connection: Connection, batch: Sequence[Any], now: Any, is_sqlite: bool
) -> list[tuple[str, list[str]]]:
    """Each statement with the tables that it reads from one end to the other."""
    seen: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, ___: Any, is_many: bool) -> None:
        if (
            not is_many
            and statement.split(maxsplit=1)[0] in {"SELECT", "UPDATE", "DELETE"}
            and "advisory" not in statement
        ):
            seen.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    matching.match(connection, batch, now)
    waits.versions_in_use(connection, "w")
    event.remove(connection, "before_cursor_execute", note)
    read = _read_by_sqlite if is_sqlite else _read_by_postgresql
    return [(statement, list(read(connection, statement, parameters))) for statement, parameters in seen]


def _read_by_sqlite(connection: Connection, statement: str, parameters: Any) -> Iterator[str]:
    for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
        if row.detail.startswith("SCAN"):
            yield row.detail


def _read_by_postgresql(connection: Connection, statement: str, parameters: Any) -> Iterator[str]:
    (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).one()
    nodes = [each["Plan"] for each in (json.loads(plan) if isinstance(plan, str) else plan)]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if node["Node Type"] == "Seq Scan" and f"kanca.{node['Relation Name']}" in LARGE:
            yield node["Relation Name"]
