"""Deliveries as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from kanca.api.answers import readable
from kanca.api.attempt_models import ATTEMPT, AttemptView, attempt_facts
from kanca.domain.ids import DELIVERY, EVENT, show_id
from kanca.domain.status import DeliveryStatus
from kanca.domain.task import Attempt
from kanca.outbound.reports import AttemptReport
from kanca.storage.deliveries import DeliveryView
from kanca.storage.redelivering import DELIVERED

_DELIVERY: dict[str, JsonValue] = {
    "id": "dlv_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "event_id": "evt_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "subscription_id": "sub_5f0c2a9d84b1e7c65a20d9f4",
    "event_type": "order.created",
    "tenant": "default",
    "source_event_id": "order-4711",
    "status": "delivered",
    "attempt_count": 1,
    "reason": None,
    "response_status": 200,
    "started_at": "2026-03-01T12:00:00.127612Z",
    "finished_at": "2026-03-01T12:00:00.340012Z",
    "next_attempt_at": None,
}
_ATTEMPT: dict[str, JsonValue] = {
    "number": 1,
    "started_at": "2026-03-01T12:00:00.127612Z",
    "finished_at": "2026-03-01T12:00:00.340012Z",
    **ATTEMPT,
}


class Delivery(BaseModel):
    """One event for one subscription."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DELIVERY]})

    id: str
    event_id: str = Field(description="Of which the receiver gets `source_event_id`, where there is one.")
    subscription_id: str | None
    event_type: str | None = Field(description="null: the event is gone.")
    tenant: str | None
    source_event_id: str | None
    status: DeliveryStatus
    attempt_count: int = Field(description="Attempts that have ended.")
    reason: str | None = Field(description="The code of why it was skipped or is dead.")
    response_status: int | None = Field(description="What the last attempt was answered, once it has ended.")
    started_at: datetime | None = Field(description="Of the last attempt, once it has ended.")
    finished_at: datetime | None
    next_attempt_at: datetime | None = Field(description="null while it is open: as soon as may be.")


class _Made(BaseModel):
    number: int
    started_at: datetime
    finished_at: datetime


class DeliveryAttempt(AttemptView, _Made):  # the fields of the last base come first
    """One attempt of a delivery, and what the receiver answered."""


class DeliveryWithAttempts(Delivery):
    """One delivery with all its attempts."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DELIVERY | {"attempts": [_ATTEMPT]}]})

    attempts: list[DeliveryAttempt] = Field(description="The oldest first.")


class DeliveryPage(BaseModel):
    """Some deliveries, those of the newest events first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_DELIVERY], "next_cursor": None}]})

    items: list[Delivery]
    next_cursor: str | None = Field(
        description="Where the next page begins; null only at the end. A page may be short, even empty, and have one."
    )


class Resent(BaseModel):
    """The delivery is made once more."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "resend_scheduled", "id": _DELIVERY["id"]}]}
    )

    status: str
    id: str


def show_delivery(found: DeliveryView) -> Delivery:
    """The delivery as lists show it."""
    return Delivery(**_fields(found))


def show_delivery_with_attempts(found: DeliveryView, earlier: Sequence[Attempt]) -> DeliveryWithAttempts:
    """The delivery with its ``earlier`` attempts, and the last one."""
    attempts = [_earlier(attempt) for attempt in earlier]
    row = found.row
    if found.last_attempt is not None and row.finished_at is not None:
        report = msgspec.json.decode(found.last_attempt, type=AttemptReport)
        attempts.append(_attempt(row.attempts, row.started_at or row.finished_at, row.finished_at, report))
    return DeliveryWithAttempts(**_fields(found), attempts=attempts)


def _fields(found: DeliveryView) -> dict[str, Any]:
    row = found.row
    return {
        "id": show_id(DELIVERY, found.id),
        "event_id": show_id(EVENT, row.key[0]),
        "subscription_id": found.subscription_id,
        "event_type": found.event_type,
        "tenant": found.tenant,
        "source_event_id": found.source_event_id,
        "status": row.status,
        "attempt_count": row.attempts,
        "reason": row.reason,
        "response_status": row.response_status,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "next_attempt_at": row.next_attempt_at,
    }


def _earlier(attempt: Attempt) -> DeliveryAttempt:
    """An attempt that has a row of its own: its cause has the report, if it got so far as to have one."""
    cause = json.loads(attempt.error)
    try:
        report = msgspec.convert(cause["attempt"], AttemptReport)
    except (KeyError, TypeError, msgspec.ValidationError):
        report = None
    shown = _attempt(attempt.attempt_number, attempt.started_at, attempt.finished_at, report)
    if attempt.code == DELIVERED:
        return shown
    said = cause.get("message") if isinstance(cause, dict) else None
    message = shown.message or (readable(said) if isinstance(said, str) else None)
    return shown.model_copy(update={"code": shown.code or attempt.code, "message": message})


def _attempt(
    number: int, started_at: datetime, finished_at: datetime, report: AttemptReport | None
) -> DeliveryAttempt:
    return DeliveryAttempt(
        number=number, started_at=started_at, finished_at=finished_at, **attempt_facts(report)
    )
