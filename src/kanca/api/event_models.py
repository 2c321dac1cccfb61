"""Events as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from kanca.domain.status import EventStatus, OutcomeStatus

_EVENT_ID = "evt_019503f0a1c27d3e8f00b4a6c8d2e1f0"
_EVENT: dict[str, JsonValue] = {
    "id": _EVENT_ID,
    "webhook_id": "wh_3f0c2a9d84b1e7c65a20d9f4",
    "endpoint_name": "Orders",
    "provider": "generic",
    "tenant": "default",
    "event_type": "test.event",
    "source_event_id": "order-4711",
    "correlation_id": _EVENT_ID,
    "payload": {"event_type": "test.event", "data": {"message": "hello"}},
    "body_base64": None,
    "body_bytes": 58,
    "is_payload_omitted": False,
    "expunged_at": None,
    "source_ip": "203.0.113.9",
    "user_agent": "curl/8.5.0",
    "request_method": "POST",
    "request_path": "/api/webhooks/wh_3f0c2a9d84b1e7c65a20d9f4",
    "request_headers": {"content-type": "application/json"},
    "is_authenticated": True,
    "is_test": False,
    "is_redacted": False,
    "response_status": 200,
    "response_body": {
        "success": True,
        "message": "Webhook accepted",
        "webhook_id": "wh_3f0c2a9d84b1e7c65a20d9f4",
        "event_id": _EVENT_ID,
        "status": "accepted",
        "received_at": "2026-03-01T12:00:00.123456Z",
        "correlation_id": _EVENT_ID,
    },
    "execution_time_ms": 12.4,
    "received_at": "2026-03-01T12:00:00.123456Z",
    "processed_at": "2026-03-01T12:00:00.140012Z",
    "error_message": None,
    "retry_count": 0,
    "status": "succeeded",
    "reason": None,
    "replay_of": None,
}
_WORK: dict[str, JsonValue] = {
    "work": "handler:shop.hooks.order_created",
    "status": "succeeded",
    "reason": None,
    "result": {"confirmed": True},
    "attempt_number": 1,
    "started_at": "2026-03-01T12:00:00.127612Z",
    "finished_at": "2026-03-01T12:00:00.140012Z",
    "run_id": None,
    "dead_letter_id": None,
}


_DELIVERIES: dict[str, JsonValue] = {
    "total": 2,
    "pending": 0,
    "retrying": 0,
    "delivered": 2,
    "dead": 0,
    "skipped": 0,
    "path": f"/api/deliveries?event_id={_EVENT_ID}",
}


class Event(BaseModel):
    """One accepted webhook, and what became of it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EVENT]})

    id: str
    webhook_id: str | None = Field(description="The endpoint; null for events that were published.")
    endpoint_name: str | None
    provider: str | None
    tenant: str
    event_type: str
    source_event_id: str | None = Field(description="The sender's own id of it.")
    correlation_id: str
    payload: Any = Field(description="What the body says: JSON byte for byte as it came, a form, XML, text.")
    body_base64: str | None = Field(description="The body, where it is binary or cannot be read.")
    body_bytes: int
    is_payload_omitted: bool = Field(
        description="The body is too large to stand here: see `/api/events/{id}/body`."
    )
    expunged_at: datetime | None = Field(description="Since then body and headers are gone, with all copies.")
    source_ip: str | None
    user_agent: str | None
    request_method: str | None
    request_path: str | None
    request_headers: dict[str, str]
    is_authenticated: bool = Field(description="Whether the sender proved who it is.")
    is_test: bool
    is_redacted: bool = Field(description="Fields of the body were replaced before it was stored.")
    response_status: int | None = Field(
        description="What the sender was answered; null for replays, and where the endpoint has its own answer."
    )
    response_body: dict[str, Any] | None
    execution_time_ms: float | None = Field(description="From the beginning of its work to the end.")
    received_at: datetime
    processed_at: datetime | None = Field(description="When the last of its work ended.")
    error_message: str | None
    retry_count: int
    status: EventStatus
    reason: str | None = Field(description="The code of why it was skipped: `no_target`, `filtered`, …")
    replay_of: str | None = Field(description="The event whose bytes these are.")


class Work(BaseModel):
    """One piece of an event's work that has ended."""

    work: str = Field(description="`handler:<name>`, `workflow:<id>` or `dispatch`.")
    status: OutcomeStatus
    reason: str | None = Field(description="The code of why it was skipped or is dead.")
    result: Any
    attempt_number: int
    started_at: datetime | None
    finished_at: datetime | None
    run_id: str | None
    dead_letter_id: str | None


class FailedAttempt(BaseModel):
    """One failed try of a piece of work."""

    id: str
    work: str
    call_id: str = Field(description="The same in every attempt of this piece of work.")
    attempt_number: int
    started_at: datetime
    finished_at: datetime
    code: str
    error: Any = Field(description="The cause.")


class DeliveriesOfEvent(BaseModel):
    """How many deliveries of an event there are, by where they are."""

    total: int
    pending: int
    retrying: int
    delivered: int
    dead: int
    skipped: int
    path: str = Field(description="Where they are listed.")


class EventWithWork(Event):
    """One event with all that is known of its work."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [_EVENT | {"work": [_WORK], "deliveries": _DELIVERIES, "failed_attempts": []}]
        }
    )

    work: list[Work]
    deliveries: DeliveriesOfEvent
    failed_attempts: list[FailedAttempt] = Field(description="Of the other work; deliveries have their own.")


class EventPage(BaseModel):
    """Some events, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_EVENT], "next_cursor": None}]})

    items: list[Event]
    next_cursor: str | None = Field(
        description="Where the next page begins; null only at the end. A page may be short, even empty, and have one."
    )
