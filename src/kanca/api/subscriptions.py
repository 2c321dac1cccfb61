"""``/webhooks/subscriptions``: who is sent events."""

from __future__ import annotations

from fastapi import Response

from kanca.api.attempt_models import attempt_view
from kanca.api.audit import About, Audited, Trail
from kanca.api.audited import SUBSCRIPTION
from kanca.api.callers import CallerTenant
from kanca.api.fields import Cursor, Limit, SubscriptionIdPath, Tenant
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.services import Given, Services
from kanca.api.subscription_changes import change_subscription, create_subscription
from kanca.api.subscription_models import (
    SubscriptionCreated,
    SubscriptionDeleted,
    SubscriptionPage,
    SubscriptionView,
)
from kanca.api.subscription_requests import SubscriptionChange, SubscriptionRequest
from kanca.api.subscription_sending import verify
from kanca.api.subscription_views import facts_of, find, shown, shown_facts
from kanca.domain.subscription import Subscription
from kanca.domain.task import TaskKind
from kanca.errors import (
    ConfigUnreadable,
    InvalidSecret,
    InvalidSubscription,
    SubscriptionExists,
    SubscriptionNotFound,
)
from kanca.outbound.reports import AttemptReport
from kanca.storage import subscriptions

router = resource("Subscriptions", "/webhooks/subscriptions")

NEVER_STORED = {"Cache-Control": "no-store"}


@router.post(
    "",
    summary="Create a subscription",
    operation_id="create_subscription",
    responses=refused_with(InvalidSubscription, InvalidSecret, SubscriptionExists),
)
async def create(
    services: Given,
    trail: Audited,
    caller: CallerTenant,
    response: Response,
    request: SubscriptionRequest,
) -> SubscriptionCreated:
    """Have events sent to a URL from now on. `secret` is shown in full here, and later only by `reveal-secret`.

    With `challenge`, the receiver is asked at once to echo a token. If it does not, the subscription is there all the
    same, and is sent nothing: `hint` says so, and `attempt` why.
    """
    created = About[Subscription]("subscription.created", SUBSCRIPTION, made=lambda made: made.id)
    subscription = await trail.write(created, create_subscription, services, caller, request)
    report = None
    if subscription.config.challenge:
        subscription, report = await asked(services, trail, subscription)
    response.headers.update(NEVER_STORED)
    return SubscriptionCreated(
        status="created",
        subscription_id=subscription.id,
        attempt=None if report is None else attempt_view(report),
        **await facts_of(services, subscription, shows_secret=True),
    )


@router.get("", summary="List subscriptions", operation_id="list_subscriptions")
async def list_all(
    services: Given, caller: CallerTenant, limit: Limit = 50, cursor: Cursor = None, tenant: Tenant = None
) -> SubscriptionPage:
    """List subscriptions, the newest first, those too whose config or secrets cannot be read: `hint` says so."""
    page = await services.database.read(
        subscriptions.page, services.secret_box, limit, cursor, caller.tenant_of(tenant)
    )
    numbers = [listed.subscription.number for listed in page.items]
    health = await services.database.read(subscriptions.health_of, numbers)
    now = services.now()
    items = [
        SubscriptionView(
            status=each.status, **shown_facts(each, health[each.number], now, unreadable=unreadable)
        )
        for each, unreadable, _ in page.items
    ]
    return SubscriptionPage(items=items, next_cursor=page.next_cursor)


@router.get(
    "/{subscription_id}",
    summary="Read a subscription",
    operation_id="get_subscription",
    responses=refused_with(SubscriptionNotFound, ConfigUnreadable),
)
async def get(services: Given, caller: CallerTenant, subscription_id: SubscriptionIdPath) -> SubscriptionView:
    """Read one subscription."""
    return await shown(services, await find(services, subscription_id, caller))


@router.put(
    "/{subscription_id}",
    summary="Change a subscription",
    operation_id="change_subscription",
    responses=refused_with(SubscriptionNotFound, InvalidSubscription, ConfigUnreadable),
)
async def change(
    services: Given,
    trail: Audited,
    caller: CallerTenant,
    subscription_id: SubscriptionIdPath,
    request: SubscriptionChange,
) -> SubscriptionView:
    """Change what is given; the rest stays. Takes effect within a second, for open deliveries too.

    With `challenge`, a new `url` has to echo a token first, as one of a new subscription.
    """
    changed = About[tuple[Subscription, bool]]("subscription.changed", SUBSCRIPTION, subscription_id)
    subscription, must_ask = await trail.write(
        changed, change_subscription, services, caller, subscription_id, request
    )
    if must_ask:
        subscription, _ = await asked(services, trail, subscription)
    await go_on(services, subscription.number)
    return await shown(services, subscription)


@router.delete(
    "/{subscription_id}",
    summary="Delete a subscription",
    operation_id="delete_subscription",
    responses=refused_with(SubscriptionNotFound),
)
async def delete(
    services: Given, trail: Audited, caller: CallerTenant, subscription_id: SubscriptionIdPath
) -> SubscriptionDeleted:
    """Send it nothing more: open deliveries are skipped. What was delivered is still shown; its secrets are gone."""
    deleted = About[int]("subscription.deleted", SUBSCRIPTION, subscription_id)
    number = await trail.write(deleted, subscriptions.delete, subscription_id, services.now(), caller.tenant)
    await go_on(services, number)
    return SubscriptionDeleted(status="deleted", subscription_id=subscription_id)


async def asked(
    services: Services, trail: Trail, subscription: Subscription
) -> tuple[Subscription, AttemptReport | None]:
    """Ask the receiver to echo a token, if this process can: the subscription as it is then, and the attempt."""
    if services.send is None:
        return subscription, None
    return await verify(services, trail, subscription)


async def go_on(services: Services, number: int) -> None:
    """Have workers look anew at the open deliveries that wait for the subscription."""
    await services.database.queue.unpark(TaskKind.DELIVER, number)
    services.wake()
