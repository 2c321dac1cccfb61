"""Starting runs by the clock: what publishing says of schedules, and who starts the runs that are due."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast

import structlog
from sqlalchemy import Connection

from kanca.domain.status import RunOrigin, RunStatus
from kanca.domain.task import NewTask, RunChange, TaskKind
from kanca.storage import runs, schedules, workflows
from kanca.storage.ports import Database, Waker
from kanca.storage.schedules import NewSchedule, Schedule
from kanca.telemetry.metrics import SCHEDULES_MISSED
from kanca.workflows.nodes.schedule import ScheduleConfig
from kanca.workflows.runs import RunDetail
from kanca.workflows.scheduling import InvalidSchedule, Missed, read_rule, run_id_of, turn_of
from kanca.workflows.validation import Workflow
from kanca.workflows.values import write_json

log = structlog.get_logger(__name__)

LONGEST_PAUSE = timedelta(seconds=1)
"""A schedule that is published, or goes on, meanwhile is late by this much at most."""
BATCH = 100
"""Schedules that one transaction looks after."""


def schedules_in(workflow: Workflow, now: datetime) -> Iterator[NewSchedule]:
    """The schedules of a workflow, each with its first moment after ``now``. Publishing stores them."""
    for node in workflow.nodes.values():
        config = node.settings.config
        if isinstance(config, ScheduleConfig):
            next_at = config.rule().after(now)
            yield NewSchedule(node.id, config.cron, config.timezone, config.missed, next_at)


class ScheduleStarter:
    """The duty that starts the runs of schedules.

    Every worker does it. A run and the schedule's next moment are written in one transaction, which no other worker
    can write for the same schedule: each moment starts one run, or none.
    """

    def __init__(self, database: Database, waker: Waker) -> None:
        self._database = database
        self._waker = waker

    async def run_once(self) -> timedelta:
        """Start what is due by the database's clock, and say when to look again. Raises DatabaseUnavailable."""
        now = await self._database.now()
        soonest = await self._database.read(schedules.soonest)
        pause = pause_before(soonest, now)
        if pause is not None:
            return pause
        started = await self._database.write(start_due, now)
        SCHEDULES_MISSED.inc(started.missed)
        if started.runs:
            self._waker.wake()
        return timedelta(0) if started.schedules >= BATCH else LONGEST_PAUSE


def pause_before(soonest: datetime | None, now: datetime) -> timedelta | None:
    """How long to wait before looking again; None when a schedule is due."""
    if soonest is None:
        return LONGEST_PAUSE
    return min(soonest - now, LONGEST_PAUSE) if soonest > now else None


@dataclass(frozen=True, slots=True)
class Started:
    """What one transaction did."""

    runs: int
    """How many it started."""
    schedules: int
    """How many it moved on, whether or not a run was started for them."""
    missed: int
    """How many of them it came to so late that no run was started."""


def start_due(connection: Connection, now: datetime, limit: int = BATCH) -> Started:
    """Start the runs of up to ``limit`` schedules that are due at ``now``, and move those on."""
    started = moved = missed = 0
    for schedule in schedules.due(connection, now, limit):
        try:
            rule = read_rule(schedule.cron, schedule.timezone)
            turn = turn_of(rule, cast(Missed, schedule.missed), schedule.next_at, now)
        except InvalidSchedule as error:
            # It was valid where it was published. The others must not wait for it.
            log.warning(
                "schedule_unreadable", workflow=schedule.workflow_id, node=schedule.node_id, error=str(error)
            )
            continue
        if turn.run_at is None:
            missed += 1
        else:
            started += _start(connection, schedule, turn.run_at, now)
        schedules.move_on(connection, schedule, turn.next_at, turn.run_at or schedule.last_at)
        moved += 1
    return Started(started, moved, missed)


def _start(connection: Connection, schedule: Schedule, moment: datetime, now: datetime) -> Literal[0, 1]:
    """Store the run for a moment with its task, unless it is there."""
    run_id = run_id_of(schedule.workflow, schedule.node_id, moment)
    if runs.get(connection, run_id) is not None:
        return 0
    data = {
        "scheduled_at": moment.isoformat(),
        "node_id": schedule.node_id,
        "data": _data_of(connection, schedule),
    }
    run = RunChange(
        run_id,
        schedule.workflow_id,
        schedule.version,
        None,
        RunStatus.PENDING,
        now,
        input=write_json(data),
        origin=RunOrigin.SCHEDULE,
    )
    detail = RunDetail(start=schedule.node_id).encode()
    runs.start(connection, run, NewTask(TaskKind.RUN, run_id, schedule.workflow, detail), now)
    return 1


def _data_of(connection: Connection, schedule: Schedule) -> Any:
    """The ``data`` of the schedule's node, as the published version has it."""
    stored = workflows.definition_of(connection, schedule.workflow_id, schedule.version)
    nodes = json.loads(stored.definition)["nodes"] if stored else ()
    configs = {node["id"]: node.get("config", {}) for node in nodes}
    return configs.get(schedule.node_id, {}).get("data")
