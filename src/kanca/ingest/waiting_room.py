"""Where requests wait for what the runs of their events answer.

One task of the process looks for all who wait, in one query, and only while somebody does. It looks often for those who
have just come and seldom for those who have waited long: most runs that answer do so at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from msgspec import Struct, field

from kanca.domain.status import OutcomeStatus
from kanca.errors import DatabaseUnavailable
from kanca.storage.answers import StoredAnswer
from kanca.telemetry.metrics import WAITING

log = structlog.get_logger(__name__)

Became = StoredAnswer | OutcomeStatus
"""What a run answered, or how it ended without an answer."""
Look = Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, Became]]]

MOST_WAITING = 1_000
SHORTEST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.2
_LOOK_LIMIT = timedelta(seconds=10)


class _Waited(Struct):
    """An event whose answer somebody waits for."""

    came_at: float
    """When the last of them came; this and the next in the event loop's time."""
    look_at: float
    answers: set[asyncio.Future[Became | None]] = field(default_factory=set)


class WaitingRoom:
    """Holds the requests of one process."""

    def __init__(self, look: Look, most: int = MOST_WAITING) -> None:
        """``look`` gives what became of events, without those that go on. At most so many wait at once."""
        self._look = look
        self._most = most
        self._waited: dict[UUID, _Waited] = {}
        self._number = 0
        self._is_closed = False
        self._looking: asyncio.Task[None] | None = None

    @property
    def number(self) -> int:
        """How many wait."""
        return self._number

    async def wait(
        self, event_id: UUID, limit_s: float, gone: Callable[[], Coroutine[Any, Any, None]]
    ) -> Became | None:
        """What became of the event; None when ``limit_s`` is over, ``gone()`` is done, or there is no room."""
        if self._is_closed or self._number >= self._most:
            return None
        answer = self._enter(event_id)
        leaving = asyncio.create_task(gone())
        try:
            first: list[asyncio.Future[Any]] = [answer, leaving]
            await asyncio.wait(first, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            return answer.result() if answer.done() else None
        finally:
            self._leave(event_id, answer)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)

    async def close(self) -> None:
        """Let all who wait go at once, and nobody wait any more."""
        self._is_closed = True
        self._dismiss()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def _enter(self, event_id: UUID) -> asyncio.Future[Became | None]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Became | None] = loop.create_future()
        now = loop.time()
        waited = self._waited.setdefault(event_id, _Waited(now, now))
        waited.came_at = waited.look_at = now
        waited.answers.add(answer)
        self._count(1)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._keep_looking())
        return answer

    def _leave(self, event_id: UUID, answer: asyncio.Future[Became | None]) -> None:
        answer.cancel()
        waited = self._waited[event_id]
        waited.answers.discard(answer)
        if not waited.answers:
            del self._waited[event_id]
        self._count(-1)

    def _count(self, change: int) -> None:
        self._number += change
        WAITING.set(self._number)

    async def _keep_looking(self) -> None:
        while self._waited:
            now = asyncio.get_running_loop().time()
            due = [event_id for event_id, waited in self._waited.items() if waited.look_at <= now]
            if due:
                await self._look_for(due)
            await asyncio.sleep(SHORTEST_PAUSE_S)

    async def _look_for(self, event_ids: Sequence[UUID]) -> None:
        try:
            async with asyncio.timeout(_LOOK_LIMIT.total_seconds()):
                became = await self._look(event_ids)
        except (DatabaseUnavailable, TimeoutError):
            became = {}  # it may be back before their time is over
        except Exception:
            log.exception("answers_unreadable")
            self._dismiss()
            return
        now = asyncio.get_running_loop().time()
        for event_id in event_ids:
            waited = self._waited.get(event_id)
            if waited is None:
                continue
            waited.look_at = now + min(max((now - waited.came_at) / 10, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)
            if event_id in became:
                _tell(waited, became[event_id])

    def _dismiss(self) -> None:
        for waited in self._waited.values():
            _tell(waited, None)


def _tell(waited: _Waited, became: Became | None) -> None:
    for answer in waited.answers:
        if not answer.done():
            answer.set_result(became)
