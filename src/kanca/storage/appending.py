"""What accepting means on every database, around the one statement that each has for it.

A batch is the work of many senders who know nothing of each other, so each event is answered for itself: what the
database refuses fails alone, found by halving the batch; what names the same dedupe key is one event.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

from kanca.domain.event import Accepted, Appended, Duplicate, NewEvent
from kanca.errors import DatabaseUnavailable, InvalidInput

MAX_TRANSACTION_BYTES = 32 * 1024 * 1024
"""A larger batch becomes several transactions: a driver's message and a database's array have limits."""

Answer = Appended | Exception
Store = Callable[[Sequence[NewEvent]], Awaitable[list[Appended]]]
"""Stores events of distinct dedupe keys in one transaction. Raises Refused when it cannot take one of them (then none
is stored), DatabaseUnavailable when it cannot take any."""


class Refused(Exception):
    """The database does not take one of the values."""

    def __init__(self, is_stored: bool = False) -> None:
        """``is_stored``: because an event with that id is stored already."""
        super().__init__()
        self.is_stored = is_stored


class Appending:
    """The ``Accepting`` port on top of a database's ``store``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def append(self, batch: Sequence[NewEvent]) -> list[Answer]:
        """Answer as the port promises."""
        answers: list[Answer | None] = [None] * len(batch)
        first_of_key: dict[object, int] = {}
        leaders: list[int] = []
        followers: list[tuple[int, int]] = []
        for index, event in enumerate(batch):
            if has_nul(event):
                answers[index] = _refusal()
                continue
            if event.dedupe_key is not None:
                first = first_of_key.setdefault(event.dedupe_key, index)
                if first != index:
                    followers.append((index, first))
                    continue
            leaders.append(index)

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
        return [answer for answer in answers if answer is not None]

    async def _store_in_parts(self, events: Sequence[NewEvent]) -> list[Answer]:
        answers: list[Answer] = []
        for part in _by_size(events):
            try:
                answers += await self._store_or_halve(part)
            except DatabaseUnavailable as error:
                if not any(isinstance(answer, Accepted | Duplicate) for answer in answers):
                    raise
                answers += [error] * len(part)
        return answers

    async def _store_or_halve(self, events: Sequence[NewEvent]) -> list[Answer]:
        try:
            return [*await self._store(events)]
        except Refused as refused:
            if len(events) == 1:
                return [Accepted() if refused.is_stored else _refusal()]
        middle = len(events) // 2
        first = await self._store_or_halve(events[:middle])
        try:
            return first + await self._store_or_halve(events[middle:])
        except DatabaseUnavailable as error:
            return first + [error] * (len(events) - middle)


def has_nul(event: NewEvent) -> bool:
    """Whether a text of the event has a NUL, which PostgreSQL refuses and SQLite would take."""
    return (
        "\0" in event.type
        or "\0" in event.correlation_id
        or "\0" in event.tenant
        or (event.source_event_id is not None and "\0" in event.source_event_id)
    )


def _refusal() -> InvalidInput:
    return InvalidInput("The event has a value that cannot be stored")


def _by_size(events: Sequence[NewEvent]) -> Iterator[Sequence[NewEvent]]:
    start = size = 0
    for index, event in enumerate(events):
        event_size = len(event.body) + len(event.request)
        if size + event_size > MAX_TRANSACTION_BYTES and index > start:
            yield events[start:index]
            start, size = index, 0
        size += event_size
    if start < len(events):
        yield events[start:]
