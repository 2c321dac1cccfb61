"""From an event to its answer: nothing is answered 2xx before the event and its work are on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

from kanca.domain.event import Accepted, Appended, NewEvent
from kanca.errors import KancaError
from kanca.ingest.answers import Original
from kanca.ingest.arrival import Arrival
from kanca.ingest.books import Books
from kanca.ingest.held_answer import client_left, held_answer
from kanca.ingest.ports import Store
from kanca.ingest.reading import Reading
from kanca.ingest.refusal import Refusal, refusal_of
from kanca.ingest.request import Said
from kanca.ingest.settings import IngestSettings
from kanca.ingest.tracing import note_commit
from kanca.ingest.waiting_room import WaitingRoom
from kanca.ingest.wording import Wording
from kanca.queue.group_commit import GroupCommit
from kanca.storage.ports import Accepting, Waker
from kanca.telemetry.metrics import COMMIT_DURATION, ENDPOINT_COMMITS


class Storing:
    """Makes events durable, and says what their senders are answered."""

    def __init__(
        self,
        settings: IngestSettings,
        accepting: Accepting,
        store: Store,
        waker: Waker,
        books: Books,
        clock: Callable[[], float],
    ) -> None:
        self._accepting = accepting
        self._waker = waker
        self._books = books
        self._wording = Wording(clock)
        self._room = WaitingRoom(store.runs_became)
        self._commits = GroupCommit[NewEvent, Appended](
            self._append,
            timeout=settings.commit_timeout,
            max_waiting=settings.commit_queue_max,
            parallel=settings.parallel_commits,
        )
        # Duplicates come in storms: they share their queries.
        self._originals = GroupCommit[UUID, Original](
            store.originals, timeout=settings.commit_timeout, max_waiting=settings.commit_queue_max
        )

    @property
    def waiting(self) -> int:
        """Events that no commit has taken yet."""
        return self._commits.waiting

    async def close(self, limit: timedelta) -> None:
        """Take no more events, answer those who are held, and finish what is at hand for up to ``limit``."""
        await self._room.close()
        await self._commits.close(limit)
        await self._originals.close(limit)

    async def store(self, arrival: Arrival, event: NewEvent, reading: Reading) -> Said | Refusal:
        """Store the event, unless it is a duplicate; gives what its sender is answered."""
        try:
            arrival.submitted = time.perf_counter()
            appended = await self._commits.submit(event)
            arrival.stored, arrival.event = time.perf_counter(), event
            if isinstance(appended, Accepted):
                arrival.outcome = "accepted"
                said = self._wording.accepted(arrival, event, reading)
                self._books.accepted(arrival, event, _microseconds_since(arrival.began))
                return await self._held(arrival, event.id, said) if arrival.endpoint.response_wait_s else said
            original = await self._originals.submit(appended.original)
        except KancaError as error:
            return refusal_of(error)
        arrival.outcome, arrival.original = "duplicate", original.id
        if original.is_retried:
            self._waker.wake()
        said = self._wording.repeated(arrival, event, original, reading)
        self._books.repeated(arrival, event, _microseconds_since(arrival.began))
        return await self._held(arrival, original.id, said) if arrival.endpoint.response_wait_s else said

    async def _held(self, arrival: Arrival, event_id: UUID, usual: Said) -> Said:
        endpoint = arrival.endpoint
        chunks = arrival.request.chunks
        became = await self._room.wait(event_id, endpoint.response_wait_s, lambda: client_left(chunks))
        return held_answer(became, usual, endpoint.response_timeout_status)

    async def _append(self, batch: Sequence[NewEvent]) -> Sequence[Appended | Exception]:
        ENDPOINT_COMMITS.observe(len(batch))
        began, began_ns = time.perf_counter(), time.time_ns()
        answers = await self._accepting.append(batch)
        COMMIT_DURATION.observe(time.perf_counter() - began)
        note_commit(began_ns, batch)
        if any(isinstance(answer, Accepted) for answer in answers):
            self._waker.wake()
        return answers


def _microseconds_since(moment: float) -> int:
    return int((time.perf_counter() - moment) * 1_000_000)
