"""What tails are told beside new events: how events ended, and which requests were refused.

That is told of what happens while somebody looks. Unlike the events themselves it is not read on after a pause.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from kanca.domain.ids import id_at
from kanca.storage.endings import Ending, endings
from kanca.storage.feed import FeedEvent
from kanca.storage.rejections import RejectionAt, newer

FOLLOWED_FOR = timedelta(hours=1)
MOST_FOLLOWED = 5_000
"""Events of one gateway whose end is waited for; the oldest make room."""
LOOKED_AT = 1_000
"""Of those in one look."""
LATEST_BY = timedelta(minutes=1)
"""A rejection becomes visible that much after its id was made, at most."""
MOST_REJECTIONS = 1_000
"""In one look."""
MOST_NEWS = 1_000
"""Kept for a tail that does not take them."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An event that was shown, and how it ended."""

    ending: Ending
    event_type: str
    tenant: str
    webhook_id: str | None


News = Ended | RejectionAt


def as_ended(ending: Ending, found: FeedEvent) -> Ended:
    """An event as it was shown, with how it ended."""
    webhook_id = found.endpoint.webhook_id if found.endpoint else None
    return Ended(ending, found.event.type, found.event.tenant, webhook_id)


@dataclass(slots=True)
class _Followed:
    until: datetime
    found: FeedEvent
    watchers: set[Watcher] = field(default_factory=set)


class Watcher:
    """What one tail has not been told yet."""

    def __init__(self, rejections_since: datetime | None) -> None:
        """None: it is not told of rejections."""
        self.rejections_since = rejections_since
        self._news: deque[News] = deque()
        self._left_out = 0

    def tell(self, news: News) -> None:
        """Keep it until it is taken; the oldest make room when there is too much."""
        if len(self._news) == MOST_NEWS:
            self._news.popleft()
            self._left_out += 1
        self._news.append(news)

    @property
    def has_news(self) -> bool:
        """Whether there is something to take."""
        return bool(self._news)

    def take(self) -> tuple[list[News], int]:
        """Give what there is, and how many made room before it."""
        taken, self._news = list(self._news), deque()
        left_out, self._left_out = self._left_out, 0
        return taken, left_out


class Endings:
    """Looks for the ends of events that somebody was shown."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._followed: dict[UUID, _Followed] = {}
        """The one that was looked at last is the last."""

    def follow(self, found: FeedEvent, watcher: Watcher) -> None:
        """Have the watcher told when the event's work has ended."""
        event = found.event
        followed = self._followed.get(event.id)
        if followed is None:
            if len(self._followed) == MOST_FOLLOWED:
                del self._followed[next(iter(self._followed))]
            # Without the bodies, which would be most of it.
            about = replace(found, event=replace(event, body=b"", request=b""))
            followed = self._followed[event.id] = _Followed(self._now() + FOLLOWED_FOR, about)
        followed.watchers.add(watcher)

    def leave(self, watcher: Watcher) -> None:
        """Forget a watcher, and what only it waited for."""
        for event_id, followed in list(self._followed.items()):
            followed.watchers.discard(watcher)
            if not followed.watchers:
                del self._followed[event_id]

    def turn(self) -> list[UUID]:
        """Those to look at now: not too many, each in its turn. Forgets what has been followed for too long."""
        now = self._now()
        chosen = list(self._followed)[:LOOKED_AT]
        for event_id in chosen:
            followed = self._followed.pop(event_id)
            if followed.until > now:
                self._followed[event_id] = followed
        return [event_id for event_id in chosen if event_id in self._followed]

    def tell(self, found: Iterable[Ending]) -> None:
        """Tell the watchers."""
        for ending in found:
            followed = self._followed.pop(ending.event_id, None)
            if followed is not None:
                for watcher in followed.watchers:
                    watcher.tell(as_ended(ending, followed.found))


class Rejections:
    """Looks for refused requests. Their ids are older than their commits, so it looks back a while each time."""

    def __init__(self) -> None:
        self._seen: set[UUID] = set()

    def new(self, found: list[RejectionAt]) -> list[RejectionAt]:
        """Those that were not there at the last look."""
        known, self._seen = self._seen, {each.rejection.id for each in found}
        return [each for each in found if each.rejection.id not in known]


def look(
    connection: Connection, followed: list[UUID], now: datetime | None
) -> tuple[list[Ending], list[RejectionAt]]:
    """Give how followed events have ended, and the latest rejections; none of those where ``now`` is None."""
    ended = list(endings(connection, followed).values()) if followed else []
    refused = [] if now is None else newer(connection, id_at(now - LATEST_BY), MOST_REJECTIONS)
    return ended, refused
