"""Matching waits of runs with the events that they wait for. Whoever matches locks their mailbox first.

A mailbox is where waits and events of one rule and key at one node meet. An event that looks for a wait and a wait that
looks for an event could otherwise both look in vain and both commit. The lock is a name, not a row: it costs no write,
and leaves nothing to clean up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, insert, select, update

from kanca.domain.status import UNFINISHED_RUNS, WaitStatus
from kanca.domain.task import TaskState
from kanca.domain.wait import Wait
from kanca.storage import waits
from kanca.storage.dialects.locking import lock_names
from kanca.storage.keeping_early import SHOWN, forget_early, keep_early, several_runs, take_early
from kanca.storage.new_tasks import add_tasks
from kanca.storage.seeking import (
    ALREADY_RESUMED,
    DIRECT,
    KEYLESS,
    NOT_HELD,
    WAIT_CANCELLED,
    WAIT_TIMED_OUT,
    Ambiguous,
    Arrival,
    Arrived,
    Missed,
    Opening,
    Taken,
)
from kanca.storage.signals import signal_all
from kanca.storage.tables import OPEN, runs, tasks
from kanca.storage.tables import waits as table

_MISSED = {
    WaitStatus.OPEN: WAIT_CANCELLED,
    WaitStatus.CLAIMED: ALREADY_RESUMED,
    WaitStatus.TIMED_OUT: WAIT_TIMED_OUT,
    WaitStatus.CANCELLED: WAIT_CANCELLED,
}
_MAY_OPEN = {WaitStatus.OPEN, WaitStatus.CANCELLED}
# Of a run that was given up from outside, because its workers died of it, waits stay open; they take nothing.
_IS_OF_LIVING = (
    select(runs.c.id).where(runs.c.id == table.c.run_id, runs.c.status.in_(UNFINISHED_RUNS)).exists()
)
# Put together once, as below: to do so for every wait and every arrival took longer than to ask.
_CLAIM = waits.CLAIM.where(_IS_OF_LIVING)


def match(connection: Connection, batch: Sequence[Opening | Arrival], now: datetime) -> list[Any]:
    """Let runs wait and events resume them, one after the other, in one transaction.

    For an opening: its wait as it is now (``claimed`` when its event was there already), or None when the run is over,
    or no longer this worker's. For an arrival: what became of it. Doing either again gives the same answer.
    """
    lock_names(connection, (name for each in batch for name in _mailboxes(each)))
    held, news = _held(connection, batch), set[int]()
    answers: list[Any] = []
    for each in batch:
        is_held = (each.task.id, each.task.fence) in held
        if isinstance(each, Opening):
            answers.append(_open(connection, each, now, news, is_held=is_held))
        elif is_held:
            answers.append(_arrive(connection, each, now, news))
        else:
            answers.append(_taken(connection, each) or Missed(NOT_HELD))
    # All tasks at once, and last: two who signalled some of the same one by one would wait for each other.
    if news:
        signal_all(connection, news, now)
    return answers


def mailbox(workflow: int, node_id: str, rule: str, key: str) -> str:
    """The name of where waits and events meet."""
    return f"{workflow}\x00{node_id}\x00{rule}\x00{key}"


def _mailboxes(each: Opening | Arrival) -> Iterable[str]:
    keys = ((each.rule, each.key),) if isinstance(each, Opening) else each.keys
    for rule, key in keys:
        yield mailbox(each.workflow, each.node_id, rule, key)
    if each.wait_id is not None:
        yield each.wait_id.hex
    if isinstance(each, Arrival):
        # Two who bring the same event may have other keys for it: a version was published between them.
        yield each.event_id.hex


def _held(connection: Connection, batch: Sequence[Opening | Arrival]) -> set[tuple[int, int]]:
    """``(id, fence)`` of the tasks that are still those of the workers that claimed them, or of others."""
    found = connection.execute(_HELD, {"task_ids": list({each.task.id for each in batch})})
    return {(row.id, row.fence) for row in found}


_HELD = select(tasks.c.id, tasks.c.fence).where(
    tasks.c.id.in_(bindparam("task_ids", expanding=True)), tasks.c.state == TaskState.RUNNING
)


def _open(
    connection: Connection, opening: Opening, now: datetime, news: set[int], *, is_held: bool
) -> Wait | None:
    before = waits.get(connection, opening.wait_id)
    if before is not None and before.status is not WaitStatus.CANCELLED:
        return before
    if not is_held or not _may_wait(connection, opening.run_id):
        return None
    early = take_early(connection, opening, now, news)
    wait = Wait(
        id=opening.wait_id,
        run_id=opening.run_id,
        workflow=opening.workflow,
        node_id=opening.node_id,
        iteration=opening.iteration,
        rule=opening.rule,
        key=opening.key,
        status=WaitStatus.CLAIMED if early else WaitStatus.OPEN,
        task_id=opening.task.id,
        opened_at=now,
        due_at=now + opening.timeout,
        ended_at=now if early else None,
        event_id=early.event_id if early else None,
        child_run_id=opening.child[0].id if opening.child else None,
    )
    if before is None:
        connection.execute(insert(table).values(asdict(wait)))
    else:
        connection.execute(update(table).where(table.c.id == wait.id).values(asdict(wait)))
    if early is not None:
        news.add(early.task_id)
    if opening.child is not None:
        run, task = opening.child
        connection.execute(insert(runs).values(asdict(run)))
        add_tasks(connection, [task], now)
    return wait


def _may_wait(connection: Connection, run_id: UUID) -> bool:
    """Whether the run is not over, and nobody wants it to be."""
    run = connection.execute(_RUN, {"of_run": run_id}).one_or_none()
    return run is not None and run.status in UNFINISHED_RUNS and run.cancel_requested_at is None


_RUN = (
    select(runs.c.status, runs.c.cancel_requested_at)
    .where(runs.c.id == bindparam("of_run"))
    .with_for_update()
)


def _arrive(connection: Connection, arrival: Arrival, now: datetime, news: set[int]) -> Arrived:
    # First of all: a run that is just taking it from there has then committed, and is seen.
    kept_until = forget_early(connection, arrival.event_id)
    if (taken := _taken(connection, arrival)) is not None:
        return taken
    met: Taken | Ambiguous | Missed | None
    if arrival.wait_id is None:
        keys, met = arrival.keys, _meet(connection, arrival, now)
    else:
        keys = ((DIRECT, arrival.wait_id.hex),)
        met = _meet_directly(connection, arrival, arrival.wait_id, now)
    if isinstance(met, Taken):
        news.add(met.wait.task_id)
    return met or keep_early(connection, arrival, keys, kept_until or now + arrival.patience, now)


def _taken(connection: Connection, arrival: Arrival) -> Taken | None:
    """What the event has resumed already."""
    row = connection.execute(_TAKEN, {"by_event": arrival.event_id}).first()
    return None if row is None else Taken(waits.wait_in(row))


_TAKEN = select(*waits.COLUMNS).where(table.c.event_id == bindparam("by_event"))


def _meet(connection: Connection, arrival: Arrival, now: datetime) -> Taken | Ambiguous | None:
    """Resume the run whose wait has one of the event's keys, if there is one."""
    candidates = _candidates(connection, arrival)
    if isinstance(candidates, Ambiguous):
        return candidates
    # Not claimed: it has timed out, or was cancelled, while this looked at it. That locks no mailbox.
    claimed = waits.claim(connection, candidates[0].id, arrival.event_id, now, _CLAIM) if candidates else None
    return Taken(claimed) if claimed else None


def _meet_directly(
    connection: Connection, arrival: Arrival, wait_id: UUID, now: datetime
) -> Taken | Missed | None:
    """Resume the run of that wait; None: it may yet come to wait."""
    claimed = waits.claim(connection, wait_id, arrival.event_id, now, _CLAIM)
    if claimed is not None:
        return Taken(claimed)
    wait = waits.get(connection, wait_id)
    # Without its having ended: the run has failed, and may be retried.
    if wait is None or (wait.status in _MAY_OPEN and arrival.may_be_early):
        return None
    return Missed(_MISSED[wait.status])


def _candidates(connection: Connection, arrival: Arrival) -> list[Wait] | Ambiguous:
    """The only wait that can be meant, if there is one."""
    found: list[Wait] = []
    for rule, key in arrival.keys:
        if rule == KEYLESS and (several := several_runs(connection, arrival.workflow_id)):
            return Ambiguous(tuple(several))
        given = {"workflow": arrival.workflow, "node_id": arrival.node_id, "rule": rule, "key": key}
        found += map(waits.wait_in, connection.execute(_OPEN_BY_KEY, given))
    return found if len(found) < 2 else Ambiguous(tuple({wait.run_id: None for wait in found}))


_OPEN_BY_KEY = (
    select(*waits.COLUMNS)
    .where(
        table.c.workflow == bindparam("workflow"),
        table.c.node_id == bindparam("node_id"),
        table.c.rule == bindparam("rule"),
        table.c.key == bindparam("key"),
        OPEN,
        _IS_OF_LIVING,
    )
    .order_by(table.c.id)
    .limit(SHOWN)
)
