"""What became of many events at once, for those who watch them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from kanca.domain.status import EventStatus, OutcomeStatus
from kanca.domain.task import Attempt
from kanca.storage.events import NONE_ENDED, attempts_of, deliveries_beside, outcomes_of, status_of


@dataclass(frozen=True, slots=True)
class Ending:
    """How an event's work has ended."""

    event_id: UUID
    status: EventStatus
    ended_at: datetime | None
    reason: str | None
    """Why nothing was done for it, or why its work is dead."""
    error: bytes | None
    """The last error of work that is dead, as JSON."""


def endings(connection: Connection, event_ids: Collection[UUID]) -> dict[UUID, Ending]:
    """Give how the events ended of which no work is open."""
    ended = outcomes_of(connection, event_ids)
    delivered = deliveries_beside(connection, ended)
    statuses = {each: status_of(its, delivered.get(each, NONE_ENDED)) for each, its in ended.items()}
    dead = [each for each, status in statuses.items() if status is EventStatus.DEAD]
    failed = attempts_of(connection, dead)
    found = {}
    for event_id, status in statuses.items():
        if status is EventStatus.PENDING:
            continue
        its, beside = ended[event_id], delivered.get(event_id, NONE_ENDED)
        dead_work = {outcome.work for outcome in its if outcome.status is OutcomeStatus.DEAD}
        moments = [*(outcome.finished_at for outcome in its), beside.finished_at]
        found[event_id] = Ending(
            event_id,
            status,
            max((moment for moment in moments if moment), default=None),
            next((outcome.reason for outcome in its if outcome.reason), beside.reason),
            _last_error(failed.get(event_id, ()), dead_work),
        )
    return found


def _last_error(failed: Collection[Attempt], works: Collection[str]) -> bytes | None:
    errors = [attempt.error for attempt in failed if attempt.work in works]
    return errors[-1] if errors else None
