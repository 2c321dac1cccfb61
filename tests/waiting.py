"""Short words for tests of waits: runs that are at work, what they wait for, and what arrives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert

from kanca.domain.status import RunStatus
from kanca.domain.task import NewTask, RunChange, Task, TaskKind
from kanca.domain.wait import WaitAddress
from kanca.storage import matching
from kanca.storage.new_tasks import add_tasks
from kanca.storage.ports import Database
from kanca.storage.seeking import Arrival, Opening
from kanca.storage.tables import runs
from tests.queueing import claim, dispatch, new_id

WORKFLOW, WORKFLOW_ID = 7, "w"
RULE = "rule"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def new_run(**values: Any) -> RunChange:
    fields: dict[str, Any] = {
        "id": new_id(),
        "workflow_id": WORKFLOW_ID,
        "version": 1,
        "event_id": None,
        "status": RunStatus.RUNNING,
        "started_at": MOMENT,
    }
    return RunChange(**fields | values)


async def add_runs(database: Database, added: Sequence[RunChange]) -> None:
    """Store runs with their tasks."""

    def add(connection: Connection) -> None:
        connection.execute(insert(runs), [asdict(run) for run in added])
        add_tasks(connection, [NewTask(TaskKind.RUN, run.id, WORKFLOW) for run in added], MOMENT)

    await database.write(add)


async def runs_at_work(database: Database, worker: int, count: int = 1, **values: Any) -> list[Task]:
    """The claimed tasks of new runs."""
    added = [new_run(**values) for _ in range(count)]
    await add_runs(database, added)
    ids = {run.id for run in added}
    return [task for task in await claim(database.queue, worker) if task.ref in ids]


async def dispatches_at_work(database: Database, worker: int, count: int = 1) -> list[Task]:
    """The claimed tasks of events that look for their runs."""
    await database.queue.enqueue([dispatch() for _ in range(count)])
    return [task for task in await claim(database.queue, worker) if task.kind is TaskKind.DISPATCH]


def wait_id(run_id: UUID, node_id: str = "paid", iteration: int = 0) -> UUID:
    return WaitAddress(run_id, node_id, iteration).wait_id


def opening(task: Task, key: str = "a", **values: Any) -> Opening:
    """The run of that task wants to wait."""
    fields: dict[str, Any] = {
        "task": task,
        "wait_id": wait_id(task.ref, values.get("node_id", "paid"), values.get("iteration", 0)),
        "run_id": task.ref,
        "workflow": WORKFLOW,
        "workflow_id": WORKFLOW_ID,
        "node_id": "paid",
        "iteration": 0,
        "rule": RULE,
        "key": key,
        "timeout": HOUR,
    }
    return Opening(**fields | values)


def arrival(task: Task, *keys: str, **values: Any) -> Arrival:
    """The event of that task arrives."""
    fields: dict[str, Any] = {
        "event_id": task.ref,
        "task": task,
        "workflow": WORKFLOW,
        "workflow_id": WORKFLOW_ID,
        "node_id": "paid",
        "keys": tuple((RULE, key) for key in keys),
        "received_at": MOMENT,
        "patience": HOUR,
    }
    return Arrival(**fields | values)


async def match(database: Database, *batch: Opening | Arrival) -> list[Any]:
    """What becomes of them, one after the other in one transaction."""
    return await database.write(matching.match, batch, await database.now())


async def match_one(database: Database, each: Opening | Arrival) -> Any:
    """What becomes of it."""
    (answer,) = await match(database, each)
    return answer
