"""A stand-in for all receivers: answers as it is told, and remembers what it was sent."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from kanca.domain.endpoint import Secret
from kanca.domain.event import StoredEvent
from kanca.domain.status import DeliveryStatus
from kanca.domain.subscription import Subscription, SubscriptionConfig
from kanca.domain.task import Delivery
from kanca.outbound.reports import AttemptReport
from kanca.outbound.sending import Sent
from kanca.outbound.verdict import fault_of
from kanca.storage import subscriptions
from kanca.storage.tables import deliveries
from kanca.workers.delivery_means import SendingMeans
from tests.workers.site import BOX, MOMENT, NOT_SENDING, Site

Answer = int | tuple[int, dict[str, str]] | asyncio.Event
"""A status, one with headers, or what the receiver waits for before it answers 200."""


class Receivers:
    """Answers each subscription with the next of its answers, and with 200 when there is none."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = defaultdict(list)
        self.sent: list[tuple[str, UUID]] = []
        self.bodies: list[bytes] = []
        self.in_flight: Counter[str] = Counter()
        self.most_in_flight: Counter[str] = Counter()
        self.on_attempt: Callable[[str], None] = lambda _: None

    async def attempt(self, subscription: Subscription, event: StoredEvent, body: bytes) -> Sent:
        """Make an attempt, as ``kanca.outbound.sending`` does."""
        name = subscription.id
        self.sent.append((name, event.id))
        self.bodies.append(body)
        self.in_flight[name] += 1
        self.most_in_flight[name] = max(self.most_in_flight[name], self.in_flight[name])
        began = datetime.now(UTC)
        try:
            self.on_attempt(name)
            answer = self.answers[name].pop(0) if self.answers[name] else 200
            if isinstance(answer, asyncio.Event):
                await answer.wait()
                answer = 200
            else:
                await asyncio.sleep(0)
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
        finally:
            self.in_flight[name] -= 1
        code, message = fault_of(status, headers, has_credential=False) or (None, None)
        report = AttemptReport(
            subscription.url, status, headers, address="203.0.113.1", code=code, message=message
        )
        return Sent(report, began, datetime.now(UTC), None)

    def count(self, name: str) -> int:
        """How many attempts a subscription's receiver got."""
        return sum(each == name for each, _ in self.sent)

    def means(self, **values: Any) -> SendingMeans:
        """What a worker sends with."""
        return replace(NOT_SENDING, sender=self, **values)


async def subscribe(site: Site, subscription_id: str, *events: str, **values: Any) -> Subscription:
    """Add a subscription; ``values`` are those of its config, or else of itself."""
    config = {key: values.pop(key) for key in list(values) if key in SubscriptionConfig.__dataclass_fields__}
    fields: dict[str, Any] = {
        "number": 0,
        "id": subscription_id,
        "tenant": "default",
        "name": subscription_id,
        "url": f"https://{subscription_id}.example.com/hook",
        "events": events or ("order.*",),
        "sources": (),
        "config": SubscriptionConfig(**config),
        "secrets": (Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),),
        "is_active": True,
        "is_verified": True,
        "disabled_reason": None,
        "disabled_at": None,
        "created_at": MOMENT,
        "updated_at": datetime.now(UTC),
    } | values
    return await site.database.write(subscriptions.create, BOX, Subscription(**fields))


async def published(site: Site, count: int = 1, **values: Any) -> list[UUID]:
    """Publish events."""
    return await site.accept(count=count, data=values.pop("data", {"id": 1}), endpoint=0, **values)


async def delivered(site: Site, event: UUID, count: int = 1) -> dict[int, Delivery]:
    """The deliveries of an event that have ended, once there are so many."""
    found: dict[int, Delivery] = {}

    async def are_there() -> bool:
        rows = await site.database.read(
            lambda connection: connection.execute(
                select(deliveries).where(deliveries.c.event_id == event)
            ).all()
        )
        found.update(
            {
                row.subscription: Delivery(**row._asdict() | {"status": DeliveryStatus(row.status)})
                for row in rows
            }
        )
        return len(found) >= count

    await site.until(are_there)
    return found
