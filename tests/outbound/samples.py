"""Events and subscriptions as tests of sending need them: valid, and otherwise whatever."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from kanca.domain.endpoint import Secret
from kanca.domain.event import StoredEvent, as_stored
from kanca.domain.subscription import Subscription
from kanca.domain.subscription_config import read_subscription_config
from tests.factories import new_event

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PRIVATE_KEY = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC_KEY = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="


def an_event(**values: Any) -> StoredEvent:
    """A stored event; without an ``endpoint`` it is a published one, whose body is made of ``data``."""
    data = values.pop("data", {"id": 1})
    body = json.dumps({"event_type": "order.created", "data": data}).encode()
    event = new_event(**{"endpoint": 0, "body": body, "received_at": NOW} | values)
    return as_stored(event)


def came_with(headers: list[tuple[str, str]]) -> bytes:
    """The request of an event that came in with these headers."""
    return json.dumps({"method": "POST", "headers": headers}).encode()


def a_subscription(url: str = "https://shop.example.com/hooks", **values: Any) -> Subscription:
    """An active subscription; ``config`` as JSON gives it."""
    config = read_subscription_config(values.pop("config", {}))
    secrets = tuple(
        each if isinstance(each, Secret) else Secret(each) for each in values.pop("secrets", (SECRET,))
    )
    given: dict[str, Any] = {
        "number": 7,
        "id": "shop",
        "tenant": "default",
        "name": "Shop",
        "events": ("*",),
        "sources": (),
        "is_active": True,
        "is_verified": True,
        "disabled_reason": None,
        "disabled_at": None,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Subscription(url=url, config=config, secrets=secrets, **given | values)
