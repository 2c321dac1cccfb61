"""Runs that the clock starts, on both databases."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, update

from kanca.domain.ids import time_of
from kanca.domain.status import RunOrigin, RunStatus
from kanca.domain.task import TaskKind, TaskState
from kanca.storage import schedules, workflows
from kanca.storage.dialects import open_database
from kanca.storage.ports import Database
from kanca.storage.schedules import Schedule
from kanca.storage.tables import runs as runs_table
from kanca.storage.tables import schedules as schedules_table
from kanca.storage.tables import workflows as workflows_table
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.scheduling import run_id_of
from kanca.workflows.starting import (
    BATCH,
    LONGEST_PAUSE,
    ScheduleStarter,
    pause_before,
    schedules_in,
    start_due,
)
from kanca.workflows.validation import read_workflow
from tests.databases import ClockOffset
from tests.queueing import Bell, rows

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def definition(workflow_id: str, **nodes: dict[str, Any]) -> dict[str, Any]:
    listed = [{"id": node_id, "type": "Schedule", "config": config} for node_id, config in nodes.items()]
    return {"id": workflow_id, "nodes": [*listed, {"id": "hook", "type": "WebhookTrigger"}]}


def publish(connection: Connection, values: dict[str, Any], now: datetime) -> workflows.Workflow:
    """What the API does."""
    workflow_id = values["id"]
    ready = read_workflow(values, built_in_registry())
    if workflows.get(connection, workflow_id) is None:
        workflows.create(connection, workflow_id, "default", workflow_id, json.dumps(values), now)
    else:
        workflows.save(connection, workflow_id, workflow_id, json.dumps(values), now)
    published = workflows.publish(connection, workflow_id, now)
    schedules.replace(connection, published.number, workflow_id, published.version, schedules_in(ready, now))
    return published


def pause(connection: Connection, is_paused: bool) -> None:
    connection.execute(update(workflows_table).values(is_paused=is_paused))


async def shown(database: Database) -> list[Schedule]:
    return list((await database.read(schedules.page)).items)


async def moments(database: Database) -> list[datetime]:
    """For which moments runs were started."""
    found = [
        datetime.fromisoformat(json.loads(run.input)["scheduled_at"])
        for run in await rows(database, runs_table)
    ]
    return sorted(found)


EVERY_HOUR: dict[str, Any] = {"cron": "0 * * * *"}


async def test_a_run_is_stored_with_its_task_and_the_schedule_moves_on(database: Database) -> None:
    config = {"cron": "30 15 * * *", "timezone": "Europe/Istanbul", "data": {"report": ["daily", 1]}}
    published = await database.write(publish, definition("report", morning=config), NOON)
    half_past = NOON + 30 * MINUTE
    assert [(each.next_at, each.last_at) for each in await shown(database)] == [(half_past, None)]

    now = half_past + timedelta(seconds=2)
    assert (await database.write(start_due, half_past - timedelta(seconds=1))).runs == 0
    assert (await database.write(start_due, now)).runs == 1
    assert (await database.write(start_due, now)).runs == 0

    [run] = await rows(database, runs_table)
    assert (run.id, time_of(run.id)) == (run_id_of(published.number, "morning", half_past), half_past)
    assert (run.workflow_id, run.version, run.event_id) == ("report", 1, None)
    assert (run.status, run.origin, run.started_at) == (RunStatus.PENDING, RunOrigin.SCHEDULE, now)
    assert json.loads(run.input) == {
        "scheduled_at": "2026-05-04T12:30:00+00:00",
        "node_id": "morning",
        "data": {"report": ["daily", 1]},
    }
    [task] = await rows(database)
    assert (task.kind, task.ref, task.target) == (TaskKind.RUN, run.id, published.number)
    assert (task.state, json.loads(task.detail)["start"]) == (TaskState.READY, "morning")
    [schedule] = await shown(database)
    assert (schedule.next_at, schedule.last_at) == (half_past + timedelta(days=1), half_past)


async def test_two_starters_at_once_start_each_moment_once(
    database: Database, database_url: str, clock_offset: ClockOffset
) -> None:
    now = await database.now()
    nodes = {f"n{number}": EVERY_HOUR for number in range(5)}
    for name in "abcd":
        await database.write(publish, definition(name, **nodes), now - HOUR)
    other = await open_database(database_url)
    bell = Bell()
    try:
        starters = [ScheduleStarter(each, bell) for each in (database, other) * 3]
        await asyncio.gather(*(starter.run_once() for starter in starters))
        # Who came late may have been told that somebody else is at it.
        await starters[0].run_once()
    finally:
        await other.close()
    assert len(await rows(database, runs_table)) == len(await rows(database)) == 20
    assert {each.last_at for each in await shown(database)} == set(await moments(database))
    assert bell.rung >= 1


async def test_a_transaction_that_is_killed_starts_nothing(database: Database) -> None:
    await database.write(publish, definition("flow", clock=EVERY_HOUR), NOON)
    before = await shown(database)

    class Killed(Exception):
        pass

    def die(connection: Connection) -> None:
        assert start_due(connection, NOON + HOUR).runs == 1
        raise Killed

    with pytest.raises(Killed):
        await database.write(die)
    assert (await rows(database, runs_table), await rows(database)) == ([], [])
    assert await shown(database) == before
    assert (await database.write(start_due, NOON + HOUR)).runs == 1


async def test_a_moment_that_comes_again_starts_no_second_run(database: Database) -> None:
    await database.write(publish, definition("flow", clock=EVERY_HOUR), NOON)
    await database.write(start_due, NOON + HOUR)
    # As when the clock is set back, or a schedule goes and comes back.
    await database.write(workflows.unpublish, "flow", NOON)
    await database.write(publish, definition("flow", clock=EVERY_HOUR), NOON)
    done = await database.write(start_due, NOON + HOUR)
    assert (done.runs, done.schedules) == (0, 1)
    assert await moments(database) == [NOON + HOUR]


async def test_what_was_missed_starts_one_run_or_none(database: Database) -> None:
    nodes = {"once": EVERY_HOUR, "skip": EVERY_HOUR | {"missed": "skip"}}
    await database.write(publish, definition("flow", **nodes), NOON)
    late = NOON + 5 * HOUR + 10 * MINUTE
    await database.write(start_due, late)
    [run] = await rows(database, runs_table)
    assert json.loads(run.input)["node_id"] == "once"
    assert await moments(database) == [NOON + 5 * HOUR]
    assert {each.node_id: each.last_at for each in await shown(database)} == {
        "once": NOON + 5 * HOUR,
        "skip": None,
    }
    assert {each.next_at for each in await shown(database)} == {NOON + 6 * HOUR}


async def test_a_paused_workflow_starts_no_runs_and_has_missed_them_afterwards(database: Database) -> None:
    nodes = {"once": EVERY_HOUR, "skip": EVERY_HOUR | {"missed": "skip"}}
    await database.write(publish, definition("flow", **nodes), NOON)
    await database.write(pause, True)
    late = NOON + 3 * HOUR + 10 * MINUTE
    assert (await database.write(start_due, late)).schedules == 0
    assert await database.read(schedules.soonest) is None
    await database.write(pause, False)
    assert (await database.write(start_due, late)).runs == 1
    assert await moments(database) == [NOON + 3 * HOUR]


async def test_unpublishing_and_deleting_end_schedules(database: Database) -> None:
    for workflow_id in ("gone", "kept", "withdrawn"):
        await database.write(publish, definition(workflow_id, clock=EVERY_HOUR), NOON)
    await database.write(workflows.unpublish, "withdrawn", NOON)
    await database.write(workflows.remove, "gone")
    assert [each.workflow_id for each in await shown(database)] == ["kept"]
    await database.write(start_due, NOON + HOUR)
    assert [run.workflow_id for run in await rows(database, runs_table)] == ["kept"]


async def test_another_version_changes_what_it_says_otherwise_and_nothing_else(database: Database) -> None:
    first = {"same": EVERY_HOUR, "moved": EVERY_HOUR, "gone": EVERY_HOUR, "abroad": EVERY_HOUR}
    await database.write(publish, definition("flow", **first), NOON)
    await database.write(start_due, NOON + HOUR)
    second = {
        "same": EVERY_HOUR | {"missed": "skip", "data": 2},
        "moved": {"cron": "15 * * * *"},
        "abroad": EVERY_HOUR | {"timezone": "Asia/Kathmandu"},
        "new": EVERY_HOUR,
    }
    # Two hours later, with moments that nobody has started yet: they are missed only where the times are the same.
    later = NOON + 3 * HOUR + MINUTE
    await database.write(publish, definition("flow", **second), later)
    assert {
        each.node_id: (each.version, each.missed, each.next_at, each.last_at)
        for each in await shown(database)
    } == {
        "same": (2, "skip", NOON + 2 * HOUR, NOON + HOUR),
        "moved": (2, "once", NOON + 3 * HOUR + 15 * MINUTE, NOON + HOUR),
        "abroad": (2, "once", NOON + 3 * HOUR + 15 * MINUTE, NOON + HOUR),
        "new": (2, "once", NOON + 4 * HOUR, None),
    }
    await database.write(start_due, NOON + 4 * HOUR)
    newest = max(await rows(database, runs_table), key=lambda run: run.id)
    assert newest.version == 2


async def test_the_starter_goes_by_the_clock_of_the_database_and_wakes_workers(
    database: Database, clock_offset: ClockOffset
) -> None:
    bell = Bell()
    starter = ScheduleStarter(database, bell)
    assert await starter.run_once() == LONGEST_PAUSE
    now = await database.now()
    await database.write(publish, definition("flow", clock={"cron": "* * * * *"}), now)
    [schedule] = await shown(database)
    await clock_offset((schedule.next_at - await database.now()).total_seconds() + 1)
    assert await starter.run_once() == LONGEST_PAUSE
    assert (bell.rung, await moments(database)) == (1, [schedule.next_at])
    assert await starter.run_once() == LONGEST_PAUSE
    assert bell.rung == 1


def test_nobody_sleeps_beyond_the_next_moment_or_a_second() -> None:
    assert pause_before(None, NOON) == LONGEST_PAUSE
    assert pause_before(NOON + HOUR, NOON) == LONGEST_PAUSE
    assert pause_before(NOON + LONGEST_PAUSE / 4, NOON) == LONGEST_PAUSE / 4
    assert pause_before(NOON, NOON) is None
    assert pause_before(NOON - HOUR, NOON) is None


async def test_after_a_full_batch_the_rest_is_done_at_once(database: Database) -> None:
    now = await database.now() - HOUR
    nodes = {f"n{number}": EVERY_HOUR for number in range(BATCH + 1)}
    await database.write(publish, definition("flow", **nodes), now)
    starter = ScheduleStarter(database, Bell())
    assert await starter.run_once() == timedelta(0)
    await starter.run_once()
    assert len(await rows(database, runs_table)) == BATCH + 1


async def test_a_schedule_that_cannot_be_read_keeps_no_other_from_starting(database: Database) -> None:
    await database.write(publish, definition("flow", odd=EVERY_HOUR, sound=EVERY_HOUR), NOON)

    def spoil(connection: Connection) -> None:
        query = update(schedules_table).where(schedules_table.c.node_id == "odd")
        connection.execute(query.values(timezone="Mars/Base"))

    await database.write(spoil)
    assert (await database.write(start_due, NOON + HOUR)).runs == 1
    assert {each.node_id: each.next_at for each in await shown(database)} == {
        "odd": NOON + HOUR,
        "sound": NOON + 2 * HOUR,
    }
