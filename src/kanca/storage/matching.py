"""Matching waits of runs with the events that they wait for. Whoever matches locks their mailbox first.

A mailbox is where waits and events of one rule and key at one node meet. An event that looks for a wait and a wait that
looks for an event could otherwise both look in vain and both commit. The lock is a name, not a row: it costs no write,
and leaves nothing to clean up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, insert, or_, select, update

from kanca.domain.status import WaitStatus
from kanca.domain.task import NewTask, RunChange, Task, TaskState
from kanca.domain.wait import Wait
from kanca.storage import waits
from kanca.storage.dialects.locking import lock_names
from kanca.storage.new_tasks import add_tasks
from kanca.storage.signals import signal
from kanca.storage.tables import OPEN, UNFINISHED, early_events, runs, tasks
from kanca.storage.tables import waits as table

DIRECT = "@"
"""The rule of events that name one wait."""
KEYLESS = ""
"""The rule, and the key, of nodes that have no keys."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A run wants to wait."""

    task: Task
    """Of the run, as it was claimed."""
    wait_id: UUID
    run_id: UUID
    workflow: int
    workflow_id: str
    node_id: str
    iteration: int
    rule: str
    key: str
    timeout: timedelta
    not_before: datetime | None = None
    """Events that were received before are for other runs. Matters where there are no keys."""
    child: tuple[RunChange, NewTask] | None = None
    """The run that is waited for, begun in the same transaction."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event looks for the run that waits for it."""

    event_id: UUID
    task_id: int
    """Of the event's work."""
    workflow: int
    workflow_id: str
    node_id: str
    keys: tuple[tuple[str, str], ...]
    """``(rule, key)``, by every rule that a run may wait by."""
    received_at: datetime
    patience: timedelta
    """How long it is kept for a run that does not wait yet."""
    wait_id: UUID | None = None
    """The one wait that it is for."""
    may_be_early: bool = True
    """Whether a run could still come to wait for it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The event has resumed a run."""

    wait: Wait


@dataclass(frozen=True, slots=True)
class Early:
    """No run waits for the event yet: it is kept until then."""

    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several runs could be meant."""

    run_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Missed:
    """No run takes the event any more."""

    reason: str


Arrived = Taken | Early | Ambiguous | Missed

NO_WAIT = "no_wait"
ALREADY_RESUMED = "already_resumed"
WAIT_TIMED_OUT = "wait_timed_out"
WAIT_CANCELLED = "wait_cancelled"
_MISSED = {
    WaitStatus.CLAIMED: ALREADY_RESUMED,
    WaitStatus.TIMED_OUT: WAIT_TIMED_OUT,
    WaitStatus.CANCELLED: WAIT_CANCELLED,
}


def match(connection: Connection, batch: Sequence[Opening | Arrival], now: datetime) -> list[Any]:
    """Let runs wait and events resume them, one after the other, in one transaction.

    For an opening: its wait as it is now (``claimed`` when its event was there already), or None when the run is over,
    or no longer this worker's. For an arrival: what became of it. Doing either again gives the same answer.
    """
    lock_names(connection, (name for each in batch for name in _mailboxes(each)))
    return [
        _open(connection, each, now) if isinstance(each, Opening) else _arrive(connection, each, now)
        for each in batch
    ]


def mailbox(workflow: int, node_id: str, rule: str, key: str) -> str:
    """The name of where waits and events meet."""
    return f"{workflow}\x00{node_id}\x00{rule}\x00{key}"


def _mailboxes(each: Opening | Arrival) -> Iterable[str]:
    keys = ((each.rule, each.key),) if isinstance(each, Opening) else each.keys
    for rule, key in keys:
        yield mailbox(each.workflow, each.node_id, rule, key)
    if each.wait_id is not None:
        yield each.wait_id.hex


def _open(connection: Connection, opening: Opening, now: datetime) -> Wait | None:
    before = waits.get(connection, opening.wait_id)
    if before is not None and before.status is not WaitStatus.CANCELLED:
        return before
    if not _may_wait(connection, opening):
        return None
    early = _early_for(connection, opening, now)
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
        _forget_early(connection, early.event_id)
        signal(connection, tasks.c.id == early.task_id, now)
    if opening.child is not None:
        run, task = opening.child
        connection.execute(insert(runs).values(asdict(run)))
        add_tasks(connection, [task], now)
    return wait


def _may_wait(connection: Connection, opening: Opening) -> bool:
    """Whether the run is not over, nobody wants it to be, and it is still this worker's."""
    task = opening.task
    run = connection.execute(
        select(runs.c.status, runs.c.cancel_requested_at).where(runs.c.id == opening.run_id).with_for_update()
    ).one_or_none()
    if run is None or run.status not in waits.UNFINISHED_RUNS or run.cancel_requested_at is not None:
        return False
    is_held = select(tasks.c.id).where(
        tasks.c.id == task.id, tasks.c.fence == task.fence, tasks.c.state == TaskState.RUNNING
    )
    return connection.scalar(is_held) is not None


def _early_for(connection: Connection, opening: Opening, now: datetime) -> Any:
    """The oldest event that came before its wait."""
    early = early_events.c
    is_here = (early.workflow == opening.workflow) & (early.node_id == opening.node_id)
    by_key = (early.rule == opening.rule) & (early.key == opening.key)
    if opening.not_before is not None:
        by_key &= early.received_at >= opening.not_before
    directly = (early.rule == DIRECT) & (early.key == opening.wait_id.hex)
    query = (
        select(early.event_id, early.rule, early.task_id)
        .where(is_here, or_(by_key, directly), early.expires_at > now)
        .order_by(early.event_id)
        .limit(1)
    )
    found: Any = connection.execute(query).one_or_none()
    if found is None or found.rule != KEYLESS or not _several_runs(connection, opening.workflow_id):
        return found
    # Another run has begun since the event came: it has to look again, and will find that it is ambiguous.
    signal(connection, tasks.c.id == found.task_id, now)
    return None


def _arrive(connection: Connection, arrival: Arrival, now: datetime) -> Arrived:
    taken = connection.execute(select(*waits.COLUMNS).where(table.c.event_id == arrival.event_id)).first()
    if taken is not None:
        return Taken(waits.wait_in(taken))
    if arrival.wait_id is not None:
        return _arrive_directly(connection, arrival, arrival.wait_id, now)
    candidates = _candidates(connection, arrival)
    if isinstance(candidates, Ambiguous):
        _forget_early(connection, arrival.event_id)
        return candidates
    if candidates:
        return _take(connection, candidates[0], arrival, now)
    return _keep_early(connection, arrival, arrival.keys, now)


def _arrive_directly(connection: Connection, arrival: Arrival, wait_id: UUID, now: datetime) -> Arrived:
    wait = waits.get(connection, wait_id)
    if wait is None:
        return _keep_early(connection, arrival, ((DIRECT, wait_id.hex),), now)
    run_goes_on = connection.scalar(
        select(runs.c.id).where(runs.c.id == wait.run_id, runs.c.status.in_(waits.UNFINISHED_RUNS))
    )
    if wait.status is WaitStatus.OPEN and run_goes_on is not None:
        return _take(connection, wait, arrival, now)
    if wait.status in {WaitStatus.OPEN, WaitStatus.CANCELLED} and arrival.may_be_early:
        # The run has failed, and may be retried.
        return _keep_early(connection, arrival, ((DIRECT, wait_id.hex),), now)
    return Missed(_MISSED.get(wait.status, WAIT_CANCELLED))


def _candidates(connection: Connection, arrival: Arrival) -> list[Wait] | Ambiguous:
    """The only wait that can be meant, if there is one."""
    found: list[Wait] = []
    for rule, key in arrival.keys:
        if rule == KEYLESS and (several := _several_runs(connection, arrival.workflow_id)):
            return Ambiguous(tuple(several))
        query = select(*waits.COLUMNS).where(
            table.c.workflow == arrival.workflow,
            table.c.node_id == arrival.node_id,
            table.c.rule == rule,
            table.c.key == key,
            OPEN,
            # Of a run that died with its worker, waits stay open: what comes is kept for its retry.
            _RUN_GOES_ON,
        )
        found += map(waits.wait_in, connection.execute(query.order_by(table.c.id).limit(_SHOWN)))
    return found if len(found) < 2 else Ambiguous(tuple({wait.run_id: None for wait in found}))


_RUN_GOES_ON = (
    select(runs.c.id).where(runs.c.id == table.c.run_id, runs.c.status.in_(waits.UNFINISHED_RUNS)).exists()
)
_SHOWN = 10
"""Runs that an ambiguous event names."""


def _several_runs(connection: Connection, workflow_id: str) -> Sequence[UUID]:
    """Some unfinished runs of a workflow when there are several; else nothing."""
    query = select(runs.c.id).where(runs.c.workflow_id == workflow_id, UNFINISHED).limit(_SHOWN)
    found = connection.scalars(query).all()
    return found if len(found) > 1 else ()


def _take(connection: Connection, wait: Wait, arrival: Arrival, now: datetime) -> Arrived:
    claimed = waits.claim(connection, wait.id, arrival.event_id, now)
    if claimed is None:
        # It has timed out, or was cancelled, while this looked at it: that locks no mailbox.
        keys = arrival.keys or ((DIRECT, wait.id.hex),)
        return _keep_early(connection, arrival, keys, now)
    _forget_early(connection, arrival.event_id)
    return Taken(claimed)


def _keep_early(
    connection: Connection, arrival: Arrival, keys: Iterable[tuple[str, str]], now: datetime
) -> Arrived:
    expires_at = connection.scalar(
        select(early_events.c.expires_at).where(early_events.c.event_id == arrival.event_id).limit(1)
    )
    if not arrival.may_be_early or (expires_at is not None and expires_at <= now):
        _forget_early(connection, arrival.event_id)
        return Missed(NO_WAIT)
    _forget_early(connection, arrival.event_id)
    expires_at = expires_at or now + arrival.patience
    rows = [
        {
            "event_id": arrival.event_id,
            "rule": rule,
            "key": key,
            "workflow": arrival.workflow,
            "node_id": arrival.node_id,
            "task_id": arrival.task_id,
            "received_at": arrival.received_at,
            "expires_at": expires_at,
        }
        for rule, key in dict(keys).items()
    ]
    connection.execute(insert(early_events), rows)
    return Early(expires_at)


def _forget_early(connection: Connection, event_id: UUID) -> None:
    connection.execute(delete(early_events).where(early_events.c.event_id == event_id))
