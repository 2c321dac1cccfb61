"""Events that came before their waits: kept, and given to the first that is opened for them. Under a mailbox's lock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, insert, or_, select

from kanca.storage.seeking import DIRECT, KEYLESS, NO_WAIT, Arrival, Early, Missed, Opening
from kanca.storage.tables import UNFINISHED, early_events, runs
from kanca.storage.types import EPOCH

SHOWN = 10
"""Runs that an ambiguous event names."""


def take_early(connection: Connection, opening: Opening, now: datetime, news: set[int]) -> Any:
    """The oldest event that came before its wait, and is kept no longer.

    ``news`` takes up the tasks of those that are to look again.
    """
    given = {
        "workflow": opening.workflow,
        "node_id": opening.node_id,
        "rule": opening.rule,
        "key": opening.key,
        "not_before": opening.not_before or EPOCH,
        "direct_key": opening.wait_id.hex,
        "now": now,
    }
    query = _FIRST_EARLY
    if opening.rule == KEYLESS and several_runs(connection, opening.workflow_id):
        # Another run has begun since they came: they have to look again, and will find that they are ambiguous.
        news.update(connection.scalars(_EARLY_BY_KEY, given))
        query = _FIRST_EARLY_DIRECTLY
    while (found := connection.execute(query, given).one_or_none()) is not None:
        if forget_early(connection, found.event_id) is not None:
            return found
        # It looked again itself meanwhile, with the keys of another version.
    return None


_EARLY = early_events.c
_IS_HERE = (
    (_EARLY.workflow == bindparam("workflow"))
    & (_EARLY.node_id == bindparam("node_id"))
    & (_EARLY.expires_at > bindparam("now"))
)
_BY_KEY = (
    _IS_HERE
    & (_EARLY.rule == bindparam("rule"))
    & (_EARLY.key == bindparam("key"))
    & (_EARLY.received_at >= bindparam("not_before"))
)
_DIRECTLY = _IS_HERE & (_EARLY.rule == DIRECT) & (_EARLY.key == bindparam("direct_key"))
_OLDEST = select(_EARLY.event_id, _EARLY.task_id).order_by(_EARLY.event_id).limit(1)
_EARLY_BY_KEY = select(_EARLY.task_id).where(_BY_KEY)
_FIRST_EARLY = _OLDEST.where(or_(_BY_KEY, _DIRECTLY))
_FIRST_EARLY_DIRECTLY = _OLDEST.where(_DIRECTLY)


def keep_early(
    connection: Connection,
    arrival: Arrival,
    keys: Iterable[tuple[str, str]],
    expires_at: datetime,
    now: datetime,
) -> Early | Missed:
    """Keep an event for a run that may come to wait for it, if one may."""
    if not arrival.may_be_early or expires_at <= now:
        return Missed(NO_WAIT)
    rows = [
        {
            "event_id": arrival.event_id,
            "rule": rule,
            "key": key,
            "workflow": arrival.workflow,
            "node_id": arrival.node_id,
            "task_id": arrival.task.id,
            "received_at": arrival.received_at,
            "expires_at": expires_at,
        }
        for rule, key in dict(keys).items()
    ]
    connection.execute(insert(early_events), rows)
    return Early(expires_at)


def forget_early(connection: Connection, event_id: UUID) -> datetime | None:
    """Keep an event no longer; gives until when it was to be kept, None when it was not (any more)."""
    return min(connection.scalars(_FORGET, {"of_event": event_id}), default=None)


_FORGET = (
    delete(early_events)
    .where(early_events.c.event_id == bindparam("of_event"))
    .returning(early_events.c.expires_at)
)


def several_runs(connection: Connection, workflow_id: str) -> Sequence[UUID]:
    """Some unfinished runs of a workflow when there are several; else nothing."""
    # In the order of the index, so that it is used: all runs would be read for ten, where few are unfinished.
    query = select(runs.c.id).where(runs.c.workflow_id == workflow_id, UNFINISHED).order_by(runs.c.version)
    query = query.limit(SHOWN)
    found = connection.scalars(query).all()
    return found if len(found) > 1 else ()
