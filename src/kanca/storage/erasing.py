"""Erasing a tenant: everything that came, was done or was sent under its label, a portion in each transaction.

What it configured goes last, and only where it is asked for; names and secrets in it go too, its numbers stay taken.
Work under way is not waited for: its task is deleted, so that nothing that a worker says of it is written any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Table, and_, delete, func, or_, select, update

from kanca.domain.ids import id_at, time_of
from kanca.domain.job import Job, Portion
from kanca.domain.status import EventStatus
from kanca.domain.task import TaskKind
from kanca.storage import feed, redelivering
from kanca.storage.erasing_config import configured, remove_configured
from kanca.storage.events import CLOCKS_DIFFER_BY, padded, statuses_of
from kanca.storage.expunging import copies_of, take_from_runs
from kanca.storage.owners import is_run_of
from kanca.storage.tables import (
    answers,
    attempts,
    dead_letters,
    deliveries,
    early_events,
    endpoints,
    event_fields,
    events,
    notices,
    outcomes,
    payloads_in_use,
    rejections,
    replays,
    run_slots,
    runs,
    steps,
    tasks,
    waits,
    workflows,
)

LOOKED_AT = 2_000
"""Events of any tenant that one portion looks at."""
ERASED = 50
"""Events, or runs, that one portion erases at most: so few that nobody who accepts waits long for it."""
WITH_CONFIGURATION = "configuration"

Counts = Mapping[str, int]
Stage = Callable[[Connection, Job, datetime], tuple[Counts, Any]]
"""Does some of the stage, and gives what it did and the position at which it goes on; None: it is over."""


def count_events(connection: Connection, tenant: str) -> int:
    """Count the tenant's events. Reads the heads of all events."""
    query = select(func.count()).select_from(events).where(events.c.tenant == tenant)
    return connection.scalar(query) or 0


def count_all(connection: Connection, tenant: str, *, configuration: bool) -> Counts:
    """What an erasure would find now."""
    letters = select(func.count()).select_from(dead_letters).where(dead_letters.c.tenant == tenant)
    counts: dict[str, int] = {
        "events": count_events(connection, tenant),
        "dead_letters": connection.scalar(letters) or 0,
    }
    return {**counts, **(configured(connection, tenant) if configuration else {})}


def erase_portion(connection: Connection, job: Job, now: datetime) -> Portion:
    """Erase some of a tenant: what came before the job was asked for; with its configuration, also what came since."""
    stages = list(_STAGES)
    name = job.state.get("stage", stages[0])
    counts, position = _STAGES[name](connection, job, now)
    if position is not None:
        return Portion(counts, {"stage": name, "position": position}, is_last=False)
    following = stages[stages.index(name) + 1 :]
    if not following:
        return Portion(counts, {}, is_last=True)
    return Portion(counts, {"stage": following[0]}, is_last=False)


def erase_events(connection: Connection, event_ids: Collection[UUID], now: datetime) -> Counts:
    """Delete events with all that is known of them, whether their work has ended or not."""
    if not event_ids:
        return {}
    redelivering.lock(connection)
    copies = copies_of(connection, event_ids)
    # A run that another event started stays, without what it was told.
    own = _started_by(connection, copies.runs, event_ids)
    take_from_runs(connection, frozenset(copies.runs.keys() - own), now)
    if EventStatus.PENDING in statuses_of(connection, event_ids).values():
        connection.execute(delete(tasks).where(tasks.c.ref.in_(padded(event_ids))))
    else:
        is_delivery = tasks.c.kind == TaskKind.DELIVER
        connection.execute(delete(tasks).where(is_delivery, tasks.c.ref.in_(padded(event_ids))))
    counts = Counter(erase_runs(connection, own))
    for name, table in (
        ("deliveries", deliveries),
        ("outcomes", outcomes),
        ("dead_letters", dead_letters),
        ("answers", answers),
        ("early_events", early_events),
        ("fields", event_fields),
        ("payloads_in_use", payloads_in_use),
    ):
        gone = _delete_of(connection, table, event_ids)
        if name in {"deliveries", "dead_letters"}:
            counts[name] += gone
    since = id_at(time_of(min(event_ids)) - CLOCKS_DIFFER_BY)
    theirs = attempts.c.event_id.in_(padded(event_ids))
    connection.execute(delete(attempts).where(theirs, attempts.c.id >= since))
    connection.execute(update(waits).where(waits.c.event_id.in_(padded(event_ids))).values(key=""))
    bounds = events.c.id.between(min(event_ids), max(event_ids))
    feed.forget(connection, event_ids)
    erased = connection.execute(delete(events).where(events.c.id.in_(padded(event_ids)), bounds))
    counts["events"] += erased.rowcount
    return counts


def erase_runs(connection: Connection, run_ids: Collection[UUID]) -> Counts:
    """Delete runs with their steps, waits and turns, whether they have ended or not."""
    if not run_ids:
        return {}
    these = padded(run_ids)
    first, last = min(run_ids).int >> 80, max(run_ids).int >> 80
    of_runs = and_(
        steps.c.run_id.in_(these),
        steps.c.id >= UUID(int=first << 80),
        steps.c.id < UUID(int=(last + 1) << 80),
    )
    since = id_at(time_of(min(run_ids)) - CLOCKS_DIFFER_BY)
    calls = attempts.c.call_id.in_(select(steps.c.id).where(of_runs))
    connection.execute(delete(attempts).where(calls, attempts.c.id >= since))
    connection.execute(delete(steps).where(of_runs))
    connection.execute(delete(waits).where(waits.c.run_id.in_(these)))
    connection.execute(delete(run_slots).where(run_slots.c.run_id.in_(these)))
    is_run = and_(dead_letters.c.kind == TaskKind.RUN, dead_letters.c.ref.in_(these))
    letters = connection.execute(delete(dead_letters).where(is_run)).rowcount
    of_tasks = tasks.c.kind.in_([TaskKind.RUN, TaskKind.RETURN]), tasks.c.ref.in_(these)
    connection.execute(delete(tasks).where(*of_tasks))
    gone = connection.execute(delete(runs).where(runs.c.id.in_(these))).rowcount
    return {"runs": gone, "dead_letters": letters}


def _erase_events(connection: Connection, job: Job, now: datetime) -> tuple[Counts, Any]:
    position = job.state.get("position")
    heads = select(events.c.id, events.c.tenant).where(events.c.id < id_at(job.created_at))
    if position is not None:
        heads = heads.where(events.c.id > UUID(hex=position))
    window = heads.order_by(events.c.id).limit(LOOKED_AT).subquery()
    query = select(window.c.id).where(window.c.tenant == job.tenant).order_by(window.c.id).limit(ERASED)
    theirs = list(connection.scalars(query))
    # Asked before they go: the window is what is there.
    following = theirs[-1] if len(theirs) == ERASED else _end_of(connection, heads)
    return erase_events(connection, theirs, now), None if following is None else following.hex


def _end_of(connection: Connection, heads: Select[Any]) -> UUID | None:
    """The last event of a window; None where it is the last one."""
    return connection.scalar(
        heads.with_only_columns(events.c.id).order_by(events.c.id).offset(LOOKED_AT - 1).limit(1)
    )


def _erase_runs(connection: Connection, job: Job, _now: datetime) -> tuple[Counts, Any]:
    """Those that no event started, by hand or by a schedule, and what is left of others.

    Not those of a workflow that had the same id before: it may have been another tenant's.
    """
    own = select(workflows.c.id).where(workflows.c.tenant == job.tenant)
    query = select(runs.c.id).where(
        runs.c.workflow_id.in_(own), is_run_of(job.tenant or ""), runs.c.id < id_at(job.created_at)
    )
    found = list(connection.scalars(query.limit(ERASED)))
    return erase_runs(connection, found), "" if len(found) == ERASED else None


def _erase_the_rest(connection: Connection, job: Job, _now: datetime) -> tuple[Counts, Any]:
    """What carries the label itself, or belongs to the tenant's endpoints."""
    tenant = job.tenant
    own = select(endpoints.c.number).where(endpoints.c.tenant == tenant)
    oldest = select(dead_letters.c.id).where(dead_letters.c.tenant == tenant).limit(ERASED)
    letters = connection.execute(delete(dead_letters).where(dead_letters.c.id.in_(oldest))).rowcount
    if letters == ERASED:
        return {"dead_letters": letters}, ""
    connection.execute(delete(rejections).where(rejections.c.endpoint.in_(own)))
    connection.execute(delete(notices).where(notices.c.tenant == tenant))
    connection.execute(delete(replays).where(replays.c.tenant == tenant, replays.c.finished_at.is_not(None)))
    return {"dead_letters": letters}, None


def _erase_configuration(connection: Connection, job: Job, now: datetime) -> tuple[Counts, Any]:
    if not job.wanted.get(WITH_CONFIGURATION) or job.tenant is None:
        return {}, None
    return remove_configured(connection, job.tenant, now), None


def _erase_late(connection: Connection, job: Job, now: datetime) -> tuple[Counts, Any]:
    """What came while the tenant's endpoints were still there."""
    if not job.wanted.get(WITH_CONFIGURATION):
        return {}, None
    query = select(events.c.id).where(events.c.tenant == job.tenant, events.c.id >= id_at(job.created_at))
    theirs = list(connection.scalars(query.order_by(events.c.id).limit(ERASED)))
    return erase_events(connection, theirs, now), "" if len(theirs) == ERASED else None


_STAGES: Mapping[str, Stage] = {
    "events": _erase_events,
    "runs": _erase_runs,
    "configuration": _erase_configuration,
    "late": _erase_late,
    "rest": _erase_the_rest,
}


def _started_by(
    connection: Connection, run_ids: Collection[UUID], event_ids: Collection[UUID]
) -> frozenset[UUID]:
    """Those of the runs that these events started, or a run of theirs."""
    if not run_ids:
        return frozenset()
    theirs = or_(runs.c.event_id.in_(padded(event_ids)), runs.c.parent_run_id.is_not(None))
    return frozenset(connection.scalars(select(runs.c.id).where(runs.c.id.in_(padded(run_ids)), theirs)))


def _delete_of(connection: Connection, table: Table, event_ids: Collection[UUID]) -> int:
    column = table.c.event_id
    # The bounds let PostgreSQL look only at the days in question.
    which = column.in_(padded(event_ids)), column.between(min(event_ids), max(event_ids))
    return connection.execute(delete(table).where(*which)).rowcount
