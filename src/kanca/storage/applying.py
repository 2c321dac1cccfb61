"""Events that a person brings to a wait: they came late, are kept for another run, or could have meant several."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, select, update

from kanca.domain.status import OutcomeStatus
from kanca.domain.task import DeadLetter, Outcome, TaskKind
from kanca.domain.wait import Wait
from kanca.storage import dead_letters, events, waits
from kanca.storage.dialects.locking import lock_names
from kanca.storage.matching import mailbox
from kanca.storage.signals import signal
from kanca.storage.tables import early_events, outcomes, tasks
from kanca.storage.tables import waits as table


def has_resumed(connection: Connection, event_id: UUID) -> bool:
    """Whether an event has resumed a run."""
    return connection.scalar(select(table.c.id).where(table.c.event_id == event_id).limit(1)) is not None


def apply(
    connection: Connection, wait: Wait, event_id: UUID, work: str, result: bytes, now: datetime
) -> bool | None:
    """Let an event end a wait that it has not found by itself, and let its ``work`` have succeeded with ``result``.

    False when the wait is over, None when the event is not free: it has resumed a run, its work is still looked at, or
    was something else than to resume one. Wake the workers once it has committed.
    """
    kept = _kept(connection, event_id)
    # Whoever looks for its wait locks these, too.
    names = [mailbox(row.workflow, row.node_id, row.rule, row.key) for row in kept]
    lock_names(connection, [*names, wait.id.hex, event_id.hex])
    if kept:
        kept = _kept(connection, event_id)
    outcome = next(
        (each for each in events.outcomes_of(connection, [event_id])[event_id] if each.work == work), None
    )
    is_free = not has_resumed(connection, event_id) and (
        any(row.workflow == wait.workflow for row in kept) or _may_succeed(connection, outcome)
    )
    if not is_free:
        return None
    if waits.claim(connection, wait.id, event_id, now) is None:
        return False
    if kept:
        connection.execute(delete(early_events).where(early_events.c.event_id == event_id))
    elif outcome is not None:
        _let_succeed(connection, outcome, wait, result, now)
    signal(connection, tasks.c.id.in_({wait.task_id, *(row.task_id for row in kept)}), now)
    return True


def _kept(connection: Connection, event_id: UUID) -> Sequence[Any]:
    return connection.execute(select(early_events).where(early_events.c.event_id == event_id)).all()


def _may_succeed(connection: Connection, outcome: Outcome | None) -> bool:
    """Whether the work of an event has ended without a run."""
    if outcome is None:
        return False
    if outcome.status is OutcomeStatus.DEAD:
        letter = _letter_of(connection, outcome)
        return letter is None or letter.kind is TaskKind.RESUME
    return outcome.status is OutcomeStatus.SKIPPED and outcome.ref is None


def _let_succeed(connection: Connection, outcome: Outcome, wait: Wait, result: bytes, now: datetime) -> None:
    letter = _letter_of(connection, outcome)
    if letter is not None:
        dead_letters.settle(connection, letter, now)
    connection.execute(
        update(outcomes)
        .where(outcomes.c.event_id == outcome.event_id, outcomes.c.work == outcome.work)
        .values(status=OutcomeStatus.SUCCEEDED, reason=None, result=result, finished_at=now, ref=wait.run_id)
    )


def _letter_of(connection: Connection, outcome: Outcome) -> DeadLetter | None:
    is_dead = outcome.status is OutcomeStatus.DEAD and outcome.ref is not None
    return dead_letters.get(connection, outcome.ref) if is_dead and outcome.ref else None
