"""``/webhooks/subscriptions/{id}/jwks.json``: what receivers verify deliveries with, for anybody."""

from __future__ import annotations

from fastapi import APIRouter, Response

from kanca.api.fields import SubscriptionIdPath
from kanca.api.openapi import refused_with
from kanca.api.secret_rotation import live
from kanca.api.services import Given
from kanca.api.subscription_models import KeySet
from kanca.domain.subscription import SignatureKind
from kanca.errors import DatabaseUnavailable, SubscriptionNotFound
from kanca.outbound.keys import jwk
from kanca.storage import subscriptions

router = APIRouter(tags=["Subscriptions"])

_KEPT_FOR_MINUTES = {"Cache-Control": "public, max-age=300"}


@router.get(
    "/webhooks/subscriptions/{subscription_id}/jwks.json",
    summary="Read the public keys of a subscription",
    operation_id="get_subscription_keys",
    responses=refused_with(SubscriptionNotFound, DatabaseUnavailable),
)
async def keys(services: Given, response: Response, subscription_id: SubscriptionIdPath) -> KeySet:
    """Read what deliveries are verified with, of a subscription with `signature: ed25519`. It needs no key."""
    subscription = await services.database.read(subscriptions.get, services.secret_box, subscription_id)
    if subscription is None or subscription.config.signature is not SignatureKind.ED25519:
        # The same words for both: who asks here may not know which subscriptions there are.
        raise SubscriptionNotFound(f"No subscription {subscription_id} has public keys.")
    response.headers.update(_KEPT_FOR_MINUTES)
    return KeySet(keys=[jwk(secret.value) for secret in live(subscription.secrets, services.now())])
