"""Who is sent what, and what may be published, as the database has it now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from kanca.domain.event import NewEvent
from kanca.domain.subscription import SubscriptionStatus
from kanca.outbound.catalogue import EventCatalogue
from kanca.outbound.matching import Subscribers
from kanca.queue.group_commit import GroupCommit
from kanca.storage import event_types, subscriptions
from kanca.storage.event_types import EventType
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.storage.subscriptions import ListedSubscription
from kanca.storage.versions import read_versions


class Known(NamedTuple):
    """What was known at some moment."""

    subscribers: Subscribers
    catalogue: EventCatalogue

    def subscriber_count(self, event: NewEvent) -> int:
        """How many active subscriptions want events of that type and tenant; their filters are not asked."""
        wanting = self.subscribers.wanting(event.type, event.tenant, None)
        return sum(each.status is SubscriptionStatus.ACTIVE for each in wanting)


class SubscriberBook:
    """Reads subscriptions and catalogue anew whenever one of them has changed.

    Each look asks the database for their versions, so it is never older than the look; all who look at the same time
    share one question.
    """

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        *,
        is_closed: bool,
        timeout: timedelta,
        max_waiting: int = 2_000,
    ) -> None:
        """``is_closed``: nothing may be published but types of the catalogue."""
        self._database = database
        self._box = box
        self._is_closed = is_closed
        self._seen: tuple[int, int] = (-1, -1)
        self._known = Known(Subscribers(()), EventCatalogue(is_closed=is_closed))
        self._looks = GroupCommit[None, Known](self._look, timeout=timeout, max_waiting=max_waiting)

    async def look(self) -> Known:
        """What is known now. Raises DatabaseUnavailable, CommitTimeout, CommitQueueFull, ShuttingDown."""
        return await self._looks.submit(None)

    async def close(self, limit: timedelta) -> None:
        """Take no more questions, and finish those at hand for up to ``limit``."""
        await self._looks.close(limit)

    async def _look(self, batch: Sequence[None]) -> Sequence[Known]:
        seen, subscribed, types = await self._database.read(_read, self._box, self._seen)
        known = self._known
        if subscribed is not None:
            known = known._replace(subscribers=Subscribers(each.subscription for each in subscribed))
        if types is not None:
            known = known._replace(catalogue=EventCatalogue(types, is_closed=self._is_closed))
        self._seen, self._known = seen, known
        return [known] * len(batch)


def _read(
    connection: Connection, box: SecretBox, seen: tuple[int, int]
) -> tuple[tuple[int, int], list[ListedSubscription] | None, list[EventType] | None]:
    # The versions first: what changes after them is read again.
    versions = read_versions(connection)
    now = versions.get("subscriptions", 0), versions.get("event_types", 0)
    subscribed = subscriptions.read_all(connection, box) if now[0] != seen[0] else None
    types = event_types.read_all(connection) if now[1] != seen[1] else None
    return now, subscribed, types
