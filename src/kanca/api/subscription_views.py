"""What is shown of subscriptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from kanca.api.callers import Caller
from kanca.api.secret_rotation import live, masked
from kanca.api.services import Services
from kanca.api.subscription_models import HealthView, SubscriptionView
from kanca.api.subscription_rules import hint_of, unreadable_hint
from kanca.domain.subscription import SignatureKind, Subscription
from kanca.domain.subscription_config import show_subscription_config
from kanca.domain.subscription_health import Health
from kanca.errors import SubscriptionNotFound
from kanca.outbound.keys import public_key
from kanca.storage import subscriptions


async def find(services: Services, subscription_id: str, caller: Caller) -> Subscription:
    """The subscription with that id. Raises SubscriptionNotFound, also for one that is not the caller's."""
    found = await services.database.read(subscriptions.get, services.secret_box, subscription_id)
    if found is None or not caller.owns(found.tenant):
        raise SubscriptionNotFound(f"There is no subscription {subscription_id}.")
    return found


async def shown(
    services: Services, subscription: Subscription, *, shows_secret: bool = False
) -> SubscriptionView:
    """The subscription as JSON, with how its receiver is; its secret in full when ``shows_secret``."""
    facts = await facts_of(services, subscription, shows_secret=shows_secret)
    return SubscriptionView(status=subscription.status, **facts)


async def facts_of(
    services: Services, subscription: Subscription, *, shows_secret: bool = False
) -> dict[str, Any]:
    """The members of a ``ShownSubscription``."""
    health = await services.database.read(subscriptions.health_of, [subscription.number])
    return shown_facts(subscription, health[subscription.number], services.now(), shows_secret=shows_secret)


def shown_facts(
    subscription: Subscription,
    health: Health,
    now: datetime,
    *,
    shows_secret: bool = False,
    unreadable: Sequence[str] = (),
) -> dict[str, Any]:
    """The members of a ``ShownSubscription``.

    ``unreadable`` is what of the stored subscription could not be read, and so is left out: ``config``, ``secrets``.
    """
    newest = next((secret.value for secret in live(subscription.secrets, now)), None)
    well = asdict(health)
    del well["subscription"]
    return {
        "id": subscription.id,
        "name": subscription.name,
        "tenant": subscription.tenant,
        "url": subscription.url,
        "events": list(subscription.events),
        "sources": list(subscription.sources),
        "active": subscription.is_active,
        "is_verified": subscription.is_verified,
        "disabled_reason": subscription.disabled_reason,
        "disabled_at": subscription.disabled_at,
        "hint": unreadable_hint(unreadable) if unreadable else hint_of(subscription, now),
        "secret": newest if shows_secret or newest is None else masked(newest),
        "public_key": public_key_of(subscription, newest),
        **show_subscription_config(subscription.config),
        "health": HealthView(**well),
        "created_at": subscription.created_at,
        "updated_at": subscription.updated_at,
    }


def public_key_of(subscription: Subscription, secret: str | None) -> str | None:
    """What receivers verify with, where that is not the secret itself."""
    if secret is None or subscription.config.signature is not SignatureKind.ED25519:
        return None
    return public_key(secret)
