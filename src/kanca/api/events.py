"""``/api/events``: what came in, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

from fastapi import Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from kanca.api.answers import Json
from kanca.api.callers import CallerTenant
from kanca.api.endpoints import find as find_endpoint
from kanca.api.event_models import EventPage, EventWithWork
from kanca.api.event_views import show_event, show_event_with_work
from kanca.api.fields import ChosenId, CorrelationId, EventIdPath, EventType, Moment, Text, WebhookId
from kanca.api.openapi import refused_with
from kanca.api.ownership import OWN_EVENT, check_endpoint
from kanca.api.routing import resource
from kanca.api.services import Given, Services
from kanca.domain.event import StoredEvent
from kanca.domain.event_fields import read_wanted
from kanca.domain.ids import EVENT, show_id
from kanca.domain.status import EventStatus
from kanca.errors import EndpointNotFound, EventNotFound, InvalidInput, PayloadExpunged
from kanca.providers import Catalogue
from kanca.storage import deliveries, endpoints, event_list, events
from kanca.storage.endpoints import EndpointName
from kanca.storage.event_list import MAX_OFFSET, EventFilter, EventWithOutcomes
from kanca.storage.pages import MAX_LIMIT, Page

router = resource("Events", "/api/events")

_EXACT_BODY = {
    # Whatever a sender sent, a browser that is shown it must neither guess what it is nor run it.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}


class EventSearch(BaseModel):
    """Which events, and which page of them."""

    model_config = ConfigDict(extra="forbid")

    webhook_id: WebhookId | None = Field(None, description="Only those of this endpoint.")
    event_type: EventType | None = Field(None, description="Only those of exactly this type.")
    status: EventStatus | None = Field(None, description="Only those with this status.")
    correlation_id: CorrelationId | None = Field(None, description="Only those with this correlation id.")
    tenant: ChosenId | None = Field(None, description="Only those with this label.")
    since: Moment | None = Field(None, description="Received at or after this moment.")
    until: Moment | None = Field(None, description="Received before this moment.")
    field: Text | None = Field(
        None,
        max_length=10_000,
        description="Only those whose payload has this value at a path that is indexed: `data.customer.id:42`.",
    )
    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="The most items of a page.")
    cursor: Text | None = Field(None, max_length=200, description="`next_cursor` of the page before.")
    offset: int = Field(0, ge=0, le=MAX_OFFSET, description="Items to leave out; `cursor` goes further.")


@router.get(
    "",
    summary="List and search events",
    operation_id="list_events",
    response_model=EventPage,
    responses=refused_with(EndpointNotFound, InvalidInput),
)
async def list_all(services: Given, caller: CallerTenant, search: Annotated[EventSearch, Query()]) -> Json:
    """List events, the newest first.

    Searching goes back only so far for one page: a page may hold fewer events than `limit` although there are more.
    `next_cursor` is null only at the end.
    """
    if search.webhook_id is not None:
        await check_endpoint(services, caller, search.webhook_id)
    number = (await find_endpoint(services, search.webhook_id)).number if search.webhook_id else None
    wanted = EventFilter(
        number,
        caller.tenant_of(search.tenant),
        search.event_type,
        search.correlation_id,
        search.status,
        search.since,
        search.until,
        _field_in(search.field),
    )
    return await page_of(services, wanted, search.limit, search.cursor, search.offset)


@router.get(
    "/{event_id}",
    summary="Read an event",
    operation_id="get_event",
    dependencies=[OWN_EVENT],
    response_model=EventWithWork,
    responses=refused_with(EventNotFound),
)
async def get(services: Given, event_id: EventIdPath) -> Json:
    """Read one event with each piece of its work that has ended, and each attempt that failed."""
    found = await services.database.read(event_list.get, event_id)
    if found is None:
        raise EventNotFound(f"There is no event {show_id(EVENT, event_id)}, or not any more.")
    counted = await services.database.read(deliveries.count_of, event_id)
    return Json(show_event_with_work(found, await _name_of(services, found.event), counted))


@router.get(
    "/{event_id}/body",
    summary="Download an event's body",
    operation_id="get_event_body",
    dependencies=[OWN_EVENT],
    response_class=Response,
    responses=refused_with(EventNotFound, PayloadExpunged)
    | {
        200: {
            "description": "The exact bytes that came in.",
            "content": {"application/octet-stream": {"example": '{"event_type": "test.event"}'}},
        }
    },
)
async def get_body(services: Given, event_id: EventIdPath) -> Response:
    """Give the exact bytes that came in, as a file."""
    event = events.with_payload(await stored_event(services, event_id))
    name = f'attachment; filename="{show_id(EVENT, event.id)}.bin"'
    headers = _EXACT_BODY | {"Content-Disposition": name}
    return Response(event.body, media_type="application/octet-stream", headers=headers)


async def page_of(
    services: Services, wanted: EventFilter, limit: int, cursor: str | None, offset: int
) -> Json:
    """A page of events as an answer."""
    page, names = await services.database.read(_page, wanted, limit, cursor, offset)
    known = {number: _as_answered(services.catalogue, name) for number, name in names.items()}
    items = [show_event(found, known.get(found.event.endpoint)) for found in page.items]
    return Json(EventPage(items=items, next_cursor=page.next_cursor))


async def stored_event(services: Services, event_id: EventIdPath) -> StoredEvent:
    """The event with that id. Raises EventNotFound."""
    event = await services.database.read(events.get, event_id)
    if event is None:
        raise EventNotFound(f"There is no event {show_id(EVENT, event_id)}, or not any more.")
    return event


def _field_in(text: str | None) -> tuple[str, str] | None:
    """The path and the stored value that are asked for. Raises InvalidInput."""
    if text is None:
        return None
    wanted = read_wanted(text)
    if wanted is None:
        raise InvalidInput("`field` is a path and a value with a colon between: `data.customer.id:42`.")
    return wanted


def _page(
    connection: Connection, wanted: EventFilter, limit: int, cursor: str | None, offset: int
) -> tuple[Page[EventWithOutcomes], dict[int, EndpointName]]:
    page = event_list.page(connection, wanted, limit, cursor, offset)
    return page, _names(connection, (found.event for found in page.items))


def _names(connection: Connection, found: Iterable[StoredEvent]) -> dict[int, EndpointName]:
    return endpoints.names(connection, {event.endpoint for event in found})


async def _name_of(services: Services, event: StoredEvent) -> EndpointName | None:
    name = (await services.database.read(endpoints.names, [event.endpoint])).get(event.endpoint)
    return None if name is None else _as_answered(services.catalogue, name)


def _as_answered(catalogue: Catalogue, name: EndpointName) -> EndpointName:
    """The endpoint, knowing whether its provider insists on an answer of its own."""
    if name.has_own_answer or name.provider not in catalogue.names:
        return name
    return replace(name, has_own_answer=catalogue.get(name.provider).answer is not None)
