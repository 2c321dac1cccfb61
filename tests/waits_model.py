"""What should become of openings and arrivals, from what is stored: what the databases are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select

from kanca.domain.status import UNFINISHED_RUNS
from kanca.domain.task import TaskState
from kanca.storage.seeking import DIRECT, KEYLESS, Arrival, Opening
from kanca.storage.tables import early_events, runs, tasks, waits

TAKEN, EARLY, AMBIGUOUS, MISSED = "Taken", "Early", "Ambiguous", "Missed"


@dataclass(frozen=True)
class Stored:
    """All that is stored, at one moment."""

    waits: dict[UUID, Row[Any]]
    early: Sequence[Row[Any]]
    runs: dict[UUID, Row[Any]]
    tasks: dict[int, Row[Any]]

    def is_held(self, each: Opening | Arrival) -> bool:
        row = self.tasks.get(each.task.id)
        return row is not None and (row.state, row.fence) == (TaskState.RUNNING, each.task.fence)

    def is_alive(self, run_id: UUID) -> bool:
        return self.runs[run_id].status in UNFINISHED_RUNS

    def taken_by(self, event_id: UUID) -> list[Row[Any]]:
        return [wait for wait in self.waits.values() if wait.event_id == event_id]

    def open_at(self, node_id: str, rule: str, key: str) -> list[Row[Any]]:
        """The waits in one mailbox that an event could resume."""
        return [
            wait
            for wait in self.waits.values()
            if (wait.node_id, wait.rule, wait.key) == (node_id, rule, key)
            and wait.status == "open"
            and self.is_alive(wait.run_id)
        ]

    def several_runs(self) -> bool:
        return sum(run.status in UNFINISHED_RUNS for run in self.runs.values()) > 1


def read(connection: Connection) -> Stored:
    return Stored(
        {row.id: row for row in connection.execute(select(waits))},
        connection.execute(select(early_events).order_by(early_events.c.event_id)).all(),
        {row.id: row for row in connection.execute(select(runs))},
        {row.id: row for row in connection.execute(select(tasks))},
    )


def of_arrival(stored: Stored, arrival: Arrival, now: datetime) -> tuple[str, UUID | None]:
    """What an arrival should be answered, and which wait it should have resumed."""
    if taken := stored.taken_by(arrival.event_id):
        return TAKEN, taken[0].id
    if not stored.is_held(arrival):
        return MISSED, None
    found: list[Row[Any]] = []
    if arrival.wait_id is None:
        if any(rule == KEYLESS for rule, _ in arrival.keys) and stored.several_runs():
            return AMBIGUOUS, None
        for rule, key in arrival.keys:
            found += stored.open_at(arrival.node_id, rule, key)
    elif (wait := stored.waits.get(arrival.wait_id)) is not None:
        if wait.status in {"claimed", "timed_out"}:
            return MISSED, None
        found = [wait] if wait.status == "open" and stored.is_alive(wait.run_id) else []
    if found:
        return (AMBIGUOUS, None) if len(found) > 1 else (TAKEN, found[0].id)
    kept_until = [row.expires_at for row in stored.early if row.event_id == arrival.event_id]
    is_over = min(kept_until, default=now + arrival.patience) <= now
    return (MISSED if is_over or not arrival.may_be_early else EARLY), None


def of_opening(stored: Stored, opening: Opening, now: datetime) -> tuple[str | None, UUID | None]:
    """The status that a wait should have when it was opened, and the event that should have resumed it."""
    before = stored.waits.get(opening.wait_id)
    if before is not None and before.status != "cancelled":
        return before.status, before.event_id
    run = stored.runs[opening.run_id]
    if not stored.is_held(opening) or not stored.is_alive(run.id) or run.cancel_requested_at is not None:
        return None, None
    is_unclear = opening.rule == KEYLESS and stored.several_runs()
    for row in stored.early:
        is_direct = (row.rule, row.key) == (DIRECT, opening.wait_id.hex)
        is_meant = is_direct or ((row.rule, row.key) == (opening.rule, opening.key) and not is_unclear)
        if row.node_id == opening.node_id and is_meant and row.expires_at > now:
            return "claimed", row.event_id
    return "open", None
