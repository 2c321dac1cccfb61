"""Runs that have ended, and go back to be done again from a node."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select, update

from kanca.domain.status import UNFINISHED_RUNS, RunStatus, StepStatus
from kanca.domain.task import NewTask, RunChange
from kanca.storage import dead_letters
from kanca.storage.events import padded
from kanca.storage.new_tasks import add_tasks
from kanca.storage.tables import runs, steps

AT_ONCE = 1_000
MOST_ABOVE = 32
"""Runs above a run that are looked for."""


def go_back(
    connection: Connection, run: RunChange, work: str, replaced: Sequence[UUID], task: NewTask, now: datetime
) -> bool:
    """Let a run that has ended go on under ``task``, without the steps ``replaced``; False when it has not ended.

    Its dead letter goes, and its event is pending again: ``work`` is the name of what the run is for it. Wake the
    workers once it has committed.
    """
    changed = connection.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.status.not_in(UNFINISHED_RUNS))
        .values(status=RunStatus.PENDING, finished_at=None, output=None, error=None, cancel_requested_at=None)
    )
    if not changed.rowcount:
        return False
    letter = dead_letters.of_run(connection, run)
    if letter is not None:
        dead_letters.settle(connection, letter, now)
    if run.event_id is not None:
        dead_letters.reopen_outcome(connection, run.event_id, work)
    for start in range(0, len(replaced), AT_ONCE):
        part = replaced[start : start + AT_ONCE]
        # The bounds find the partitions.
        theirs = (steps.c.id.in_(padded(part)), steps.c.id.between(min(part), max(part)))
        connection.execute(update(steps).where(*theirs).values(status=StepStatus.REPLACED))
    add_tasks(connection, [task], now)
    return True


def depth_of(connection: Connection, run: RunChange) -> int:
    """Count the runs above a run, each of which started the next."""
    depth, above = 0, run.parent_run_id
    while above is not None and depth < MOST_ABOVE:
        depth += 1
        above = connection.scalar(select(runs.c.parent_run_id).where(runs.c.id == above))
    return depth
