"""Replays: jobs that make deliveries from stored events, some at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, update

from kanca.domain.delivery import Key, is_sent_again
from kanca.domain.ids import REPLAY, id_at, show_id
from kanca.domain.status import DeliveryStatus, OutcomeStatus, ReplayOnly, ReplayStatus
from kanca.domain.task import NewTask, Replay, TaskKind
from kanca.errors import ReplayNotFound, ReplayOver
from kanca.storage import redelivering
from kanca.storage.delivery_rows import IS_OPEN, NOT_DELIVERED
from kanca.storage.events import padded
from kanca.storage.expunging import expunged_among
from kanca.storage.new_tasks import add_tasks
from kanca.storage.pages import Page, check_limit, cursor_after, read_id_cursor
from kanca.storage.resending import AT_ONCE, send_again
from kanca.storage.tables import deliveries, events, outcomes, replays

GOES_ON = (ReplayStatus.PENDING, ReplayStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class EventHead:
    """What of an event says who wants it, but for filters."""

    id: UUID
    endpoint: int
    tenant: str
    type: str


@dataclass(frozen=True, slots=True)
class Portion:
    """What a replay does next."""

    keys: tuple[Key, ...]
    """The deliveries, in the order of their events."""
    position: UUID | None
    """The last event that was looked at; None: there was none."""
    is_last: bool


def create(connection: Connection, replay: Replay, now: datetime) -> None:
    """Store a replay with its task. Wake the workers once it has committed."""
    values = asdict(replay) | {"event_types": json.dumps(replay.event_types)}
    connection.execute(insert(replays).values(values))
    add_tasks(connection, [task_of(replay)], now)


def task_of(replay: Replay, due_at: datetime | None = None) -> NewTask:
    """The task of the next portion of a replay."""
    return NewTask(TaskKind.REPLAY, replay.id, replay.subscription or 0, due_at=due_at)


def get(connection: Connection, replay_id: UUID) -> Replay | None:
    """Give the replay with that id."""
    row = connection.execute(select(replays).where(replays.c.id == replay_id)).one_or_none()
    return None if row is None else _replay(row)


def page(
    connection: Connection, limit: int = 50, cursor: str | None = None, tenant: str | None = None
) -> Page[Replay]:
    """List replays, newest first. Raises InvalidInput for a wrong limit or cursor."""
    query = select(replays).order_by(replays.c.id.desc()).limit(check_limit(limit) + 1)
    if cursor is not None:
        query = query.where(replays.c.id < read_id_cursor(cursor))
    if tenant is not None:
        query = query.where(replays.c.tenant == tenant)
    found = [_replay(row) for row in connection.execute(query)]
    items = tuple(found[:limit])
    return Page(items, cursor_after(items[-1].id) if len(found) > limit else None)


def cancel(connection: Connection, replay_id: UUID, now: datetime, tenant: str | None = None) -> Replay:
    """End a replay; what it has queued stays queued. ``tenant``: it must be this one's.

    Raises ReplayOver, ReplayNotFound.
    """
    query = (
        update(replays)
        .where(replays.c.id == replay_id, replays.c.status.in_(GOES_ON))
        .values(status=ReplayStatus.CANCELLED, cancel_requested_at=now, finished_at=now)
    )
    if tenant is not None:
        query = query.where(replays.c.tenant == tenant)
    if not connection.execute(query).rowcount:
        found = get(connection, replay_id)
        if found is None or (tenant is not None and found.tenant != tenant):
            raise ReplayNotFound(f"There is no replay {show_id(REPLAY, replay_id)}")
        raise ReplayOver(f"The replay is over already: {found.status}")
    found = get(connection, replay_id)
    assert found is not None  # noqa: S101 - it was changed in this transaction; mypy does not know
    return found


def advance(connection: Connection, seen: Replay, portion: Portion, now: datetime) -> Replay | None:
    """Queue a portion of a replay, and give the replay as it is then; None when there is none.

    Nothing is done when the replay is no longer as it was ``seen``: somebody else has gone on with it, or ended it.
    What was opened or has ended otherwise since the portion was chosen is left out.
    """
    query = select(replays).where(replays.c.id == seen.id).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    current = _replay(row)
    if current.status not in GOES_ON or current.position != seen.position:
        return current
    keys = _still_wanted(connection, current.only, portion.keys)
    apart = timedelta(seconds=1 / current.rate_per_second) if current.rate_per_second else AT_ONCE
    send_again(connection, keys, now, replay=show_id(REPLAY, current.id), apart=apart)
    connection.execute(
        update(replays)
        .where(replays.c.id == current.id)
        .values(
            status=ReplayStatus.FINISHED if portion.is_last else ReplayStatus.RUNNING,
            position=portion.position or current.position,
            queued=current.queued + len(keys),
            started_at=current.started_at or now,
            finished_at=now if portion.is_last else None,
        )
    )
    return get(connection, current.id)


def events_after(connection: Connection, replay: Replay, limit: int) -> list[EventHead]:
    """Give the next events that a replay looks at, oldest first; fewer than ``limit`` at the end only.

    Where it is about what one subscription was not delivered, these are the events of its dead deliveries.
    """
    if replay.only is ReplayOnly.FAILED and replay.subscription is not None:
        return _heads(connection, _dead_after(connection, replay, replay.subscription, limit))
    query = select(events.c.id, events.c.endpoint, events.c.tenant, events.c.type)
    query = query.where(events.c.id < id_at(replay.until), *_after(replay, events.c.id))
    rows = connection.execute(query.order_by(events.c.id).limit(limit))
    return [EventHead(*row) for row in rows]


def dispatched_among(connection: Connection, event_ids: Sequence[UUID]) -> set[UUID]:
    """Give those of the events whose deliveries, if there are any, have been queued.

    An event that waits for its dispatch is sent to all that want it then: a replay would send it twice.
    """
    if not event_ids:
        return set()
    query = select(outcomes.c.event_id).where(
        outcomes.c.event_id.in_(padded(event_ids)),
        outcomes.c.event_id.between(min(event_ids), max(event_ids)),
        outcomes.c.works.is_not(None),
        outcomes.c.status != OutcomeStatus.ADDED,
    )
    return set(connection.scalars(query))


def sendable_among(connection: Connection, event_ids: Sequence[UUID]) -> set[UUID]:
    """Give those of the events whose payload is there."""
    return set(event_ids) - expunged_among(connection, event_ids)


def _still_wanted(connection: Connection, only: ReplayOnly, keys: Sequence[Key]) -> list[Key]:
    if not keys:
        return []
    redelivering.lock(connection)
    is_open = redelivering.open_among(connection, keys)
    ended = redelivering.statuses_among(connection, keys)
    gone = expunged_among(connection, {event_id for event_id, _ in keys})
    return [
        key
        for key in keys
        if key not in is_open and key[0] not in gone and is_sent_again(only, ended.get(key))
    ]


def _dead_after(connection: Connection, replay: Replay, number: int, limit: int) -> list[UUID]:
    each = deliveries.c
    query = (
        select(each.event_id)
        .where(
            each.subscription == number,
            NOT_DELIVERED,
            each.status == DeliveryStatus.DEAD,
            each.event_id < id_at(replay.until),
            *_after(replay, each.event_id),
            ~IS_OPEN,
        )
        .order_by(each.event_id)
        .limit(limit)
    )
    return list(connection.scalars(query))


def _heads(connection: Connection, event_ids: Sequence[UUID]) -> list[EventHead]:
    """The events with these ids; those that are gone too, as of no tenant and type, for they count as looked at."""
    if not event_ids:
        return []
    query = select(events.c.id, events.c.endpoint, events.c.tenant, events.c.type).where(
        events.c.id.in_(padded(event_ids)), events.c.id.between(min(event_ids), max(event_ids))
    )
    found = {row.id: EventHead(*row) for row in connection.execute(query)}
    return [found.get(each) or EventHead(each, 0, "", "") for each in event_ids]


def _after(replay: Replay, event_id: Any) -> list[Any]:
    if replay.position is not None:
        return [event_id > replay.position]
    return [event_id >= id_at(replay.since)]


def _replay(row: Row[Any]) -> Replay:
    return Replay(
        **row._asdict()
        | {
            "only": ReplayOnly(row.only),
            "status": ReplayStatus(row.status),
            "event_types": tuple(json.loads(row.event_types)),
        }
    )
