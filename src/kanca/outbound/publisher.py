"""Publishing without a transaction of the publisher's own: nothing is said to be published before it is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from kanca.domain.event import Accepted, Appended, NewEvent, StoredEvent
from kanca.errors import BacklogFull, DiskFull, EventIdTaken, KancaError, Unavailable
from kanca.outbound.publishing import data_text, says_the_same
from kanca.outbound.subscriber_book import Known, SubscriberBook
from kanca.queue.group_commit import GroupCommit
from kanca.storage.events import read_events
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox

TIMEOUT = timedelta(seconds=10)

_GATES: dict[str, type[Unavailable]] = {"backlog_full": BacklogFull, "disk_full": DiskFull}


class Published(NamedTuple):
    """What became of an event that somebody wanted published."""

    id: UUID
    """Of the event; of the one that came first, where it was published before."""
    is_new: bool
    subscriber_count: int
    """Active subscriptions to its type; their filters were not asked."""


class Publisher:
    """Publishes events. One for each process, for one event loop; concurrent publishers share commits."""

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        wake: Callable[[], None],
        *,
        closed_for: Callable[[], str | None] = lambda: None,
        is_catalogue_closed: bool = False,
        timeout: timedelta = TIMEOUT,
        max_waiting: int = 2_000,
    ) -> None:
        """``wake`` tells workers that there is work; ``closed_for`` says why nothing is taken now, as ingest does."""
        self._database = database
        self._wake = wake
        self._closed_for = closed_for
        self.book = SubscriberBook(
            database, box, is_closed=is_catalogue_closed, timeout=timeout, max_waiting=max_waiting
        )
        self._commits = GroupCommit[NewEvent, Appended](
            self._append, timeout=timeout, max_waiting=max_waiting
        )
        self._originals = GroupCommit[UUID, StoredEvent | None](
            self._read_originals, timeout=timeout, max_waiting=max_waiting
        )

    async def publish(self, event: NewEvent) -> Published:
        """Publish an event that ``published_event`` made; one with an id that was published before stays as it is.

        Raises InvalidEvent where the catalogue refuses it, EventIdTaken where its id is another event's, and
        CommitQueueFull or Unavailable where it cannot be stored now (after CommitTimeout it may have been).
        """
        [answer] = await self.publish_all([event])
        if isinstance(answer, KancaError):
            raise answer
        return answer

    async def publish_all(self, events: Sequence[NewEvent]) -> list[Published | KancaError]:
        """Publish events, each for itself; gives in their order what became of each, or the error that it would raise.

        Raises Unavailable when nothing can be published now.
        """
        closed = self._closed_for()
        if closed is not None:
            raise _GATES.get(closed, Unavailable)
        known = await self.book.look()
        return await asyncio.gather(*(self._publish(event, known) for event in events))

    async def close(self, limit: timedelta) -> None:
        """Take no more events, and finish those at hand for up to ``limit``."""
        await self.book.close(limit)
        await self._commits.close(limit)
        await self._originals.close(limit)

    async def _publish(self, event: NewEvent, known: Known) -> Published | KancaError:
        try:
            known.catalogue.check(event.type, data_text(event))
            appended = await self._commits.submit(event)
            if isinstance(appended, Accepted):
                return Published(event.id, True, known.subscriber_count(event))
            original = await self._originals.submit(appended.original)
        except KancaError as error:
            return error
        # Retention may have taken an event that is older than its key: then nobody knows what it said.
        if original is not None and not says_the_same(event, original):
            return EventIdTaken(f"Another event was published with the id {event.source_event_id}")
        return Published(appended.original, False, known.subscriber_count(event))

    async def _append(self, batch: Sequence[NewEvent]) -> Sequence[Appended | Exception]:
        answers = await self._database.accepting.append(batch)
        if any(isinstance(answer, Accepted) for answer in answers):
            self._wake()
        return answers

    async def _read_originals(self, event_ids: Sequence[UUID]) -> Sequence[StoredEvent | None]:
        found = await self._database.read(read_events, set(event_ids))
        return [found.get(event_id) for event_id in event_ids]
