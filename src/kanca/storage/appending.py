"""What accepting means on every database, around the one statement that each has for it.

A batch is the work of many senders who know nothing of each other, so each event is answered for itself: what the
database refuses fails alone, found by halving the batch; what names the same dedupe key is one event.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from uuid import UUID

from kanca.domain.event import Accepted, Appended, Duplicate, NewEvent
from kanca.errors import DatabaseUnavailable
from kanca.storage.halving import MAX_TRANSACTION_BYTES, refusal, write_or_halve

Answer = Appended | Exception
Store = Callable[[Sequence[NewEvent]], Awaitable[list[Appended]]]
"""Stores events of distinct dedupe keys in one transaction.

Raises Refused when it cannot take one of them (then none is stored), DatabaseUnavailable when it cannot take any.
"""


class Appending:
    """The ``Accepting`` port on top of a database's ``store``."""

    def __init__(self, store: Store, max_transaction_bytes: int = MAX_TRANSACTION_BYTES) -> None:
        self._store = store
        self._max_transaction_bytes = max_transaction_bytes

    async def append(self, batch: Sequence[NewEvent]) -> list[Answer]:
        """Answer as the port promises."""
        answers: list[Answer] = [refusal() if has_nul(event) else _NOT_YET for event in batch]
        leaders, followers = _by_key(batch, answers)
        stored = await self._store_in_parts([batch[index] for index in leaders])
        for index, answer in zip(leaders, stored, strict=True):
            answers[index] = answer

        orphans: list[int] = []
        for index, first in followers:
            match answers[first]:
                case Accepted():
                    answers[index] = Duplicate(batch[first].id)
                case Duplicate() as duplicate:
                    answers[index] = duplicate
                case _:
                    # What was wrong with the first of the key need not be wrong with this one.
                    orphans.append(index)
        if orphans:
            for index, answer in zip(
                orphans, await self.append([batch[index] for index in orphans]), strict=True
            ):
                answers[index] = answer
        return answers

    async def _store_in_parts(self, events: Sequence[NewEvent]) -> list[Answer]:
        answers: list[Answer] = []
        for part in self._parts(events):
            try:
                answers += await write_or_halve(self._store, part)
            except DatabaseUnavailable as error:
                if not any(isinstance(answer, Accepted | Duplicate) for answer in answers):
                    raise
                answers += [error] * len(part)
        return answers

    def _parts(self, events: Sequence[NewEvent]) -> Iterator[Sequence[NewEvent]]:
        start = size_bytes = 0
        for index, event in enumerate(events):
            event_bytes = len(event.body) + len(event.request)
            if size_bytes + event_bytes > self._max_transaction_bytes and index > start:
                yield events[start:index]
                start, size_bytes = index, 0
            size_bytes += event_bytes
        if start < len(events):
            yield events[start:]


def has_nul(event: NewEvent) -> bool:
    """Whether a text of the event has a NUL, which PostgreSQL refuses and SQLite would take."""
    return (
        "\0" in event.type
        or "\0" in event.correlation_id
        or "\0" in event.tenant
        or (event.source_event_id is not None and "\0" in event.source_event_id)
    )


_NOT_YET: Answer = LookupError("not answered yet")


def _by_key(batch: Sequence[NewEvent], answers: Sequence[Answer]) -> tuple[list[int], list[tuple[int, int]]]:
    """Find the events to store, and those whose key an earlier one has, each with that one."""
    first_of_key: dict[UUID, int] = {}
    leaders: list[int] = []
    followers: list[tuple[int, int]] = []
    for index, event in enumerate(batch):
        if answers[index] is not _NOT_YET:
            continue
        if event.dedupe_key is not None:
            first = first_of_key.setdefault(event.dedupe_key, index)
            if first != index:
                followers.append((index, first))
                continue
        leaders.append(index)
    return leaders, followers
