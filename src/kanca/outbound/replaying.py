"""Which deliveries a replay makes: stored events in, some of their subscriptions out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from uuid import UUID

from kanca.domain.delivery import Key, is_sent_again
from kanca.domain.event import StoredEvent
from kanca.domain.patterns import matches
from kanca.domain.published import PUBLISHED, TEST_EVENT
from kanca.domain.subscription import (
    OPERATIONAL,
    OPERATIONAL_ENDPOINT,
    Subscription,
    SubscriptionStatus,
)
from kanca.domain.task import Replay
from kanca.outbound.matching import Subscribers
from kanca.storage import endpoints, redelivering, replays
from kanca.storage.events import read_events
from kanca.storage.ports import Database
from kanca.storage.replays import EventHead, Portion

Wants = Callable[[Subscription, StoredEvent], bool]
"""Whether a subscription's filter lets an event through. Asked of subscriptions that have one. Never raises."""

LOOKED_AT_ONCE = 1_000
"""Events that are read at once, without their bodies."""
MOST_LOOKED_AT = 20_000
"""Events after which a portion ends, however few deliveries it has."""
PORTION = 500
"""Deliveries after which a portion ends, with those of an event begun."""
_EVENTS_AT_ONCE = 50
"""Events whose deliveries, and whose bodies, are read at once: bodies may be large."""

_Wanted = tuple[EventHead, list[Subscription]]


class Chooser:
    """Chooses what a replay does next, as subscriptions are now."""

    def __init__(self, database: Database, subscribers: Subscribers, wants: Wants) -> None:
        self._database = database
        self._all = subscribers
        self._wants = wants
        self._sources: dict[int, str | None] = {PUBLISHED: None, OPERATIONAL_ENDPOINT: OPERATIONAL}

    async def choose(self, replay: Replay, most: int = PORTION) -> Portion:
        """Give what follows the replay's position: about ``most`` deliveries. Raises DatabaseUnavailable."""
        subscribers = self._meant(replay)
        keys: list[Key] = []
        at, looked_at = replay, 0
        while True:
            heads = await self._database.read(replays.events_after, at, LOOKED_AT_ONCE)
            async for event_id, numbers in self._deliveries(replay, subscribers, heads):
                keys += [(event_id, number) for number in numbers]
                if len(keys) >= most:
                    return Portion(tuple(keys), event_id, is_last=False)
            if heads:
                at = replace(at, position=heads[-1].id)
            if len(heads) < LOOKED_AT_ONCE:
                return Portion(tuple(keys), at.position, is_last=True)
            looked_at += len(heads)
            if looked_at >= MOST_LOOKED_AT:
                return Portion(tuple(keys), at.position, is_last=False)

    async def count(self, replay: Replay) -> int:
        """Count all that the replay would queue if nothing changed meanwhile. Raises DatabaseUnavailable."""
        counted = 0
        while True:
            portion = await self.choose(replay)
            counted += len(portion.keys)
            if portion.is_last:
                return counted
            replay = replace(replay, position=portion.position)

    def _meant(self, replay: Replay) -> Subscribers:
        """Those of the subscriptions that the replay is for."""
        if replay.subscription is None:
            return self._all
        meant = self._all.by_number.get(replay.subscription)
        return Subscribers([meant] if meant else [])

    async def _deliveries(
        self, replay: Replay, subscribers: Subscribers, heads: Sequence[EventHead]
    ) -> AsyncIterator[tuple[UUID, list[int]]]:
        """The events that there are deliveries of, each with the numbers of its subscriptions."""
        wanted = [
            (head, found)
            for head in heads
            if _is_about(replay, head) and (found := await self._wanting(subscribers, head))
        ]
        for start in range(0, len(wanted), _EVENTS_AT_ONCE):
            part = await self._missing(replay, wanted[start : start + _EVENTS_AT_ONCE])
            filtered = [head.id for head, found in part if any(each.config.filter for each in found)]
            stored = await self._database.read(read_events, filtered)
            for head, found in part:
                let_through = [each.number for each in found if self._lets_through(each, stored.get(head.id))]
                if let_through:
                    yield head.id, let_through
                # Filters are the user's, and take what time they take: others have their turn.
                await asyncio.sleep(0)

    async def _missing(self, replay: Replay, wanted: Sequence[_Wanted]) -> list[_Wanted]:
        """Without the deliveries that are open, and those that the replay does not ask for."""
        keys = [(head.id, each.number) for head, found in wanted for each in found]
        event_ids = [head.id for head, _ in wanted]
        dispatched = await self._database.read(replays.dispatched_among, event_ids)
        sendable = await self._database.read(replays.sendable_among, event_ids)
        is_open = await self._database.read(redelivering.open_among, keys)
        ended = await self._database.read(redelivering.statuses_among, keys)

        def is_meant(key: Key) -> bool:
            return (
                key not in is_open
                and key[0] in sendable
                and (key in ended or key[0] in dispatched)
                and is_sent_again(replay.only, ended.get(key))
            )

        left = [
            (head, [each for each in found if is_meant((head.id, each.number))]) for head, found in wanted
        ]
        return [(head, found) for head, found in left if found]

    async def _wanting(self, subscribers: Subscribers, head: EventHead) -> list[Subscription]:
        if head.endpoint not in self._sources:
            names = await self._database.read(endpoints.names, [head.endpoint])
            self._sources[head.endpoint] = (
                names[head.endpoint].webhook_id if head.endpoint in names else _UNKNOWN
            )
        found = subscribers.wanting(head.type, head.tenant, self._sources[head.endpoint])
        return [each for each in found if each.status is SubscriptionStatus.ACTIVE]

    def _lets_through(self, subscription: Subscription, event: StoredEvent | None) -> bool:
        if subscription.config.filter is None:
            return True
        return event is not None and self._wants(subscription, event)


_UNKNOWN = "?"
"""The source of events whose endpoint is not known: nobody names it."""


def _is_about(replay: Replay, head: EventHead) -> bool:
    if replay.tenant is not None and head.tenant != replay.tenant:
        return False
    if head.endpoint == PUBLISHED and head.type == TEST_EVENT:
        return False  # it was for one subscription, which a person had tested
    return not replay.event_types or any(matches(pattern, head.type) for pattern in replay.event_types)
