"""``/api/event-types``: the catalogue of what may be published, and what the data look like."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import Body, Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from kanca.api.answers import Message
from kanca.api.audit import About, Audited
from kanca.api.audited import EVENT_TYPE
from kanca.api.callers import THE_SAME_FOR_ALL
from kanca.api.fields import Cursor, EventType, Limit
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.domain.event import MAX_TYPE_LENGTH, is_name
from kanca.errors import EventTypeNotFound, InvalidInput
from kanca.outbound.catalogue import check_event_type
from kanca.storage import event_types
from kanca.storage.event_types import EventType as StoredType

router = resource("Publishing", "/api/event-types")

_WRITTEN: JsonDict = {
    "description": "A customer has placed an order.",
    "schema": {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "total": {"type": "number", "minimum": 0}},
        "required": ["id"],
    },
    "example": {"id": 4711, "total": 12.5},
    "enforced": True,
}
_EXAMPLE: JsonDict = {
    "name": "order.created",
    **_WRITTEN,
    "created_at": "2026-03-01T12:00:00Z",
    "updated_at": "2026-03-01T12:00:00Z",
}


def _known_name(text: str) -> str:
    if not is_name(text, MAX_TYPE_LENGTH):
        raise event_types.not_found(text)
    return text


NewName = Annotated[EventType, Path(description="The event type.", examples=["order.created"])]
Name = Annotated[
    str,
    AfterValidator(_known_name),
    Path(description="The event type.", examples=["order.created"]),
]


class EventTypeRequest(BaseModel):
    """What an event type means."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_WRITTEN]})

    description: str = Field("", max_length=4_000, description="For people.")
    data_schema: Any = Field(
        None,
        alias="schema",
        description="What the data look like: a JSON Schema (2020-12) that refers to nothing but itself and does not"
        " contain itself. Its patterns have no look-around and no back-references.",
    )
    example: Any = Field(None, description="Data of such an event; they fit the schema.")
    enforced: bool = Field(
        False, strict=True, description="Data that do not fit the schema are not published."
    )


class EventTypeView(BaseModel):
    """An event type in the catalogue."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]}, serialize_by_alias=True)

    name: str
    description: str
    data_schema: Any = Field(alias="schema", description="A JSON Schema, or null.")
    example: Any
    enforced: bool = Field(description="Data that do not fit the schema are not published.")
    created_at: datetime
    updated_at: datetime


class EventTypePage(BaseModel):
    """Some event types."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_EXAMPLE], "next_cursor": None}]})

    items: list[EventTypeView]
    next_cursor: str | None = Field(description="Where the next page begins; null at the end.")


@router.get(
    "",
    summary="List event types",
    operation_id="list_event_types",
    dependencies=[THE_SAME_FOR_ALL],
)
async def list_all(services: Given, limit: Limit = 50, cursor: Cursor = None) -> EventTypePage:
    """List the event types of the catalogue by name."""
    page = await services.database.read(event_types.page, limit, cursor)
    return EventTypePage(items=[_view(found) for found in page.items], next_cursor=page.next_cursor)


@router.get(
    "/{name}",
    summary="Read an event type",
    operation_id="get_event_type",
    dependencies=[THE_SAME_FOR_ALL],
    responses=refused_with(EventTypeNotFound),
)
async def get(services: Given, name: Name) -> EventTypeView:
    """Read what an event type means."""
    return _view(await services.database.read(event_types.get, name))


@router.put(
    "/{name}",
    summary="Create or replace an event type",
    operation_id="put_event_type",
    responses=refused_with(InvalidInput),
)
async def put(
    services: Given, trail: Audited, name: NewName, request: Annotated[EventTypeRequest, Body()]
) -> EventTypeView:
    """Store an event type. From the answer on, what is published is checked by it."""
    stored, _ = await trail.write(
        About[tuple[StoredType, bool]](_action, EVENT_TYPE, name),
        event_types.put,
        read_request(name, request, services.now()),
    )
    return _view(stored)


@router.delete(
    "/{name}",
    summary="Delete an event type",
    operation_id="delete_event_type",
    responses=refused_with(EventTypeNotFound),
)
async def delete(trail: Audited, name: Name) -> Message:
    """Delete an event type. Events of the type stay, and may be published as long as the catalogue is open."""
    deleted = About[None]("event_type.deleted", EVENT_TYPE, name)
    await trail.write(deleted, event_types.remove, name)
    return Message(message=f"Event type {name} was deleted")


def read_request(name: str, request: EventTypeRequest, now: datetime) -> StoredType:
    """The event type that is asked for. Raises InvalidInput for one that cannot be."""
    if not request.description.replace("\n", "").isprintable():
        raise InvalidInput("The description must be text without control characters")
    check_event_type(name, request.data_schema, request.example, is_enforced=request.enforced)
    return StoredType(
        name=name,
        description=request.description,
        schema=_text(request.data_schema),
        example=_text(request.example),
        is_enforced=request.enforced,
        created_at=now,
        updated_at=now,
    )


def _action(put: tuple[StoredType, bool]) -> str:
    return "event_type.created" if put[1] else "event_type.replaced"


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _view(stored: StoredType) -> EventTypeView:
    return EventTypeView(
        name=stored.name,
        description=stored.description,
        schema=_value(stored.schema),
        example=_value(stored.example),
        enforced=stored.is_enforced,
        created_at=stored.created_at,
        updated_at=stored.updated_at,
    )
