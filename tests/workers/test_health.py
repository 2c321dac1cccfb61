"""How receivers are is noted in memory, stored every so often, and acted upon."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kanca.domain.subscription import Subscription
from kanca.domain.subscription_health import FAILING_AFTER, Health
from kanca.errors import DatabaseUnavailable
from kanca.storage import audit, subscriptions
from kanca.storage.ports import Database
from kanca.workers.health import DISABLED, FAILED_TOO_LONG, FAILING, HealthKeeper
from tests.outbound.samples import a_subscription
from tests.workers.site import BOX

START = datetime(2026, 5, 4, tzinfo=UTC)
DISABLE_AFTER = timedelta(days=5)
MINUTE = timedelta(minutes=1)


class Keeping:
    """A keeper of a process whose clock is set by hand, and what it told."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = START
        self.told: list[tuple[str, str, str, Mapping[str, Any]]] = []
        self.forgotten: list[int] = []
        self.keeper = HealthKeeper(
            database, lambda: self.now, DISABLE_AFTER, self._tell, self.forgotten.append
        )

    def _tell(
        self,
        kind: str,
        subject: str,
        tenant: str,
        facts: Mapping[str, Any],
        *,
        endpoint: int | None = None,
    ) -> None:
        assert endpoint is None
        self.told.append((kind, subject, tenant, facts))

    async def attempt(
        self, subscription: Subscription, code: str | None = None, at: datetime | None = None
    ) -> None:
        """An attempt has ended; then what is noted is stored."""
        self.now = at or self.now
        self.keeper.note(subscription, self.now, code)
        await self.keeper.flush()

    async def stored(self, subscription: Subscription) -> Health:
        """What the database says."""
        found = await self.database.read(subscriptions.health_of, [subscription.number])
        return found[subscription.number]

    async def disabled_reason(self, subscription: Subscription) -> str | None:
        """Why it is disabled."""
        found = await self.database.read(subscriptions.by_numbers, BOX, [subscription.number])
        return found[subscription.number].subscription.disabled_reason


async def add(database: Database, name: str = "shop") -> Subscription:
    return await database.write(subscriptions.create, BOX, a_subscription(id=name, tenant="acme"))


async def test_a_failure_and_what_ends_it_are_stored_at_once(database: Database) -> None:
    keeping, shop = Keeping(database), await add(database)
    await keeping.attempt(shop, "timeout")
    assert await keeping.stored(shop) == Health(shop.number, START, None, START, "timeout")
    await keeping.attempt(shop, at=START + MINUTE / 2)
    assert await keeping.stored(shop) == Health(shop.number, None, START + MINUTE / 2, START, "timeout")


async def test_what_goes_well_as_before_is_written_once_a_minute(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping, shop = Keeping(database), await add(database)
    await keeping.attempt(shop)
    writes: list[object] = []
    write = database.write

    async def counted(*arguments: Any) -> Any:
        writes.append(arguments[0])
        return await write(*arguments)

    monkeypatch.setattr(database, "write", counted)
    for second in range(1, 121):
        await keeping.attempt(shop, at=START + timedelta(seconds=second))
    assert len(writes) == 2
    assert (await keeping.stored(shop)).last_success_at == START + 2 * MINUTE


async def test_people_are_told_once_every_attempt_has_failed_for_a_while(database: Database) -> None:
    keeping, shop = Keeping(database), await add(database)
    await keeping.attempt(shop, "timeout")
    await keeping.attempt(shop, "timeout", START + FAILING_AFTER - MINUTE)
    assert not keeping.told
    await keeping.attempt(shop, "receiver_error", START + FAILING_AFTER)
    [(kind, subject, tenant, facts)] = keeping.told
    assert (kind, subject, tenant) == (FAILING, "shop", "acme")
    assert facts == {
        "subscription_id": "shop",
        "url": shop.url,
        "failing_since": START.isoformat(),
        "last_error": "receiver_error",
    }
    assert await keeping.disabled_reason(shop) is None


async def test_after_days_of_failures_it_is_disabled_and_that_is_told_once(database: Database) -> None:
    keeping, shop = Keeping(database), await add(database)
    await keeping.attempt(shop, "timeout")
    await keeping.attempt(shop, "timeout", START + DISABLE_AFTER)
    await keeping.attempt(shop, "timeout", START + DISABLE_AFTER + MINUTE)
    assert await keeping.disabled_reason(shop) == FAILED_TOO_LONG
    assert [kind for kind, *_ in keeping.told] == [DISABLED]
    assert keeping.told[0][3]["reason"] == FAILED_TOO_LONG


async def test_one_success_in_between_and_the_days_begin_anew(database: Database) -> None:
    keeping, shop = Keeping(database), await add(database)
    await keeping.attempt(shop, "timeout")
    await keeping.attempt(shop, at=START + DISABLE_AFTER - MINUTE)
    await keeping.attempt(shop, "timeout", START + DISABLE_AFTER)
    assert await keeping.disabled_reason(shop) is None
    assert (await keeping.stored(shop)).failing_since == START + DISABLE_AFTER


async def test_the_days_go_on_in_another_process(database: Database) -> None:
    shop = await add(database)
    await Keeping(database).attempt(shop, "timeout")
    after = Keeping(database)
    await after.attempt(shop, "timeout", START + DISABLE_AFTER)
    assert await after.disabled_reason(shop) == FAILED_TOO_LONG


async def test_what_another_worker_saw_meanwhile_counts(database: Database) -> None:
    """Receivers change hands: a worker that had it long ago does not disable it for what it saw then."""
    first, second, shop = Keeping(database), Keeping(database), await add(database)
    await first.attempt(shop, "timeout")
    await second.attempt(shop, at=START + timedelta(days=4))
    await first.attempt(shop, "timeout", START + timedelta(days=6))
    assert await first.disabled_reason(shop) is None
    assert (await first.stored(shop)).failing_since == START + timedelta(days=6)


async def test_what_another_worker_saw_first_counts_too(database: Database) -> None:
    first, second, shop = Keeping(database), Keeping(database), await add(database)
    await first.attempt(shop)
    await second.attempt(shop, "timeout", START + MINUTE)
    await first.attempt(shop, "timeout", START + timedelta(days=1))
    assert (await first.stored(shop)).failing_since == START + MINUTE


async def test_one_that_a_person_says_is_well_is_begun_anew(database: Database) -> None:
    keeping, shop = Keeping(database), await add(database)
    await keeping.attempt(shop, "timeout")
    await keeping.attempt(shop, "timeout", START + MINUTE)
    assert not keeping.forgotten
    await database.write(subscriptions.note_health, [Health(shop.number)])
    await keeping.attempt(shop, "timeout", START + DISABLE_AFTER)
    assert keeping.forgotten == [shop.number]
    assert await keeping.disabled_reason(shop) is None


async def test_what_cannot_be_stored_is_stored_later_in_the_order_of_what_happened(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping, shop, other = Keeping(database), await add(database), await add(database, "other")

    async def away(*_: Any) -> None:
        keeping.keeper.note(shop, START + 2 * MINUTE, "receiver_error")
        raise DatabaseUnavailable

    for broken in ("read", "write"):
        with monkeypatch.context() as patched:
            patched.setattr(database, broken, away)
            await keeping.attempt(shop, "timeout", START + MINUTE)
    await keeping.attempt(other)
    assert await keeping.stored(shop) == Health(
        shop.number, START + MINUTE, None, START + 2 * MINUTE, "receiver_error"
    )
    assert (await keeping.stored(other)).last_success_at == keeping.now


async def test_it_is_disabled_only_once_and_not_when_it_is_gone(database: Database) -> None:
    keeping, shop = Keeping(database), await add(database)
    await keeping.keeper.disable(shop, "gone", {})
    await keeping.keeper.disable(shop, "gone", {})
    assert [(kind, facts) for kind, _, _, facts in keeping.told] == [
        (DISABLED, {"subscription_id": "shop", "url": shop.url, "reason": "gone"})
    ]
    deleted = await add(database, "deleted")
    await database.write(subscriptions.delete, "deleted", START)
    await keeping.keeper.disable(deleted, "gone", {})
    assert len(keeping.told) == 1
    [entry] = (await database.read(audit.page)).items
    assert (str(entry.actor), entry.action, entry.subject_id) == ("system worker", DISABLED, "shop")
    assert (entry.before, entry.after) == ({"disabled_reason": None}, {"disabled_reason": "gone"})
