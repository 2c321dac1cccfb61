"""One tail: what its client is sent, one piece after the other, until it goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from kanca.api.tail_filter import TailFilter
from kanca.api.tail_hub import AFTER_FAILURE, TailHub
from kanca.api.tail_places import Places
from kanca.api.tail_views import (
    KEEP_ALIVE,
    show_ending,
    show_gap,
    show_place,
    show_rejection,
    with_place,
)
from kanca.api.tail_watching import Ended, Watcher, as_ended
from kanca.errors import DatabaseUnavailable
from kanca.storage import events
from kanca.storage.endings import Ending, endings
from kanca.storage.feed import FeedEvent
from kanca.storage.ports import Database

SILENCE = timedelta(seconds=15)
"""After so long without a message comes a sign of life."""
LOOKED_AT = 20
"""Events for one look: with their bodies they are what a client that takes nothing makes this process hold."""
PIECE_BYTES = 64 * 1024
"""About what is handed to the server at once. It holds some tens of such pieces for a client, and then has us wait."""
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold back what is not much
}


@dataclass(frozen=True, slots=True)
class TailOptions:
    """What is shown, and how."""

    wanted: TailFilter = field(default_factory=TailFilter)
    with_payload: bool = False
    with_request: bool = False
    with_outcomes: bool = False
    with_rejections: bool = False
    end: int | None = None
    """The place at which it ends; None: it goes on for ever."""
    places: Places = field(default_factory=Places)
    """How the client is told of places."""


class TailResponse(StreamingResponse):
    """A tail as an answer. It is one of the hub's for as long as it is sent."""

    def __init__(
        self, hub: TailHub, database: Database, place: int, options: TailOptions, is_gap: bool
    ) -> None:
        """Begin behind ``place``; ``is_gap``: what came right after it is not kept any more."""
        self._hub = hub
        self._database = database
        self._place = place
        self._options = options
        self._is_gap = is_gap
        super().__init__((), media_type="text/event-stream", headers=_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it until the client goes."""
        with self._hub.watching(wants_rejections=self._options.with_rejections) as watcher:
            self.body_iterator = self._pieces(watcher)
            await super().__call__(scope, receive, send)

    async def _pieces(self, watcher: Watcher) -> AsyncIterator[bytes]:
        yield self._at()
        if self._is_gap:
            places = self._options.places
            yield show_gap(
                "expired", resumes_after=places.told(self._place) if places.are_sealed else self._place
            )
        end, now = self._options.end, asyncio.get_running_loop().time
        said_at = now()
        while not self._hub.is_closed:
            signal = self._hub.signal()
            try:
                messages, is_at_end = await self._next(watcher)
            except DatabaseUnavailable:
                yield KEEP_ALIVE + self._at()
                await _either(signal, AFTER_FAILURE)
                continue
            for piece in _pieces_of(messages):
                yield piece
                said_at = now()
            if end is not None and self._place >= end:
                if self._options.places.are_sealed:
                    yield self._at()
                return
            if is_at_end and not watcher.has_news:
                await _either(signal, SILENCE)
            if now() - said_at >= SILENCE.total_seconds():
                yield KEEP_ALIVE + self._at()
                said_at = now()

    def _at(self) -> bytes:
        """From where to go on."""
        return show_place(self._options.places.told(self._place))

    async def _next(self, watcher: Watcher) -> tuple[list[bytes], bool]:
        """What comes next, and whether that is all there is. Moves the place."""
        is_live = self._hub.keeps(self._place)
        part = await self._hub.after(self._place, LOOKED_AT)
        wanted = [found for found in part.events if await self._wants(found)]
        pieces = await self._shown(wanted, watcher, is_live=is_live)
        pieces += self._news(watcher)
        is_last_shown = bool(wanted) and wanted[-1] is part.events[-1] and not self._options.wanted.status
        if part.events and not is_last_shown and not self._options.places.are_sealed:
            # What is not shown has a place too, or a client that comes back would look at all of it again. A tenant's
            # is told of it with the next sign of life: by when it is said it would see when others have events.
            pieces.append(show_place(self._options.places.told(part.through)))
        is_at_end, self._place = part.through == self._place, part.through
        return pieces, is_at_end

    async def _wants(self, found: FeedEvent) -> bool:
        filtered = self._options.wanted
        if not filtered.wants(found):
            return False
        if filtered.expression is not None and not found.is_whole:
            stored = await self._database.read(events.get, found.event.id)
            if stored is None:
                return False
            # Reading what is large takes its time, and other requests are served here.
            return await asyncio.to_thread(filtered.wants_content, replace(found, event=stored))
        return filtered.wants_content(found)

    async def _shown(self, wanted: Sequence[FeedEvent], watcher: Watcher, *, is_live: bool) -> list[bytes]:
        """The events, and how those of them ended that are not new; the others are followed."""
        options, pieces = self._options, []
        ended: dict[UUID, Ending] = {}
        if options.with_outcomes and not is_live and wanted:
            ended = await self._database.read(endings, [found.event.id for found in wanted])
        for found in wanted:
            if not options.wanted.status:
                views = {"with_payload": options.with_payload, "with_request": options.with_request}
                message = self._hub.shown(found, **views)
                if options.places.are_sealed:
                    message = with_place(message, found.number, options.places.told(found.number))
                pieces.append(message)
            if ending := ended.get(found.event.id):
                pieces += self._ending(as_ended(ending, found))
            elif options.with_outcomes:
                self._hub.follow(found, watcher)
        return pieces

    def _news(self, watcher: Watcher) -> list[bytes]:
        taken, left_out = watcher.take()
        pieces = [show_gap("slow", left_out=left_out)] if left_out else []
        for news in taken:
            if isinstance(news, Ended):
                pieces += self._ending(news)
            elif self._options.wanted.wants_rejection(news):
                pieces.append(show_rejection(news))
        return pieces

    def _ending(self, ended: Ended) -> list[bytes]:
        return [show_ending(ended)] if self._options.wanted.status in (None, ended.ending.status) else []


def _pieces_of(messages: Sequence[bytes]) -> Iterator[bytes]:
    """The messages in pieces of about the same size, each message whole."""
    piece, size = [], 0
    for message in messages:
        piece.append(message)
        size += len(message)
        if size >= PIECE_BYTES:
            yield b"".join(piece)
            piece, size = [], 0
    if piece:
        yield b"".join(piece)


async def _either(signal: asyncio.Event, limit: timedelta) -> bool:
    """Wait for a signal, or until the time is over (False)."""
    try:
        async with asyncio.timeout(limit.total_seconds()):
            await signal.wait()
    except TimeoutError:
        return False
    return True
