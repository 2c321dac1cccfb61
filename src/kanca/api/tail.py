"""``GET /api/tail``: what comes in, while it comes in (server-sent events)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from sqlalchemy import Connection

from kanca.api.callers import Caller, CallerTenant
from kanca.api.fields import ChosenId, EventType, Moment, Text
from kanca.api.openapi import refused_with
from kanca.api.ownership import check_event
from kanca.api.routing import resource
from kanca.api.services import Given, Services
from kanca.api.tail_filter import Source, TailFilter
from kanca.api.tail_hub import TailHub
from kanca.api.tail_places import KEY_LABEL, MAX_LENGTH, Places
from kanca.api.tail_stream import TailOptions, TailResponse
from kanca.domain.ids import EVENT, id_at, read_id
from kanca.domain.patterns import is_pattern
from kanca.domain.status import EventStatus
from kanca.errors import (
    EndpointNotFound,
    EventNotFound,
    InvalidRequest,
    PlaceUnknown,
    ShuttingDown,
    TooManyTails,
)
from kanca.expressions.uses import compile_tail_filter
from kanca.storage import endpoints, feed
from kanca.storage.ports import Reach

router = resource("Events", "/api/tail")

MOST_TYPES = 50
_MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)
_EXAMPLE = """id: 4711
event: event
data: {"id":"evt_019503f0a1c27d3e8f00b4a6c8d2e1f0","event_type":"order.created","source":"inbound"}

event: outcome
data: {"id":"evt_019503f0a1c27d3e8f00b4a6c8d2e1f0","event_type":"order.created","status":"succeeded"}

"""


class TailSearch(BaseModel):
    """What is shown, from where on, and how."""

    model_config = ConfigDict(extra="forbid")

    endpoint: Text | None = Field(None, max_length=128, description="Only of this endpoint: its id or slug.")
    event_type: list[EventType] = Field(
        [], max_length=MOST_TYPES, description="Only of these types or patterns (`order.*`)."
    )
    tenant: ChosenId | None = Field(None, description="Only with this label.")
    provider: Text | None = Field(None, max_length=100, description="Only of this provider.")
    source: Source | None = Field(
        None, description="Only what was received, or published, or is operational."
    )
    filter: Text | None = Field(
        None, max_length=2_000, description="Only for which this CEL expression over `event` is true."
    )
    status: EventStatus | None = Field(
        None, description="Only how events end, and of that only what ends so (not `pending`)."
    )
    include: list[Literal["outcomes", "rejections"]] = Field(
        [], description="Beside new events: how they end; which requests are refused."
    )
    payload: bool = Field(False, description="With what the body says, up to 64 KB.")
    request: bool = Field(False, description="With method, path and headers.")
    follow: bool = Field(True, description="Go on for ever; false: end where the feed does now.")
    since: Text | None = Field(
        None, max_length=64, description="Begin behind this event (`evt_…`), or at this time. Default: now."
    )


@router.get(
    "",
    summary="Tail events live",
    operation_id="tail_events",
    response_class=StreamingResponse,
    responses=refused_with(EndpointNotFound, EventNotFound, PlaceUnknown, TooManyTails, ShuttingDown)
    | {
        200: {
            "description": "Server-sent events, until the client goes: `event`, `outcome`, `rejection`, `gap`.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        }
    },
)
async def tail(
    services: Given,
    caller: CallerTenant,
    request: Request,
    search: Annotated[TailSearch, Query()],
    last_event_id: Annotated[
        Text | None,
        Header(max_length=MAX_LENGTH, description="Go on behind this message: none missed, none twice."),
    ] = None,
) -> TailResponse:
    """Send each event as soon as it is stored, whichever gateway has accepted it, in one order for all.

    A message's `id` is its place in that order. Whoever comes back with `Last-Event-ID` is sent all that has been
    stored since. What became of events, and refused requests, are told of while somebody looks, and have no place.
    """
    hub: TailHub = request.app.state.tails
    hub.check_room()
    wanted = await filter_of(services, caller, search)
    places = Places(services.secret_box.derived(KEY_LABEL), caller.tenant)
    reach = await hub.reach()
    options = TailOptions(
        wanted,
        with_payload=search.payload,
        with_request=search.request,
        with_outcomes="outcomes" in search.include or search.status is not None,
        with_rejections="rejections" in search.include,
        end=None if search.follow else reach.newest,
        places=places,
    )
    if last_event_id is None:
        place = await _place(services, reach, caller, search.since)
    else:
        place = _place_told(places, reach, last_event_id)
    is_gap = last_event_id is not None and not await services.database.read(feed.is_kept, place, reach.newest)
    return TailResponse(hub, services.database, place, options, is_gap=is_gap)


async def filter_of(services: Services, caller: Caller, search: TailSearch) -> TailFilter:
    """What a caller is shown of what it asks for.

    Raises EndpointNotFound, NotForTenants, InvalidExpression, InvalidRequest.
    """
    for pattern in search.event_type:
        if not is_pattern(pattern):
            raise InvalidRequest(f"event_type: {pattern!r} is neither an event type nor a pattern of one.")
    if search.status is EventStatus.PENDING:
        raise InvalidRequest("status: an event that is pending has not ended.")
    webhook_id = None
    if search.endpoint is not None:
        found = await services.database.read(endpoints.by_address, [search.endpoint])
        if search.endpoint not in found or not caller.owns(found[search.endpoint][1]):
            raise EndpointNotFound(f"There is no endpoint {search.endpoint}.")
        webhook_id = found[search.endpoint][0]
    return TailFilter(
        webhook_id,
        tuple(search.event_type),
        caller.tenant_of(search.tenant),
        search.provider,
        search.source,
        _moment(search.since),
        search.status,
        compile_tail_filter(search.filter) if search.filter else None,
    )


def _place_told(places: Places, reach: Reach, text: str) -> int:
    """The place that a client had been told. Raises PlaceUnknown."""
    place = places.read(text)
    if place is None or place > reach.newest:
        raise PlaceUnknown("Last-Event-ID: no message of a tail of this server has that id.")
    return place


async def _place(services: Services, reach: Reach, caller: Caller, since: str | None) -> int:
    """Behind which number to begin. Raises EventNotFound, InvalidRequest, DatabaseUnavailable."""
    if since is None:
        return reach.settled
    event_id = read_id(EVENT, since)
    if event_id is not None:
        await check_event(services, caller, event_id)
    place = await services.database.read(_before, since, reach.newest)
    if place is None:
        raise EventNotFound(f"There is no event {since}, or tails do not know it any more.")
    return place


def _before(connection: Connection, since: str, newest: int) -> int | None:
    moment = _moment(since)
    if moment is not None:
        return feed.before_id(connection, id_at(moment - feed.DISORDER), newest)
    event_id = read_id(EVENT, since)
    return feed.before_event(connection, event_id, newest) if event_id else None


def _moment(since: str | None) -> datetime | None:
    """The time in ``since``; None where it is an event's id. Raises InvalidRequest for what is neither."""
    if since is None or read_id(EVENT, since):
        return None
    try:
        return _MOMENT.validate_python(since)
    except ValidationError:
        raise InvalidRequest(
            "since: an event's id (`evt_…`), or a time such as 2026-03-01T12:00:00Z."
        ) from None
