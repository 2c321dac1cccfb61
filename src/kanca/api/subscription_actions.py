"""``/webhooks/subscriptions/{id}/…``: what a person does with a subscription."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, Response

from kanca.api.attempt_models import attempt_view
from kanca.api.audit import About, Audited
from kanca.api.audited import SUBSCRIPTION
from kanca.api.callers import CallerTenant
from kanca.api.endpoint_models import Rotation
from kanca.api.fields import SubscriptionIdPath
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.secret_rotation import live
from kanca.api.services import Given
from kanca.api.subscription_changes import enable_subscription, rotate_subscription_secret
from kanca.api.subscription_models import (
    OldSigningSecret,
    RevealedSigningSecret,
    SubscriptionTest,
    SubscriptionView,
)
from kanca.api.subscription_sending import send_test, verify
from kanca.api.subscription_views import find, public_key_of, shown
from kanca.api.subscriptions import NEVER_STORED, go_on
from kanca.domain.ids import EVENT, show_id
from kanca.domain.subscription import Subscription
from kanca.errors import ChallengeFailed, InvalidSecret, SecretRequired, SubscriptionNotFound, Unavailable

router = resource("Subscriptions", "/webhooks/subscriptions/{subscription_id}")


@router.post(
    "/test",
    summary="Test a subscription",
    operation_id="test_subscription",
    responses=refused_with(SubscriptionNotFound, Unavailable),
)
async def test(
    services: Given, trail: Audited, caller: CallerTenant, subscription_id: SubscriptionIdPath
) -> SubscriptionTest:
    """Send a `test.event` once, signed as every delivery, whether or not the subscription is active or wants it.

    Its data is the example of the first of its event types that the catalogue has one of.
    """
    subscription = await find(services, subscription_id, caller)
    tested = await send_test(services, trail, subscription)
    report = tested.report
    return SubscriptionTest(
        status="delivered" if report.code is None else "failed",
        status_code=report.status,
        event_id=show_id(EVENT, tested.event.id),
        attempt=attempt_view(report),
    )


@router.post(
    "/rotate-secret",
    summary="Replace a subscription's secret",
    operation_id="rotate_subscription_secret",
    responses=refused_with(SubscriptionNotFound, InvalidSecret),
)
async def rotate_secret(
    services: Given,
    trail: Audited,
    caller: CallerTenant,
    response: Response,
    subscription_id: SubscriptionIdPath,
    rotation: Annotated[Rotation | None, Body()] = None,
) -> SubscriptionView:
    """Sign with a new secret; deliveries carry signatures with the old one too until the grace is over."""
    wanted = rotation or Rotation()
    detail = {"grace_seconds": wanted.grace_seconds, "is_given": wanted.secret is not None}
    rotated = About[Subscription](
        "subscription.secret_rotated", SUBSCRIPTION, subscription_id, detail=lambda _: detail
    )
    subscription = await trail.write(
        rotated, rotate_subscription_secret, services, caller, subscription_id, wanted
    )
    response.headers.update(NEVER_STORED)
    return await shown(services, subscription, shows_secret=True)


@router.post(
    "/reveal-secret",
    summary="Show a subscription's secret",
    operation_id="reveal_subscription_secret",
    responses=refused_with(SubscriptionNotFound, SecretRequired),
)
async def reveal_secret(
    services: Given,
    trail: Audited,
    caller: CallerTenant,
    response: Response,
    subscription_id: SubscriptionIdPath,
) -> RevealedSigningSecret:
    """Show the secret in full, with those before it that still sign. Every look is written down."""
    subscription = await find(services, subscription_id, caller)
    secrets = live(subscription.secrets, services.now())
    if not secrets:
        raise SecretRequired("The subscription has no secret: rotate it.")
    await trail.note("subscription.secret_revealed", SUBSCRIPTION, subscription_id)
    response.headers.update(NEVER_STORED)
    return RevealedSigningSecret(
        subscription_id=subscription_id,
        secret=secrets[0].value,
        public_key=public_key_of(subscription, secrets[0].value),
        old_secrets=[
            OldSigningSecret(secret=old.value, expires_at=old.expires_at)
            for old in secrets[1:]
            if old.expires_at is not None
        ],
    )


@router.post(
    "/enable",
    summary="Enable a subscription",
    operation_id="enable_subscription",
    responses=refused_with(SubscriptionNotFound),
)
async def enable(
    services: Given, trail: Audited, caller: CallerTenant, subscription_id: SubscriptionIdPath
) -> SubscriptionView:
    """Send to it again, whoever switched it off. What it missed is not sent by that: see `replay`."""
    enabled = About[Subscription]("subscription.enabled", SUBSCRIPTION, subscription_id)
    subscription = await trail.write(enabled, enable_subscription, services, caller, subscription_id)
    await go_on(services, subscription.number)
    return await shown(services, subscription)


@router.post(
    "/challenge",
    summary="Challenge a subscription's receiver",
    operation_id="challenge_subscription",
    responses=refused_with(SubscriptionNotFound, ChallengeFailed, Unavailable),
)
async def challenge(
    services: Given, trail: Audited, caller: CallerTenant, subscription_id: SubscriptionIdPath
) -> SubscriptionView:
    """Ask the receiver to echo a token: `{"type": "webhook.challenge", "challenge": token}`, signed as all is.

    It must answer 2xx with `{"challenge": token}` or the bare token. Else this is 409, with the `attempt`.
    """
    found = await find(services, subscription_id, caller)
    subscription, report = await verify(services, trail, found)
    if report.code is not None:
        sentence = f"The receiver has not echoed the token: {report.message}."
        raise ChallengeFailed(sentence, attempt=attempt_view(report).model_dump())
    await go_on(services, subscription.number)
    return await shown(services, subscription)
