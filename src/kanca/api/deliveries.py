"""``/api/deliveries``: what was sent, is being sent, and is sent again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from kanca.api.answers import Json
from kanca.api.audit import About, Audited
from kanca.api.audited import A_DELIVERY
from kanca.api.callers import Caller, CallerTenant
from kanca.api.delivery_models import (
    DeliveryPage,
    DeliveryWithAttempts,
    Resent,
    show_delivery,
    show_delivery_with_attempts,
)
from kanca.api.fields import ChosenId, DeliveryIdPath, EventId, EventType, Moment, Text
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.services import Given, Services
from kanca.domain.ids import DELIVERY, show_id
from kanca.domain.status import DeliveryStatus
from kanca.domain.task import Attempt
from kanca.errors import DeliveryNotFound, DeliveryOpen, PayloadExpunged, SubscriptionNotFound
from kanca.storage import deliveries, subscriptions
from kanca.storage.deliveries import DeliveryFilter, DeliveryView
from kanca.storage.pages import MAX_LIMIT
from kanca.storage.resending import resend as resend_delivery

router = resource("Deliveries", "/api/deliveries")


class DeliverySearch(BaseModel):
    """Which deliveries, and which page of them."""

    model_config = ConfigDict(extra="forbid")

    subscription_id: ChosenId | None = Field(None, description="Only those for this subscription.")
    event_id: EventId | None = Field(None, description="Only those of this event.")
    event_type: EventType | None = Field(None, description="Only those of events of exactly this type.")
    status: DeliveryStatus | None = Field(None, description="Only those with this status.")
    tenant: ChosenId | None = Field(None, description="Only those of events with this label.")
    since: Moment | None = Field(None, description="Of events received at or after this moment.")
    until: Moment | None = Field(None, description="Of events received before this moment.")
    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="The most items of a page.")
    cursor: Text | None = Field(None, max_length=200, description="`next_cursor` of the page before.")


@router.get(
    "",
    summary="List and search deliveries",
    operation_id="list_deliveries",
    response_model=DeliveryPage,
    responses=refused_with(SubscriptionNotFound),
)
async def list_all(services: Given, caller: CallerTenant, search: Annotated[DeliverySearch, Query()]) -> Json:
    """List deliveries, open and ended ones, those of the newest events first.

    Searching goes back only so far for one page: a page may hold fewer than `limit` although there are more.
    `next_cursor` is null only at the end.
    """
    wanted = DeliveryFilter(
        await _numbers(services, search.subscription_id, caller),
        caller.tenant_of(search.tenant),
        search.status,
        search.event_type,
        search.event_id,
        search.since,
        search.until,
    )
    page = await services.database.read(deliveries.page, wanted, search.limit, search.cursor)
    items = [show_delivery(found) for found in page.items]
    return Json(DeliveryPage(items=items, next_cursor=page.next_cursor))


@router.get(
    "/{delivery_id}",
    summary="Read a delivery",
    operation_id="get_delivery",
    response_model=DeliveryWithAttempts,
    responses=refused_with(DeliveryNotFound),
)
async def get(services: Given, caller: CallerTenant, delivery_id: DeliveryIdPath) -> Json:
    """Read one delivery with each attempt that has ended, and what the receiver answered."""
    found, earlier = await services.database.read(_with_attempts, delivery_id, caller)
    return Json(show_delivery_with_attempts(found, earlier))


@router.post(
    "/{delivery_id}/resend",
    summary="Resend a delivery",
    operation_id="resend_delivery",
    responses=refused_with(DeliveryNotFound, SubscriptionNotFound, DeliveryOpen, PayloadExpunged),
)
async def resend(
    services: Given, trail: Audited, caller: CallerTenant, delivery_id: DeliveryIdPath
) -> Resent:
    """Make a delivery that has ended once more, with all its attempts, whatever became of it.

    It carries the same `webhook-id`, so a receiver that has it already can tell.
    """
    resent = About[None]("delivery.resent", A_DELIVERY, delivery_id)
    await trail.write(resent, _resend, delivery_id, caller, services.now())
    services.wake()
    return Resent(status="resend_scheduled", id=show_id(DELIVERY, delivery_id))


async def _numbers(services: Services, subscription_id: str | None, caller: Caller) -> list[int] | None:
    """The numbers that a subscription has, and had before it was deleted. Raises SubscriptionNotFound."""
    if subscription_id is None:
        return None
    numbers = await services.database.read(subscriptions.numbers_of, subscription_id, tenant=caller.tenant)
    if not numbers:
        raise SubscriptionNotFound(f"There is no subscription {subscription_id}.")
    return numbers


def _with_attempts(
    connection: Connection, delivery_id: UUID, caller: Caller
) -> tuple[DeliveryView, tuple[Attempt, ...]]:
    found = _find(connection, delivery_id, caller)
    return found, deliveries.attempts_of(connection, found)


def _resend(connection: Connection, delivery_id: UUID, caller: Caller, now: datetime) -> None:
    found = _find(connection, delivery_id, caller)
    if found.event_type is None:
        raise DeliveryNotFound("The event of this delivery is gone: there is nothing left to send.")
    resend_delivery(connection, found.row.key, now)


def _find(connection: Connection, delivery_id: UUID, caller: Caller) -> DeliveryView:
    found = deliveries.get(connection, delivery_id)
    if found is None or not caller.owns(found.tenant):
        raise DeliveryNotFound(f"There is no delivery {show_id(DELIVERY, delivery_id)}, or not any more.")
    return found
