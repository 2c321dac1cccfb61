"""Taking payloads away: that there was an event, and what became of it, stays; what it said goes, with every copy.

Copies are what workers wrote down while they did its work: inputs and outputs of runs and steps, results, causes of
failures, answers of receivers, what senders were answered, bodies in dead letters, keys and fields. A run that several
events took part in loses all of it with the first of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, delete, func, or_, select, update

from kanca.domain.expunged import GONE, MARK, expunged_request
from kanca.domain.ids import id_at, time_of
from kanca.domain.status import UNFINISHED_RUNS, EventStatus
from kanca.domain.task import TaskKind
from kanca.storage import redelivering
from kanca.storage.delivery_rows import IS_DELIVERY
from kanca.storage.events import CLOCKS_DIFFER_BY, padded, statuses_of
from kanca.storage.tables import (
    answers,
    attempts,
    dead_letters,
    deliveries,
    early_events,
    event_fields,
    events,
    outcomes,
    run_slots,
    runs,
    steps,
    tasks,
    waits,
)

IS_EXPUNGED = func.substr(events.c.request, 1, len(MARK)) == MARK
_SET_REQUEST = (
    update(events)
    .where(events.c.id == bindparam("of_event"))
    .values(request=bindparam("new_request"), body=b"")
)


@dataclass(frozen=True, slots=True)
class Expunged:
    """What became of events whose payloads were to go."""

    gone: frozenset[UUID]
    """Their payloads have gone, now or before."""
    in_use: frozenset[UUID]
    """Their work has not ended: nothing was done."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Where copies of payloads may be, besides what the events themselves are named in."""

    runs: Mapping[UUID, frozenset[UUID]]
    """Runs that events started, or took part in, and those that these started; each with the events."""
    unfinished: frozenset[UUID]
    """Those of the events one of whose runs goes on."""
    starters: frozenset[UUID]
    """What started these runs."""


def expunge(connection: Connection, event_ids: Collection[UUID], now: datetime) -> Expunged:
    """Take the payloads of those of the events away whose work has ended."""
    if not event_ids:
        return Expunged(frozenset(), frozenset())
    # Nobody retries or resends meanwhile.
    redelivering.lock(connection)
    copies = copies_of(connection, event_ids)
    in_use = _pending(connection, event_ids) | copies.unfinished
    ended = frozenset(event_ids) - in_use
    if ended:
        theirs = frozenset(run_id for run_id, its in copies.runs.items() if its & ended)
        _take_away(connection, ended, now)
        take_from_runs(connection, theirs, now)
    return Expunged(ended, frozenset(in_use))


def expunged_among(connection: Connection, event_ids: Collection[UUID]) -> set[UUID]:
    """Give those of the events whose payloads were taken away."""
    if not event_ids:
        return set()
    query = select(events.c.id).where(*_these(events.c.id, event_ids), IS_EXPUNGED)
    return set(connection.scalars(query))


def copies_of(connection: Connection, event_ids: Collection[UUID]) -> Copies:
    """Find the runs that may hold copies of what these events say."""
    first, last = min(event_ids).int >> 80, max(event_ids).int >> 80
    # The id of a run that an event starts has the event's time in front.
    started = select(runs.c.id, runs.c.event_id, runs.c.status, runs.c.event_id.label("starter")).where(
        runs.c.event_id.in_(padded(event_ids)),
        runs.c.id >= UUID(int=first << 80),
        runs.c.id < UUID(int=(last + 1) << 80),
    )
    resumed = (
        select(runs.c.id, waits.c.event_id, runs.c.status, runs.c.event_id.label("starter"))
        .join_from(waits, runs, runs.c.id == waits.c.run_id)
        .where(waits.c.event_id.in_(padded(event_ids)))
    )
    found: dict[UUID, set[UUID]] = defaultdict(set)
    unfinished: set[UUID] = set()
    starters: set[UUID] = set()
    level: dict[UUID, set[UUID]] = defaultdict(set)
    for row in [*connection.execute(started), *connection.execute(resumed)]:
        level[row.id].add(row.event_id)
        starters |= {row.starter} - {None}
        unfinished |= {row.event_id} if row.status in UNFINISHED_RUNS else set()
    while level:
        for run_id, its in level.items():
            found[run_id] |= its
        below: dict[UUID, set[UUID]] = defaultdict(set)
        for row in _children(connection, list(level)):
            if row.id not in found:
                below[row.id] |= level[row.parent]
            unfinished |= level[row.parent] if row.status in UNFINISHED_RUNS else set()
        level = below
    return Copies(
        {run_id: frozenset(its) for run_id, its in found.items()},
        frozenset(unfinished),
        frozenset(starters),
    )


def _children(connection: Connection, run_ids: Collection[UUID]) -> Collection[Any]:
    query = (
        select(runs.c.id, waits.c.run_id.label("parent"), runs.c.status)
        .join_from(waits, runs, runs.c.id == waits.c.child_run_id)
        .where(waits.c.run_id.in_(padded(run_ids)))
    )
    return connection.execute(query).all()


def _pending(connection: Connection, event_ids: Collection[UUID]) -> set[UUID]:
    """Those of the events that have open work; a delivery may be resent although all work has ended."""
    statuses = statuses_of(connection, event_ids)
    resent = select(tasks.c.ref).where(IS_DELIVERY, tasks.c.ref.in_(padded(event_ids)))
    # What is no event any more has no outcomes either, and nothing is open of it.
    there = set(connection.scalars(select(events.c.id).where(*_these(events.c.id, event_ids))))
    pending = {event_id for event_id, status in statuses.items() if status is EventStatus.PENDING}
    return (pending & there) | set(connection.scalars(resent))


def _take_away(connection: Connection, event_ids: frozenset[UUID], now: datetime) -> None:
    """Take away what the events say, and what is found by their ids."""
    stored = select(events.c.id, events.c.request).where(*_these(events.c.id, event_ids), ~IS_EXPUNGED)
    changed = [
        {"of_event": row.id, "new_request": expunged_request(row.request, now)}
        for row in connection.execute(stored)
    ]
    if changed:
        connection.execute(_SET_REQUEST, changed)
    _take_results(connection, event_ids)
    since = id_at(time_of(min(event_ids)) - CLOCKS_DIFFER_BY)
    theirs = attempts.c.event_id.in_(padded(event_ids))
    connection.execute(update(attempts).where(theirs, attempts.c.id >= since).values(error=GONE))
    connection.execute(
        update(deliveries).where(*_these(deliveries.c.event_id, event_ids)).values(attempt=None)
    )
    _take_letters(connection, dead_letters.c.event_id.in_(padded(event_ids)), now)
    connection.execute(delete(event_fields).where(*_these(event_fields.c.event_id, event_ids)))
    connection.execute(delete(early_events).where(early_events.c.event_id.in_(padded(event_ids))))
    connection.execute(update(waits).where(waits.c.event_id.in_(padded(event_ids))).values(key=""))


def take_from_runs(connection: Connection, run_ids: frozenset[UUID], now: datetime) -> None:
    """Take away what runs were given, what they made of it, and what came of it for the events that started them."""
    if not run_ids:
        return
    these = padded(run_ids)
    starters = set(connection.scalars(select(runs.c.event_id).where(runs.c.id.in_(these)))) - {None}
    connection.execute(
        update(runs)
        .where(runs.c.id.in_(these))
        .values(input=GONE, output=_gone(runs.c.output), error=_gone(runs.c.error))
    )
    first, last = min(run_ids).int >> 80, max(run_ids).int >> 80
    of_runs = and_(
        steps.c.run_id.in_(these),
        # Ids of steps have the time of their run in front: this finds the partitions.
        steps.c.id >= UUID(int=first << 80),
        steps.c.id < UUID(int=(last + 1) << 80),
    )
    made = {name: _gone(steps.c[name]) for name in ("input", "output", "error")}
    connection.execute(update(steps).where(of_runs).values(**made))
    since = id_at(time_of(min(run_ids)) - CLOCKS_DIFFER_BY)
    calls = attempts.c.call_id.in_(select(steps.c.id).where(of_runs))
    connection.execute(update(attempts).where(calls, attempts.c.id >= since).values(error=GONE))
    connection.execute(update(waits).where(waits.c.run_id.in_(these)).values(key=""))
    connection.execute(update(run_slots).where(run_slots.c.run_id.in_(these)).values(key=""))
    # Letters are found by their events; those of runs that no event started have none.
    of_starters = or_(dead_letters.c.event_id.in_(padded(starters)), dead_letters.c.event_id.is_(None))
    is_run = and_(dead_letters.c.kind == TaskKind.RUN, dead_letters.c.ref.in_(these))
    _take_letters(connection, and_(of_starters, is_run), now)
    if starters:
        _take_results(connection, starters)


def _take_results(connection: Connection, event_ids: Collection[UUID]) -> None:
    """Take away what came of the events' work, and what their senders were answered."""
    connection.execute(
        update(outcomes)
        .where(*_these(outcomes.c.event_id, event_ids), outcomes.c.result.is_not(None))
        .values(result=None)
    )
    connection.execute(delete(answers).where(answers.c.event_id.in_(padded(event_ids))))


def _take_letters(connection: Connection, which: ColumnElement[bool], now: datetime) -> None:
    connection.execute(
        update(dead_letters)
        .where(which, dead_letters.c.expunged_at.is_(None))
        .values(body=b"", error=GONE, detail=None, order_key=None, expunged_at=now)
    )


def _gone(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The mark in the place of what was there."""
    return case((column.is_not(None), GONE), else_=None)


def _these(column: ColumnElement[UUID], event_ids: Collection[UUID]) -> list[ColumnElement[bool]]:
    # The bounds let PostgreSQL look only at the days in question.
    return [column.in_(padded(event_ids)), column.between(min(event_ids), max(event_ids))]
