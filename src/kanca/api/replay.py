"""``/api/events/…/replay``: new work made from stored events."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from kanca.api.audit import About, Audited, Trail
from kanca.api.audited import EVENTS, STORED_EVENT
from kanca.api.callers import CallerTenant
from kanca.api.endpoints import find as find_endpoint
from kanca.api.events import stored_event
from kanca.api.fields import ChosenId, CorrelationId, EventIdPath, EventType, Moment, WebhookId
from kanca.api.openapi import refused_with
from kanca.api.ownership import OWN_EVENT, check_endpoint
from kanca.api.routing import resource
from kanca.api.services import Given, Services
from kanca.domain.event import NewEvent, StoredEvent
from kanca.domain.expunged import expunged_at
from kanca.domain.ids import EVENT, show_id
from kanca.domain.status import EventStatus
from kanca.errors import EndpointNotFound, EventNotFound, InvalidInput, PayloadExpunged
from kanca.storage import event_copies, event_list, events
from kanca.storage.event_list import EventFilter

router = resource("Events", "/api/events")

MOST_REPLAYED = 1_000
_AT_ONCE = 50
"""Events that are read and written together: bodies may be large."""
_EVENT_ID = "evt_019503f0a1c27d3e8f00b4a6c8d2e1f0"
_NEW_ID = "evt_019504a1b2c37d3e8f00b4a6c8d2e1f1"


class Replayed(BaseModel):
    """The new event."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "replayed", "event_id": _NEW_ID, "replay_of": _EVENT_ID}]}
    )

    status: str
    event_id: str
    replay_of: str = Field(description="The event whose bytes it has; of a replay, the original.")


class ReplayRequest(BaseModel):
    """Which events to replay. At least one condition besides `limit` and `dry_run` must be given."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "webhook_id": "wh_3f0c2a9d84b1e7c65a20d9f4",
                    "status": "dead",
                    "since": "2026-03-01T00:00:00Z",
                }
            ]
        },
    )

    webhook_id: WebhookId | None = None
    event_type: EventType | None = None
    status: EventStatus | None = None
    correlation_id: CorrelationId | None = None
    tenant: ChosenId | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: int = Field(
        100, strict=True, ge=1, le=MOST_REPLAYED, description="The most events, the newest first."
    )
    dry_run: bool = Field(False, strict=True, description="Only say which events they would be.")


class ReplayedItem(BaseModel):
    """One of several."""

    replay_of: str = Field(description="The event whose bytes are replayed.")
    event_id: str | None = Field(description="The new event; null with `dry_run`.")


class ReplayResult(BaseModel):
    """Which events were replayed, or would be."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "dry_run": False,
                    "replayed": 1,
                    "items": [{"replay_of": _EVENT_ID, "event_id": _NEW_ID}],
                    "has_more": False,
                }
            ]
        }
    )

    dry_run: bool
    replayed: int = Field(description="New events that were made.")
    items: list[ReplayedItem]
    has_more: bool = Field(description="More events fit than `limit` lets through.")


@router.post(
    "/{event_id}/replay",
    summary="Replay an event",
    operation_id="replay_event",
    dependencies=[OWN_EVENT],
    responses=refused_with(EventNotFound, PayloadExpunged),
)
async def replay(services: Given, trail: Audited, event_id: EventIdPath) -> Replayed:
    """Make a new event with the same bytes, which is worked through as if it had just come in."""
    replayed = About[list[NewEvent]]("event.replayed", STORED_EVENT, event_id, detail=_new_ids)
    events.with_payload(await stored_event(services, event_id))
    made = await _again(services, trail, replayed, [event_id])
    if not made:
        raise PayloadExpunged("The payload of the event was taken away meanwhile.")
    [new] = made
    return Replayed(
        status="replayed",
        event_id=show_id(EVENT, new.id),
        replay_of=show_id(EVENT, new.replay_of or event_id),
    )


@router.post(
    "/replay",
    summary="Replay many events",
    operation_id="replay_events",
    responses=refused_with(EndpointNotFound, InvalidInput),
)
async def replay_many(
    services: Given, caller: CallerTenant, trail: Audited, request: ReplayRequest
) -> ReplayResult:
    """Replay the newest events that fit all conditions, but for replays and those whose payload was expunged.

    Every event is a commit away from being replayed twice: after an answer that did not arrive, look at the newest
    events before asking again.
    """
    if not request.model_fields_set - {"limit", "dry_run"}:
        raise InvalidInput(
            "Say which events: at least one of webhook_id, event_type, status, correlation_id, since…"
        )
    if request.webhook_id is not None:
        await check_endpoint(services, caller, request.webhook_id)
    number = (await find_endpoint(services, request.webhook_id)).number if request.webhook_id else None
    wanted = EventFilter(
        number,
        caller.tenant_of(request.tenant),
        request.event_type,
        request.correlation_id,
        request.status,
        request.since,
        request.until or services.now(),
    )
    originals, has_more = await _originals(services, wanted, request.limit)
    items = await _replayed(services, trail, originals, is_real=not request.dry_run)
    replayed = sum(item.event_id is not None for item in items)
    return ReplayResult(dry_run=request.dry_run, replayed=replayed, items=items, has_more=has_more)


async def _originals(services: Services, wanted: EventFilter, limit: int) -> tuple[list[UUID], bool]:
    """The ids of the newest events that fit, and whether there are more."""
    found: list[UUID] = []
    cursor: str | None = None
    while True:
        page = await services.database.read(event_list.page, wanted, _AT_ONCE, cursor)
        found += [item.event.id for item in page.items if _can_be_replayed(item.event)]
        cursor = page.next_cursor
        if cursor is None or len(found) > limit:
            return found[:limit], len(found) > limit


def _can_be_replayed(event: StoredEvent) -> bool:
    return event.replay_of is None and expunged_at(event.request) is None


async def _replayed(
    services: Services, trail: Trail, originals: list[UUID], *, is_real: bool
) -> list[ReplayedItem]:
    """Replay them, the oldest first, as the items are then."""
    oldest_first = originals[::-1]
    if not is_real:
        return [ReplayedItem(replay_of=show_id(EVENT, original), event_id=None) for original in oldest_first]
    items: list[ReplayedItem] = []
    for start in range(0, len(oldest_first), _AT_ONCE):
        part = oldest_first[start : start + _AT_ONCE]
        for new in await _again(services, trail, _MANY, part):
            original = show_id(EVENT, new.replay_of or new.id)
            items.append(ReplayedItem(replay_of=original, event_id=show_id(EVENT, new.id)))
    return items


async def _again(
    services: Services, trail: Trail, about: About[list[NewEvent]], originals: list[UUID]
) -> list[NewEvent]:
    """Store new events with the bytes of these, but for those that were taken away meanwhile."""
    new = await trail.write(about, event_copies.make_replays, originals, services.ids.new, services.now())
    services.wake()
    return new


def _new_ids(new: list[NewEvent]) -> dict[str, Any] | None:
    """What the audit log says of new events."""
    return {"count": len(new), "event_ids": [show_id(EVENT, each.id) for each in new]} if new else None


_MANY = About[list[NewEvent]]("events.replayed", EVENTS, detail=_new_ids)
