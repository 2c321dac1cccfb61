from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert

from kanca.domain.ids import derived_id
from kanca.domain.status import StepStatus
from kanca.domain.task import Step, Task
from kanca.storage import workflows
from kanca.storage.ports import Database
from kanca.storage.tables import steps
from kanca.workflows.loading import WorkflowLoader
from kanca.workflows.nodes import built_in_registry
from tests.factories import new_event
from tests.queueing import claim, register
from tests.waiting import arrival, match_one, opening, runs_at_work

DEFINITION: dict[str, Any] = {
    "id": "w",
    "name": "w",
    "nodes": [
        {"id": "start", "type": "WebhookTrigger", "config": {}},
        {"id": "paid", "type": "WebhookTrigger", "config": {}},
    ],
    "edges": [{"from": "start", "to": "paid"}],
}


async def resumed_run(database: Database) -> tuple[Task, Task]:
    """The tasks of a run and of the event that came for it."""
    now = datetime.now(UTC)
    await database.write(workflows.create, "w", "default", "w", json.dumps(DEFINITION), now)
    worker = await register(database.queue)
    (task,) = await runs_at_work(database, worker, started_at=now)
    assert await match_one(database, opening(task)) is not None
    await database.accepting.append([new_event()])
    (event,) = await claim(database.queue, worker)
    await match_one(database, arrival(event, "a"))
    return task, event


async def test_what_came_for_a_run_is_read_together_with_it(database: Database) -> None:
    task, event = await resumed_run(database)

    states = await WorkflowLoader(database, built_in_registry()).states([task])

    assert states[task.ref].arrived.keys() == {event.ref}


async def test_what_came_is_not_read_again_once_its_step_is_stored(database: Database) -> None:
    task, _ = await resumed_run(database)
    now = datetime.now(UTC)
    step = Step(
        id=derived_id(task.ref, "paid", "0"),
        run_id=task.ref,
        node_id="paid",
        iteration=0,
        status=StepStatus.SUCCEEDED,
        port="out",
        input=None,
        output=b"{}",
        error=None,
        attempt_number=1,
        started_at=now,
        finished_at=now,
    )

    def store(connection: Connection) -> None:
        connection.execute(insert(steps).values(asdict(step)))

    await database.write(store)

    states = await WorkflowLoader(database, built_in_registry()).states([task])

    assert states[task.ref].arrived == {}
    assert len(states[task.ref].steps) == 1
