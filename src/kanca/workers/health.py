"""Keeping account of how receivers are: noted in memory, stored every so often, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import structlog
from sqlalchemy import Connection

from kanca.domain.audit import by_itself
from kanca.domain.ids import IdFactory
from kanca.domain.subscription import Subscription
from kanca.domain.subscription_health import Condition, Health, condition, is_worth_noting
from kanca.errors import Unavailable
from kanca.storage import audit, subscriptions
from kanca.storage.ports import Database

log = structlog.get_logger(__name__)

FAILING = "subscription.failing"
DISABLED = "subscription.disabled"
FAILED_TOO_LONG = "failing"
"""Why a subscription is disabled of which every attempt failed for too long."""


BY_WORKER = "worker"
"""As whom the audit log knows it."""


class Tell(Protocol):
    """Tells of trouble. Waits for nothing."""

    def __call__(
        self, kind: str, subject: str, tenant: str, facts: Mapping[str, Any], *, endpoint: int | None = None
    ) -> None:
        """Note it. ``endpoint``: the number of the endpoint of the event that it is about."""
        ...


@dataclass(slots=True)
class _Account:
    """What is known of a receiver."""

    subscription: Subscription
    stored: Health
    now: Health


class HealthKeeper:
    """Notes how attempts went, and disables subscriptions whose receivers are lost."""

    def __init__(
        self,
        database: Database,
        now: Callable[[], datetime],
        disable_after: timedelta,
        tell: Tell,
        forget: Callable[[int], None],
    ) -> None:
        """``forget`` is told of receivers that a person says are well."""
        self._database = database
        self._now = now
        self._disable_after = disable_after
        self._tell = tell
        self._forget = forget
        self._accounts: dict[int, _Account] = {}
        self._touched: dict[int, list[tuple[Subscription, datetime, str | None]]] = {}
        self._ids = IdFactory()

    def note(self, subscription: Subscription, at: datetime, code: str | None) -> None:
        """An attempt has ended; ``code``: why it failed, None when it went well."""
        account = self._accounts.get(subscription.number)
        if account is not None and code is None and account.now.failing_since is None:
            # As it was: by far the most common, and nothing is to be decided.
            account.now = account.now.after_success(at)
            if not is_worth_noting(account.stored, account.now):
                return
        self._touched.setdefault(subscription.number, []).append((subscription, at, code))

    async def flush(self) -> None:
        """Store what has changed, and disable what is lost. What cannot be stored now is kept for the next time."""
        touched, self._touched = self._touched, {}
        if not touched:
            return
        try:
            await self._load(touched)
            worth = self._fold(touched)
            if worth:
                await self._database.write(subscriptions.note_health, [account.now for account in worth])
            for account in worth:
                account.stored = account.now
            for number in touched:
                await self._judge(self._accounts[number])
        except Unavailable as error:
            log.warning("health_not_written", code=error.code)
            for number, ends in touched.items():
                self._touched[number] = [*ends, *self._touched.get(number, ())]

    async def disable(self, subscription: Subscription, reason: str, facts: dict[str, object]) -> None:
        """Switch a subscription off. Raises DatabaseUnavailable."""
        if await self._database.write(_disable, self._ids.new(), subscription, reason, self._now()):
            log.warning("subscription_disabled", subscription=subscription.id, reason=reason)
            shown = {"subscription_id": subscription.id, "url": subscription.url, "reason": reason}
            self._tell(DISABLED, subscription.id, subscription.tenant, shown | facts)

    async def _load(self, touched: dict[int, list[tuple[Subscription, datetime, str | None]]]) -> None:
        """Read what is stored: a person, or another worker that had the receiver meanwhile, may know better."""
        stored = await self._database.read(subscriptions.health_of, touched)
        for number, ends in touched.items():
            known, health = self._accounts.get(number), stored[number]
            if known is not None and known.stored.failing_since and not health.failing_since:
                self._forget(number)
            self._accounts[number] = _Account(ends[-1][0], health, health)

    def _fold(self, touched: dict[int, list[tuple[Subscription, datetime, str | None]]]) -> list[_Account]:
        for number, ends in touched.items():
            account = self._accounts[number]
            for _, at, code in ends:
                account.now = (
                    account.now.after_success(at) if code is None else account.now.after_failure(at, code)
                )
        accounts = (self._accounts[number] for number in touched)
        return [account for account in accounts if is_worth_noting(account.stored, account.now)]

    async def _judge(self, account: _Account) -> None:
        subscription, health = account.subscription, account.now
        facts: dict[str, object] = {
            "failing_since": health.failing_since and health.failing_since.isoformat(),
            "last_error": health.last_error,
        }
        match condition(health, self._now(), self._disable_after):
            case Condition.LOST:
                await self.disable(subscription, FAILED_TOO_LONG, facts)
            case Condition.FAILING:
                shown = {"subscription_id": subscription.id, "url": subscription.url}
                self._tell(FAILING, subscription.id, subscription.tenant, shown | facts)
            case Condition.WELL:
                pass


def _disable(
    connection: Connection, entry_id: UUID, subscription: Subscription, reason: str, now: datetime
) -> bool:
    if not subscriptions.disable(connection, subscription.number, reason, now):
        return False
    entry = by_itself(
        BY_WORKER,
        entry_id,
        now,
        DISABLED,
        ("subscription", subscription.id),
        subscription.tenant,
        before={"disabled_reason": None},
        after={"disabled_reason": reason},
    )
    audit.add(connection, entry)
    return True
