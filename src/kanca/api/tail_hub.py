"""The one reader that feeds all tails of a gateway.

It reads the feed while somebody looks, and keeps the newest events in memory, for seconds: soon nobody is shown what
was expunged since. A tail asks for what comes after its place: near the end it is given that memory, further back it is
given the database. So a tail holds no more than its place, however slow its client is.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import structlog

from kanca.api.tail_views import show_event
from kanca.api.tail_watching import Endings, Rejections, Watcher, look
from kanca.errors import DatabaseUnavailable, ShuttingDown, TooManyTails
from kanca.storage import feed
from kanca.storage.feed import FeedEvent, FeedPart
from kanca.storage.ports import Database, Horizon, Reach

log = structlog.get_logger(__name__)

EVERY = timedelta(milliseconds=250)
"""How often the end of the feed is looked for."""
SOON = timedelta(milliseconds=50)
"""The same while something is about to be settled."""
AFTER_FAILURE = timedelta(seconds=1)
KEPT_FOR = timedelta(seconds=10)
KEPT_EVENTS = 2_000
KEPT_BYTES = 16 * 1024 * 1024
"""Of bodies and headers, which are most of what is kept: a request may have hundreds of kilobytes of either."""
LARGEST_SHARED_BYTES = 4 * 1024
"""Of a message that is kept for other tails."""
READ_AT_ONCE = 500


class TailHub:
    """What all tails of one gateway share."""

    def __init__(self, database: Database, most: int = 100, every: timedelta = EVERY) -> None:
        """``most`` is how many tails there may be at a time."""
        self._database = database
        self._most = most
        self._every_s = every.total_seconds()
        self._horizon: Horizon | None = None
        self._looking = asyncio.Lock()
        self._watchers: set[Watcher] = set()
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._kept: list[FeedEvent] = []
        self._kept_bytes = 0
        self._messages: dict[tuple[int, bool, bool], bytes] = {}
        self._start = self._end = 0
        """What is kept is all that comes after the one, up to the other."""
        self._read_at: deque[tuple[float, int]] = deque()
        """When what is kept was read, up to which number."""
        self._endings = Endings(lambda: datetime.now(UTC))
        self._rejections = Rejections()
        self._look_beside_at = 0.0
        self.is_closed = False

    def check_room(self) -> None:
        """Raise TooManyTails, or ShuttingDown, where no other tail can begin."""
        if self.is_closed:
            raise ShuttingDown
        if len(self._watchers) >= self._most:
            raise TooManyTails(f"This gateway serves {self._most} tails at a time, and has them.")

    async def reach(self) -> Reach:
        """How far the feed goes now. Raises DatabaseUnavailable."""
        async with self._looking:
            if self._horizon is None:
                self._horizon = self._database.horizon()
            return await self._horizon.reach()

    @contextmanager
    def watching(self, *, wants_rejections: bool) -> Iterator[Watcher]:
        """Be a tail, for as long as it lasts."""
        watcher = Watcher(datetime.now(UTC) if wants_rejections else None)
        self._watchers.add(watcher)
        if self._reader is None:
            self._reader = asyncio.create_task(self._read_on())
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            self._endings.leave(watcher)

    def follow(self, found: FeedEvent, watcher: Watcher) -> None:
        """Have a tail told how an event ends."""
        self._endings.follow(found, watcher)

    def shown(self, found: FeedEvent, *, with_payload: bool, with_request: bool) -> bytes:
        """An event as a message, which is written once for all tails that want it so."""
        key = (found.number, with_payload, with_request)
        message = self._messages.get(key)
        if message is None:
            message = show_event(found, with_payload=with_payload, with_request=with_request)
            if len(message) <= LARGEST_SHARED_BYTES and self._start < found.number <= self._end:
                if len(self._messages) == KEPT_EVENTS:
                    del self._messages[next(iter(self._messages))]
                self._messages[key] = message
        return message

    def keeps(self, place: int) -> bool:
        """Whether what comes after a place is in memory."""
        return place >= self._start and self._end > 0

    async def after(self, place: int, limit: int) -> FeedPart:
        """What comes after a place, as far as it is settled. Raises DatabaseUnavailable."""
        if not self.keeps(place):
            through = max(place, self._end or (await self.reach()).settled)
            return await self._database.read(feed.read, place, through, limit)
        first = bisect_right(self._kept, place, key=lambda each: each.number)
        found = tuple(self._kept[first : first + limit])
        is_all = first + limit >= len(self._kept)
        return FeedPart(found, max(place, self._end) if is_all else found[-1].number)

    def signal(self) -> asyncio.Event:
        """What is set when there is something new. Taken before looking, so that nothing comes in between."""
        return self._changed

    async def close(self) -> None:
        """End all tails, and let none begin."""
        self.is_closed = True
        self._say_changed()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait({self._reader})

    def _rest(self) -> None:
        """Read no more, until somebody looks again."""
        self._reader = None
        self._kept, self._kept_bytes, self._start, self._end = [], 0, 0, 0
        self._messages.clear()
        self._read_at.clear()

    def _say_changed(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _read_on(self) -> None:
        is_away = False
        while self._watchers:
            try:
                pause_s = await self._read_once()
                is_away = False
            except DatabaseUnavailable as error:
                if not is_away:
                    log.warning("tail_waits", reason=error.detail)
                is_away, pause_s = True, AFTER_FAILURE.total_seconds()
            except Exception:
                # Tails that hear nothing, and do not know why, would be worse than one that tries again.
                log.exception("tail_failed")
                pause_s = AFTER_FAILURE.total_seconds()
            await asyncio.sleep(pause_s)
        self._rest()

    async def _read_once(self) -> float:
        """Read what is new; gives how long to pause. Raises DatabaseUnavailable."""
        self._drop_old()
        reach = await self.reach()
        if not self._end:
            self._start = self._end = reach.settled
            self._say_changed()
        while self._end < reach.settled:
            part = await self._database.read(feed.read, self._end, reach.settled, READ_AT_ONCE)
            self._keep(part)
            self._say_changed()
        now = asyncio.get_running_loop().time()
        if now >= self._look_beside_at:
            self._look_beside_at = now + self._every_s
            await self._look_beside()
        return SOON.total_seconds() if reach.newest > reach.settled else self._every_s

    def _keep(self, part: FeedPart) -> None:
        self._kept += part.events
        self._kept_bytes += sum(_size(each) for each in part.events)
        self._end = part.through
        self._read_at.append((asyncio.get_running_loop().time(), part.through))
        surplus = max(0, len(self._kept) - KEPT_EVENTS)
        left_bytes = self._kept_bytes - sum(_size(each) for each in self._kept[:surplus])
        while left_bytes > KEPT_BYTES:
            left_bytes -= _size(self._kept[surplus])
            surplus += 1
        if surplus:
            self._drop(self._kept[surplus - 1].number)

    def _drop_old(self) -> None:
        """Drop what was read so long ago that it may have been expunged since."""
        before = asyncio.get_running_loop().time() - KEPT_FOR.total_seconds()
        through = self._start
        while self._read_at and self._read_at[0][0] < before:
            through = self._read_at.popleft()[1]
        if through > self._start:
            self._drop(through)

    def _drop(self, through: int) -> None:
        """Keep only what comes after a number."""
        number = bisect_right(self._kept, through, key=lambda each: each.number)
        self._kept_bytes -= sum(_size(each) for each in self._kept[:number])
        del self._kept[:number]
        self._start = through
        self._messages = {key: message for key, message in self._messages.items() if key[0] > through}

    async def _look_beside(self) -> None:
        """Look for ends and rejections, and tell whoever watches."""
        interested = [each for each in self._watchers if each.rejections_since]
        followed = self._endings.turn()
        if not (followed or interested):
            return
        now = datetime.now(UTC) if interested else None
        ended, refused = await self._database.read(look, followed, now)
        self._endings.tell(ended)
        new = self._rejections.new(refused) if interested else []
        for each in new:
            for watcher in interested:
                if watcher.rejections_since and each.rejection.occurred_at >= watcher.rejections_since:
                    watcher.tell(each)
        if ended or new:
            self._say_changed()


def _size(found: FeedEvent) -> int:
    """What an event takes in memory, next to nothing left out."""
    return len(found.event.body) + len(found.event.request)
