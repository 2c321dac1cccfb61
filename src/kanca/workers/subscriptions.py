"""The subscriptions as a worker knows them: kept in memory, and never older than the events it works on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from kanca.domain.subscription import SubscriptionStatus
from kanca.outbound.matching import Subscribers
from kanca.storage import subscriptions
from kanca.storage.events import CLOCKS_DIFFER_BY
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.storage.subscriptions import ListedSubscription

_VERSION = re.compile(r"(?:^| )subscriptions=(\d+)")


class SubscriptionBook:
    """All subscriptions, found by what they want or by number."""

    def __init__(
        self, database: Database, box: SecretBox, on_enabled: Callable[[int], None] = lambda _: None
    ) -> None:
        """``on_enabled`` is told the numbers of subscriptions that were off and are sent to again."""
        self._database = database
        self._box = box
        self._on_enabled = on_enabled
        self._version: int | None = None
        self._changed_at: datetime | None = None
        """When the last change was made that is known here."""
        self._listed: dict[int, ListedSubscription] = {}
        self._one_at_a_time = asyncio.Lock()
        self.subscribers = Subscribers(())

    async def refresh(self, versions: str) -> bool:
        """Read what has changed if anything has, as ``versions`` says; whether it had. Raises DatabaseUnavailable."""
        found = _VERSION.search(versions)
        version = int(found[1]) if found else 0
        async with self._one_at_a_time:
            if version == self._version:
                return False
            since = None if self._changed_at is None else self._changed_at - CLOCKS_DIFFER_BY
            changed = await self._database.read(subscriptions.changed_since, self._box, since)
            self._learn(changed)
            self._version = version
            return True

    async def fetch(self, numbers: Collection[int]) -> None:
        """Learn of those that are not known: they were deleted a while ago. Raises DatabaseUnavailable."""
        missing = set(numbers) - self._listed.keys()
        if missing:
            found = await self._database.read(subscriptions.by_numbers, self._box, missing)
            # What was learnt meanwhile is newer.
            self._listed |= {number: each for number, each in found.items() if number not in self._listed}

    async def current(self) -> Subscribers:
        """All of them as they are now. Raises DatabaseUnavailable."""
        versions, _ = await self._database.queue.read_claimed(())
        await self.refresh(versions)
        return self.subscribers

    def get(self, number: int) -> ListedSubscription | None:
        """The subscription with that number, deleted or not; None when there never was one."""
        return self._listed.get(number)

    def _learn(self, changed: Collection[ListedSubscription]) -> None:
        for listed in changed:
            before = self._listed.get(listed.subscription.number)
            self._listed[listed.subscription.number] = listed
            is_on = listed.subscription.status is SubscriptionStatus.ACTIVE
            if is_on and before is not None and before.subscription.status is not SubscriptionStatus.ACTIVE:
                self._on_enabled(listed.subscription.number)
        # A clock that is ahead must not hide what others change.
        now = datetime.now(UTC)
        moments = [min(listed.subscription.updated_at, now) for listed in changed]
        if self._changed_at is not None:
            moments.append(self._changed_at)
        self._changed_at = max(moments, default=None)
        self.subscribers = Subscribers(
            listed.subscription for listed in self._listed.values() if not listed.is_deleted
        )
