"""Dead letters: work that is out of attempts, and its way back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)

from kanca.domain.delivery import Key
from kanca.domain.ids import id_at as first_id_at
from kanca.domain.ids import time_of
from kanca.domain.status import OutcomeStatus, RunStatus
from kanca.domain.task import Attempt, DeadLetter, NewTask, RunChange, TaskKind
from kanca.errors import EventGone, PayloadExpunged
from kanca.storage import redelivering, statistics, waits
from kanca.storage.delivery_details import read_detail
from kanca.storage.dialects.searching import bytes_contain
from kanca.storage.events import CLOCKS_DIFFER_BY, padded
from kanca.storage.new_tasks import add_tasks
from kanca.storage.pages import Page, check_limit, cursor_after, read_id_cursor
from kanca.storage.statistics import Counted
from kanca.storage.tables import attempts, dead_letters, events, outcomes, runs

PAGE_SIZE = 100
RETRIED = "retried"
"""The writer, in statistics, of what is dead no more."""
_ATTEMPT = [attempts.c[field.name] for field in fields(Attempt)]
_COLUMNS = [dead_letters.c[field.name] for field in fields(DeadLetter)]


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters; what is None does not matter."""

    tenant: str | None = None
    endpoint: int | None = None
    event_type: str | None = None
    kinds: tuple[TaskKind, ...] = ()
    """Empty: all."""
    work: str | None = None
    code: str | None = None
    text: str | None = None
    """Somewhere in the cause."""
    event_id: UUID | None = None
    since: datetime | None = None
    """Failed at or after."""
    until: datetime | None = None
    """Failed before."""


ALL = DeadLetterFilter()
_HAS_EVENT = or_(
    dead_letters.c.event_id.is_(None),
    exists(select(events.c.id).where(events.c.id == dead_letters.c.event_id)),
)
_HAS_RUN = or_(
    dead_letters.c.kind != TaskKind.RUN, exists(select(runs.c.id).where(runs.c.id == dead_letters.c.ref))
)
MAY_BE_RETRIED = and_(dead_letters.c.expunged_at.is_(None), _HAS_EVENT, _HAS_RUN)
"""There is all that it takes: letters may be kept for longer than what they are about."""


def page(
    connection: Connection,
    wanted: DeadLetterFilter = ALL,
    limit: int = PAGE_SIZE,
    cursor: str | None = None,
) -> Page[DeadLetter]:
    """List dead letters, oldest first. Raises InvalidInput for a wrong limit or cursor."""
    query = _select(connection, wanted).order_by(dead_letters.c.id).limit(check_limit(limit) + 1)
    if cursor is not None:
        query = query.where(dead_letters.c.id > read_id_cursor(cursor))
    letters = [_letter(row) for row in connection.execute(query)]
    items = tuple(letters[:limit])
    return Page(items, cursor_after(items[-1].id) if len(letters) > limit else None)


def count(connection: Connection, wanted: DeadLetterFilter = ALL) -> int:
    """Count dead letters. They are exceptions, few beside the events, so that counting them is affordable."""
    query = select(func.count()).select_from(dead_letters).where(*_conditions(connection, wanted))
    return connection.scalar(query) or 0


def count_retried(connection: Connection, wanted: DeadLetterFilter = ALL) -> int:
    """Count those that ``retry_some`` would give back, time after time."""
    query = (
        select(func.count()).select_from(dead_letters).where(*_conditions(connection, wanted), MAY_BE_RETRIED)
    )
    return connection.scalar(query) or 0


def get(connection: Connection, letter_id: UUID) -> DeadLetter | None:
    """Give the dead letter with that id."""
    row = connection.execute(select(*_COLUMNS).where(dead_letters.c.id == letter_id)).one_or_none()
    return None if row is None else _letter(row)


def attempts_of(connection: Connection, letter: DeadLetter) -> tuple[Attempt, ...]:
    """Give the stored attempts of a letter's work that failed, the oldest first."""
    if letter.event_id is None:
        return ()
    its = attempts.c.event_id == letter.event_id, attempts.c.work == letter.work
    since = attempts.c.id >= first_id_at(time_of(letter.event_id) - CLOCKS_DIFFER_BY)
    query = select(*_ATTEMPT).where(*its, since).order_by(attempts.c.id)
    return tuple(Attempt(**row._asdict()) for row in connection.execute(query))


def of_run(connection: Connection, run: RunChange) -> DeadLetter | None:
    """Give the dead letter of a run that has failed."""
    query = select(*_COLUMNS).where(dead_letters.c.ref == run.id, dead_letters.c.kind == TaskKind.RUN)
    if run.event_id is not None:
        # Finds the index.
        query = query.where(dead_letters.c.event_id == run.event_id)
    row = connection.execute(query.limit(1)).one_or_none()
    return None if row is None else _letter(row)


def id_at(connection: Connection, position: int) -> UUID | None:
    """Give the id of the dead letter at a position, 0 being the oldest. Positions shift as letters come and go."""
    return connection.scalar(select(dead_letters.c.id).order_by(dead_letters.c.id).offset(position).limit(1))


def retry(connection: Connection, letter_id: UUID, now: datetime) -> bool:
    """Give the work of one dead letter back to the queue, with all its attempts; False when there is no such letter.

    Raises PayloadExpunged, and EventGone where the letter is kept for longer than its event.
    """
    if _retry(connection, dead_letters.c.id == letter_id, now):
        return True
    left = get(connection, letter_id)
    if left is None:
        return False
    if left.expunged_at is not None:
        raise PayloadExpunged("The payload of this dead letter was expunged: there is nothing to retry")
    raise EventGone


def retry_some(connection: Connection, wanted: DeadLetterFilter, now: datetime, limit: int = 500) -> int:
    """Give the work of the oldest ``limit`` of these dead letters back to the queue; gives how many there were.

    For all of them, repeat (each time in a transaction of its own) with ``until`` set, so that it ends although retried
    work may die again.
    """
    ids = connection.scalars(
        select(dead_letters.c.id)
        .where(*_conditions(connection, wanted), MAY_BE_RETRIED)
        .order_by(dead_letters.c.id)
        .limit(limit)
    ).all()
    return _retry(connection, dead_letters.c.id.in_(ids), now) if ids else 0


def is_any_left(connection: Connection, wanted: DeadLetterFilter, *, to_retry: bool) -> bool:
    """Whether there are such letters; ``to_retry``: that can be retried.

    A portion that was not full says nothing of that: somebody else may have had some of its letters meanwhile.
    """
    conditions = [*_conditions(connection, wanted), *([MAY_BE_RETRIED] if to_retry else [])]
    return connection.execute(select(dead_letters.c.id).where(*conditions).limit(1)).first() is not None


def remove_some(connection: Connection, wanted: DeadLetterFilter, limit: int = 500) -> int:
    """Delete the oldest ``limit`` of these dead letters: their work stays dead. Gives how many there were."""
    oldest = (
        select(dead_letters.c.id)
        .where(*_conditions(connection, wanted))
        .order_by(dead_letters.c.id)
        .limit(limit)
    )
    return connection.execute(delete(dead_letters).where(dead_letters.c.id.in_(oldest))).rowcount


def remove_old(connection: Connection, before: datetime, limit: int = 500) -> int:
    """Delete the oldest ``limit`` of the letters that were written before that moment; gives how many there were."""
    oldest = select(dead_letters.c.id).where(dead_letters.c.id < first_id_at(before))
    oldest = oldest.order_by(dead_letters.c.id).limit(limit)
    return connection.execute(delete(dead_letters).where(dead_letters.c.id.in_(oldest))).rowcount


def remove(connection: Connection, letter_id: UUID) -> bool:
    """Delete a dead letter: its work stays dead. False when there is no such letter."""
    return bool(connection.execute(delete(dead_letters).where(dead_letters.c.id == letter_id)).rowcount)


def reopen_outcome(connection: Connection, event_id: UUID, work: str) -> None:
    """Make an event pending again, however this piece of its work has ended."""
    _reopen(connection, (outcomes.c.event_id == event_id, outcomes.c.work == work))


def settle(connection: Connection, letter: DeadLetter, now: datetime) -> bool:
    """Take a dead letter away without doing its work again; False when somebody else has."""
    is_gone = remove(connection, letter.id)
    if is_gone:
        _take_off(connection, [letter], now)
    return is_gone


def settle_deliveries(connection: Connection, keys: Collection[Key], now: datetime) -> None:
    """Take the dead letters of these deliveries away, for they are made again."""
    wanted = set(keys)
    event_ids = {event_id for event_id, _ in wanted}
    query = select(dead_letters.c.id, dead_letters.c.ref, dead_letters.c.target).where(
        dead_letters.c.event_id.in_(padded(event_ids)), dead_letters.c.kind == TaskKind.DELIVER
    )
    theirs = [row.id for row in connection.execute(query) if (row.ref, row.target) in wanted]
    for start in range(0, len(theirs), PAGE_SIZE):
        part = dead_letters.c.id.in_(padded(theirs[start : start + PAGE_SIZE]))
        gone = connection.execute(delete(dead_letters).where(part).returning(*_COLUMNS))
        _take_off(connection, [_letter(row) for row in gone], now)


def _retry(connection: Connection, which: ColumnElement[bool], now: datetime) -> int:
    redelivering.lock(connection)
    # Who deletes a letter retries it: two who ask at once cause one task.
    taken = delete(dead_letters).where(which, MAY_BE_RETRIED).returning(*_COLUMNS)
    letters = [_letter(row) for row in connection.execute(taken)]
    letters.sort(key=lambda letter: letter.id)
    _reopen_outcomes(connection, letters)
    _reopen_runs(connection, letters, now)
    _take_off(connection, letters, now)
    details = _reopen_deliveries(connection, letters, now)
    new = [
        NewTask(each.kind, each.ref, each.target, details.get(each.id, each.detail), each.order_key)
        for each in letters
        if each.kind is not TaskKind.DELIVER or each.id in details
    ]
    add_tasks(connection, new, now)
    return len(letters)


def _reopen_deliveries(
    connection: Connection, letters: Sequence[DeadLetter], now: datetime
) -> dict[UUID, bytes | None]:
    """Let deliveries be as if they had not ended; gives what their tasks say, by letter. Without what is open."""
    of_key = {(each.ref, each.target): each for each in letters if each.kind is TaskKind.DELIVER}
    ended = of_key.keys() - redelivering.open_among(connection, of_key)
    made = redelivering.reopen(connection, ended, now)
    details = {}
    for key in ended:
        letter = of_key[key]
        made_before = made.get(key, letter.attempts)
        details[letter.id] = replace(read_detail(letter.detail), attempts=made_before).encode()
    return details


def _take_off(connection: Connection, letters: Sequence[DeadLetter], now: datetime) -> None:
    """Take the letters off their endpoints' dead work, so that what dies twice is counted once."""
    of_endpoint = Counter(letter.endpoint or 0 for letter in letters)
    counted = [Counted(endpoint, now, dead=-number) for endpoint, number in of_endpoint.items()]
    statistics.add(connection, RETRIED, counted)


def _reopen_outcomes(connection: Connection, letters: Sequence[DeadLetter]) -> None:
    """Make the events pending again."""
    ended = [(each.event_id, each.work) for each in letters if each.event_id is not None]
    if not ended:
        return
    event_ids = [event_id for event_id, _ in ended]
    _reopen(
        connection,
        (
            tuple_(outcomes.c.event_id, outcomes.c.work).in_(ended),
            outcomes.c.status == OutcomeStatus.DEAD,
            # Finds the partitions.
            outcomes.c.event_id.between(min(event_ids), max(event_ids)),
        ),
    )


def _reopen(connection: Connection, theirs: Sequence[ColumnElement[bool]]) -> None:
    """Make these outcomes open again.

    An outcome that says how many pieces of work its event has must go on saying so: it becomes one that is no end.
    """
    connection.execute(delete(outcomes).where(*theirs, outcomes.c.works.is_(None)))
    connection.execute(
        update(outcomes)
        .where(*theirs)
        .values(status=OutcomeStatus.EXPANDED, reason=None, result=None, finished_at=None, ref=None)
    )


def _reopen_runs(connection: Connection, letters: Sequence[DeadLetter], now: datetime) -> None:
    run_ids = [each.ref for each in letters if each.kind is TaskKind.RUN]
    if not run_ids:
        return
    connection.execute(
        update(runs)
        .where(runs.c.id.in_(run_ids), runs.c.status == RunStatus.FAILED)
        .values(status=RunStatus.PENDING, finished_at=None, error=None, cancel_requested_at=None)
    )
    # A run that its workers died of left its waits open: they would signal the task that it had then.
    waits.cancel(connection, waits.open_of(connection, run_ids), now)


def _select(connection: Connection, wanted: DeadLetterFilter) -> Select[Any]:
    return select(*_COLUMNS).where(*_conditions(connection, wanted))


def _conditions(connection: Connection, wanted: DeadLetterFilter) -> list[ColumnElement[bool]]:
    column = dead_letters.c
    conditions = [
        column[name] == value
        for name in ("tenant", "endpoint", "event_type", "work", "code", "event_id")
        if (value := getattr(wanted, name)) is not None
    ]
    if wanted.kinds:
        conditions.append(column.kind.in_(wanted.kinds))
    if wanted.text is not None:
        conditions.append(bytes_contain(connection, column.error, wanted.text))
    if wanted.since is not None:
        conditions.append(column.failed_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(column.failed_at < wanted.until)
    return conditions


def _letter(row: Row[Any]) -> DeadLetter:
    values = row._asdict()
    return DeadLetter(**values | {"kind": TaskKind(row.kind)})
