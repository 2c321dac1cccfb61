"""The relay: moves what was published in a caller's transaction into Kanca, once and in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from kanca.domain.event import Accepted, Duplicate, NewEvent
from kanca.errors import DatabaseUnavailable, InvalidEvent, KancaError
from kanca.outbound.known_types import KnownTypes
from kanca.outbound.outbox import rows
from kanca.outbound.outbox.entry import event_of
from kanca.outbound.publishing import data_text, says_the_same
from kanca.storage.dialects.foreign import ForeignDatabase, Transaction
from kanca.storage.events import read_events
from kanca.storage.ports import Database
from kanca.telemetry.metrics import OUTBOX, OUTBOX_LAG

log = structlog.get_logger(__name__)

AT_ONCE = timedelta()
SHORTEST_PAUSE = timedelta(milliseconds=100)
LONGEST_PAUSE = timedelta(seconds=1)
WITHOUT_TABLE = timedelta(seconds=5)
"""Until it is looked for again."""
BATCH = 200
MAX_BATCH_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of one row."""

    position: int
    error: str | None = None
    """Why it stays where it is; None: it is an event now."""
    duplicate: tuple[NewEvent, Duplicate] | None = None
    lag_s: float | None = None
    """How long it lay there."""


class Relay:
    """The duty of one outbox. That several workers do it at once is harmless: one of them has the rows."""

    def __init__(
        self,
        source: ForeignDatabase,
        database: Database,
        types: KnownTypes,
        on_moved: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        """``source`` has the outbox, ``database`` is Kanca's; ``on_moved`` is told when there are new events."""
        self._source = source
        self._database = database
        self._on_moved = on_moved
        self._now = now
        self._types = types
        self._is_installed = False
        self._pause = SHORTEST_PAUSE

    async def run_once(self) -> timedelta:
        """Move a batch, and say when to look again. Raises DatabaseUnavailable, for either database."""
        if not self._is_installed and not await self._look_for_table():
            return WITHOUT_TABLE
        try:
            moved = await self._move()
        except DatabaseUnavailable:
            self._is_installed = False
            raise
        if moved:
            self._pause = SHORTEST_PAUSE
            return AT_ONCE if moved >= BATCH else SHORTEST_PAUSE
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        return self._pause

    async def _look_for_table(self) -> bool:
        async with self._source.transaction() as transaction:
            self._is_installed = await transaction.run(rows.is_installed)
        return self._is_installed

    async def _move(self) -> int:
        """Move the first rows; gives how many were looked at."""
        async with self._source.transaction() as transaction:
            taken = await transaction.run(rows.take, BATCH, MAX_BATCH_BYTES)
            answers = await self._append(taken) if taken else []
            await self._clear(transaction, answers)
        if any(answer.error is None for answer in answers):
            self._on_moved()
        for answer in answers:
            OUTBOX.labels(_result(answer)).inc()
            if answer.lag_s is not None:
                OUTBOX_LAG.observe(answer.lag_s)
        # Only now: while the rows are locked, nothing else is worth their waiting.
        await self._compare([answer.duplicate for answer in answers if answer.duplicate])
        if len(answers) < len(taken):
            raise DatabaseUnavailable("Some of the events of the outbox could not be stored")
        return len(taken)

    async def _append(self, taken: Sequence[Any]) -> list[_Answer]:
        """Store the rows as events. A row is left out when nobody knows whether it is stored."""
        answers: list[_Answer] = []
        events: list[tuple[int, NewEvent]] = []
        now, catalogue = self._now(), await self._types.look()
        for row in taken:
            try:
                event = event_of(row._mapping, now)  # noqa: SLF001  SQLAlchemy's public name for it
                catalogue.check(event.type, data_text(event))
                events.append((row.position, event))
            except InvalidEvent as error:
                answers.append(_Answer(row.position, error.detail))
        if not events:
            return answers
        stored = await self._database.accepting.append([event for _, event in events])
        for (position, event), answer in zip(events, stored, strict=True):
            match answer:
                case Accepted():
                    lag_s = max((self._now() - event.received_at).total_seconds(), 0)
                    answers.append(_Answer(position, lag_s=lag_s))
                case Duplicate():
                    answers.append(_Answer(position, duplicate=(event, answer)))
                case DatabaseUnavailable():
                    pass
                case _:
                    detail = answer.detail if isinstance(answer, KancaError) else "it cannot be stored"
                    answers.append(_Answer(position, detail))
        return answers

    async def _clear(self, transaction: Transaction, answers: Sequence[_Answer]) -> None:
        refused = {answer.position: answer.error for answer in answers if answer.error is not None}
        for position, error in refused.items():
            log.warning("outbox_refused", database=self._source.name, position=position, error=error)
        await transaction.run(rows.refuse, refused)
        await transaction.run(rows.remove, [each.position for each in answers if each.error is None])

    async def _compare(self, duplicates: Sequence[tuple[NewEvent, Duplicate]]) -> None:
        """Say where one id was given to different events: only the first one was published."""
        if not duplicates:
            return
        originals = await self._database.read(read_events, {each.original for _, each in duplicates})
        for event, duplicate in duplicates:
            original = originals.get(duplicate.original)
            if original is not None and not says_the_same(event, original):
                OUTBOX.labels("conflict").inc()
                log.warning(
                    "outbox_conflict",
                    database=self._source.name,
                    tenant=event.tenant,
                    event_id=event.source_event_id,
                    event_type=event.type,
                )


def _result(answer: _Answer) -> str:
    if answer.error is not None:
        return "refused"
    return "duplicate" if answer.duplicate else "moved"
