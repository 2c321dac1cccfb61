"""Published events as JSON: what is asked, and what is answered."""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from kanca.domain.event import MAX_SOURCE_ID_LENGTH, MAX_TYPE_LENGTH

MOST_AT_ONCE = 1_000

_ID = "evt_019503f0a1c27d3e8f00b4a6c8d2e1f0"
_EVENT: dict[str, JsonValue] = {
    "event_type": "order.created",
    "event_id": "order-4711",
    "payload": {"id": 4711, "total": 12.5},
}
_TRIGGERED: dict[str, JsonValue] = {
    "status": "event_triggered",
    "event_type": "order.created",
    "event_id": "order-4711",
    "id": _ID,
    "subscriber_count": 3,
}


class TriggerRequest(msgspec.Struct, forbid_unknown_fields=True):
    """An event to publish. The payload is left as it is written."""

    event_type: str
    payload: msgspec.Raw
    event_id: str | None = None
    tenant: str | None = None
    correlation_id: str | None = None


class BatchRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Events to publish, each of which is read for itself."""

    events: list[msgspec.Raw]


class Triggered(BaseModel):
    """The event that is published now, or was before."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TRIGGERED]})

    status: str = Field(
        description="`event_triggered`, or `already_triggered`: the same event was published before."
    )
    event_type: str
    event_id: str = Field(description="Your own id, where you gave one; else Kanca's.")
    id: str = Field(description="Kanca's id; of the event that came first, where it was published before.")
    subscriber_count: int = Field(
        description="Active subscriptions to this type; their filters were not asked."
    )


class BatchItem(BaseModel):
    """What became of one event of a batch."""

    status: str = Field(description="`event_triggered`, `already_triggered` or `refused`.")
    event_type: str | None = None
    event_id: str | None = None
    id: str | None = None
    subscriber_count: int | None = None
    problem: dict[str, Any] | None = Field(
        None, description="Why it was refused, as a problem body of its own."
    )


class TriggeredBatch(BaseModel):
    """What became of each event, in the order in which they were given."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"triggered": 1, "repeated": 0, "refused": 0, "results": [_TRIGGERED | {"problem": None}]}
            ]
        }
    )

    triggered: int = Field(description="Events that are published now.")
    repeated: int = Field(description="Events that were published before.")
    refused: int
    results: list[BatchItem]


_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "event_type": {"type": "string", "minLength": 1, "maxLength": MAX_TYPE_LENGTH},
        "payload": {"description": "Any JSON; an object is best. It is sent as it is written here."},
        "event_id": {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": MAX_SOURCE_ID_LENGTH},
                {"type": "null"},
            ],
            "description": "Your own id: for seven days it names one event of the tenant, however often it is sent.",
        },
        "tenant": {"type": "string", "default": "default", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        "correlation_id": {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": MAX_SOURCE_ID_LENGTH},
                {"type": "null"},
            ]
        },
    },
    "required": ["event_type", "payload"],
    "additionalProperties": False,
}


_ITEM = {"anyOf": [_FORM, {"description": "Anything else is refused in its place."}]}


def json_body(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    """What the document says of a body that its route reads itself."""
    content = {"application/json": {"schema": {**schema, "examples": [example]}}}
    return {"requestBody": {"required": True, "content": content}}


TRIGGER_BODY = json_body(
    {"anyOf": [_FORM, {"description": "With `?event_type=`: the payload itself, any JSON."}]}, _EVENT
)
BATCH_BODY = json_body(
    {
        "type": "object",
        "properties": {"events": {"type": "array", "items": _ITEM, "minItems": 1, "maxItems": MOST_AT_ONCE}},
        "required": ["events"],
        "additionalProperties": False,
    },
    {"events": [_EVENT]},
)
