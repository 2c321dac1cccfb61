"""``/api/replays``: deliveries made from stored events, many at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel

from kanca.api.audit import About, Audited, Trail
from kanca.api.audited import A_REPLAY
from kanca.api.callers import CallerTenant
from kanca.api.fields import ChosenId, Cursor, Limit, Moment, ReplayIdPath, SubscriptionIdPath, Tenant, Text
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.services import Given, Services
from kanca.domain import task as domain
from kanca.domain.event import MAX_TYPE_LENGTH
from kanca.domain.ids import REPLAY, show_id
from kanca.domain.patterns import is_pattern
from kanca.domain.status import ReplayOnly, ReplayStatus
from kanca.domain.subscription import Subscription, SubscriptionStatus
from kanca.domain.subscription_config import MAX_RATE_PER_SECOND
from kanca.errors import InvalidInput, ReplayNotFound, ReplayOver, SubscriptionNotFound
from kanca.outbound.filtering import Filters
from kanca.outbound.matching import Subscribers
from kanca.outbound.replaying import Chooser
from kanca.storage import replays, subscriptions

router = resource("Deliveries", "/api/replays")
of_deliveries = resource("Deliveries", "/api/deliveries")
of_subscription = resource("Subscriptions", "/webhooks/subscriptions")

_MOST_TYPES = 100
_REPLAY: dict[str, JsonValue] = {
    "id": "rpl_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "subscription_id": "sub_5f0c2a9d84b1e7c65a20d9f4",
    "tenant": None,
    "only": "failed",
    "since": "2026-03-01T00:00:00Z",
    "until": "2026-03-02T00:00:00Z",
    "event_types": [],
    "rate_per_second": 50.0,
    "status": "running",
    "total": 4711,
    "queued": 1250,
    "created_at": "2026-03-02T09:00:00.123456Z",
    "started_at": "2026-03-02T09:00:00.140012Z",
    "finished_at": None,
}


class ReplayOfSubscription(BaseModel):
    """Which deliveries to make."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"since": "2026-03-01T00:00:00Z", "only": "failed", "dry_run": True}]
        },
    )

    since: Moment = Field(description="Of events received at or after this moment.")
    until: Moment | None = Field(
        None, description="Of events received before this moment; now, if not given."
    )
    only: ReplayOnly = Field(
        ReplayOnly.FAILED,
        description="`failed`: those that are dead. `missing`: those that there never were, or that were skipped. "
        "`all`: delivered ones too. Never those that are open.",
    )
    event_types: list[Annotated[Text, Field(min_length=1, max_length=MAX_TYPE_LENGTH)]] = Field(
        [], max_length=_MOST_TYPES, description="Types or wildcards; all, if not given."
    )
    rate_per_second: float | None = Field(
        None, strict=True, ge=0.01, le=MAX_RATE_PER_SECOND, description="As fast as may be, if not given."
    )
    dry_run: bool = Field(False, strict=True, description="Only say how many they would be.")


class ReplayOfAll(ReplayOfSubscription):
    """Which deliveries to make, to all subscriptions."""

    tenant: ChosenId | None = Field(None, description="Only those of events with this label.")


class Replay(BaseModel):
    """Deliveries that are made from stored events: a job that goes on where it stopped."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REPLAY]})

    id: str
    subscription_id: str | None = Field(description="null: all that are active.")
    tenant: str | None
    only: ReplayOnly
    since: datetime
    until: datetime
    event_types: list[str]
    rate_per_second: float | None
    status: ReplayStatus
    total: int = Field(description="Deliveries that there were to make when it was created.")
    queued: int = Field(description="Deliveries that it has queued so far.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ReplayCount(BaseModel):
    """What a replay would do."""

    count: int = Field(description="Deliveries that there are to make.")


class ReplayAnswer(RootModel[Replay | ReplayCount]):
    """A new replay; with `dry_run` only how many deliveries it would make."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REPLAY, {"count": 4711}]})


class ReplayPage(BaseModel):
    """Some replays, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_REPLAY], "next_cursor": None}]})

    items: list[Replay]
    next_cursor: str | None


@of_subscription.post(
    "/{subscription_id}/replay",
    summary="Replay to a subscription",
    operation_id="replay_to_subscription",
    responses=refused_with(SubscriptionNotFound, InvalidInput),
)
async def replay_to_subscription(
    services: Given,
    trail: Audited,
    caller: CallerTenant,
    subscription_id: SubscriptionIdPath,
    request: ReplayOfSubscription,
) -> ReplayAnswer:
    """Make deliveries to one subscription from stored events that it wants as it is now.

    It must be active.
    """
    subscriptions_now = await _subscriptions(services)
    found = next((each for each in subscriptions_now if each.id == subscription_id), None)
    if found is None or not caller.owns(found.tenant):
        raise SubscriptionNotFound(f"There is no subscription {subscription_id}.")
    if found.status is not SubscriptionStatus.ACTIVE:
        raise InvalidInput(f"The subscription is {found.status}: nothing would be delivered.")
    asked = _asked(services, request, subscription=found.number, tenant=found.tenant)
    return await _start(services, trail, asked, subscriptions_now, request)


@of_deliveries.post(
    "/replay",
    summary="Replay to all subscriptions",
    operation_id="replay_deliveries",
    responses=refused_with(InvalidInput),
)
async def replay_to_all(
    services: Given, caller: CallerTenant, trail: Audited, request: ReplayOfAll
) -> ReplayAnswer:
    """Make deliveries to all active subscriptions from stored events that they want as they are now."""
    asked = _asked(services, request, tenant=caller.tenant_of(request.tenant))
    return await _start(services, trail, asked, await _subscriptions(services), request)


@router.get("", summary="List replays", operation_id="list_replays")
async def list_all(
    services: Given, caller: CallerTenant, limit: Limit = 50, cursor: Cursor = None, tenant: Tenant = None
) -> ReplayPage:
    """List replays of deliveries, the newest first."""
    page = await services.database.read(replays.page, limit, cursor, caller.tenant_of(tenant))
    names = await services.database.read(
        subscriptions.ids_of, {each.subscription for each in page.items if each.subscription is not None}
    )
    items = [_shown(each, names) for each in page.items]
    return ReplayPage(items=items, next_cursor=page.next_cursor)


@router.get(
    "/{replay_id}",
    summary="Read a replay",
    operation_id="get_replay",
    responses=refused_with(ReplayNotFound),
)
async def get(services: Given, caller: CallerTenant, replay_id: ReplayIdPath) -> Replay:
    """Read one replay: how far it has come."""
    found = await services.database.read(replays.get, replay_id)
    if found is None or not caller.owns(found.tenant):
        raise ReplayNotFound(f"There is no replay {show_id(REPLAY, replay_id)}.")
    return await _named(services, found)


@router.post(
    "/{replay_id}/cancel",
    summary="Cancel a replay",
    operation_id="cancel_replay",
    responses=refused_with(ReplayNotFound, ReplayOver),
)
async def cancel(services: Given, trail: Audited, caller: CallerTenant, replay_id: ReplayIdPath) -> Replay:
    """End a replay. The deliveries that it has queued are made all the same."""
    cancelled = About[domain.Replay]("replay.cancelled", A_REPLAY, replay_id)
    now = services.now()
    found = await trail.write(cancelled, replays.cancel, replay_id, now, tenant=caller.tenant)
    return await _named(services, found)


async def _subscriptions(services: Services) -> list[Subscription]:
    """All whose config can be read."""
    found = await services.database.read(subscriptions.read_all, services.secret_box)
    return [each.subscription for each in found if "config" not in each.unreadable]


def _asked(
    services: Services,
    request: ReplayOfSubscription,
    *,
    subscription: int | None = None,
    tenant: str | None = None,
) -> domain.Replay:
    """The replay that is asked for. Raises InvalidInput."""
    now = services.now()
    # What comes in from now on is sent anyway.
    until = min(request.until or now, now)
    if request.since >= until:
        raise InvalidInput("`since` must be before `until`, and in the past.")
    wrong = [each for each in request.event_types if not is_pattern(each)]
    if wrong:
        raise InvalidInput(f"{wrong[0][:64]!a} is no event type and no wildcard.")
    return domain.Replay(
        id=services.ids.new(),
        tenant=tenant,
        subscription=subscription,
        only=request.only,
        since=request.since,
        until=until,
        event_types=tuple(request.event_types),
        rate_per_second=request.rate_per_second,
        status=ReplayStatus.PENDING,
        position=None,
        total=0,
        queued=0,
        created_at=now,
    )


async def _start(
    services: Services,
    trail: Trail,
    asked: domain.Replay,
    subscriptions_now: list[Subscription],
    request: ReplayOfSubscription,
) -> ReplayAnswer:
    """Count what there is to do and, unless it is a dry run, begin with it."""
    chooser = Chooser(services.database, Subscribers(subscriptions_now), Filters())
    count = await chooser.count(asked)
    if request.dry_run:
        return ReplayAnswer(ReplayCount(count=count))
    replay = replace(asked, total=count)
    created = About[None]("replay.created", A_REPLAY, made=lambda _: replay.id)
    await trail.write(created, replays.create, replay, services.now())
    services.wake()
    return ReplayAnswer(await _named(services, replay))


async def _named(services: Services, replay: domain.Replay) -> Replay:
    numbers = [] if replay.subscription is None else [replay.subscription]
    return _shown(replay, await services.database.read(subscriptions.ids_of, numbers))


def _shown(replay: domain.Replay, names: Mapping[int, str]) -> Replay:
    return Replay(
        id=show_id(REPLAY, replay.id),
        subscription_id=None if replay.subscription is None else names.get(replay.subscription),
        tenant=replay.tenant,
        only=replay.only,
        since=replay.since,
        until=replay.until,
        event_types=list(replay.event_types),
        rate_per_second=replay.rate_per_second,
        status=replay.status,
        total=replay.total,
        queued=replay.queued,
        created_at=replay.created_at,
        started_at=replay.started_at,
        finished_at=replay.finished_at,
    )
