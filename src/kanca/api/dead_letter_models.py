"""Dead letters as JSON."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from kanca.api.answers import error_message, stored_json
from kanca.api.event_models import FailedAttempt
from kanca.api.event_views import show_attempt
from kanca.api.fields import ChosenId, EventId, EventType, Moment, Text, WebhookId
from kanca.domain.ids import DEAD_LETTER, EVENT, RUN, show_id
from kanca.domain.task import Attempt, DeadLetter, TaskKind
from kanca.storage.dead_letters import PAGE_SIZE
from kanca.storage.endpoints import EndpointName
from kanca.storage.pages import MAX_LIMIT

MOST_RETRIED = 100_000
"""Letters that one request may retry."""
_LETTER: dict[str, JsonValue] = {
    "id": "dl_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "event_id": "evt_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "run_id": None,
    "webhook_id": "wh_3f0c2a9d84b1e7c65a20d9f4",
    "tenant": "default",
    "event_type": "order.created",
    "work": "handler:shop.hooks.order_created",
    "payload": {"event_type": "order.created", "data": {"order_id": "ORD-00004711"}},
    "body_base64": None,
    "is_payload_omitted": False,
    "code": "handler_error",
    "error": "the warehouse did not answer",
    "cause": {"code": "handler_error", "message": "the warehouse did not answer"},
    "failed_at": "2026-03-01T12:00:31.500000Z",
    "attempts": 5,
    "retry_count": 4,
    "expunged_at": None,
}
_ATTEMPT: dict[str, JsonValue] = {
    "id": "att_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "work": "handler:shop.hooks.order_created",
    "call_id": "call_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "attempt_number": 1,
    "started_at": "2026-03-01T12:00:00.127612Z",
    "finished_at": "2026-03-01T12:00:00.140012Z",
    "code": "handler_error",
    "error": {"code": "handler_error", "message": "the warehouse did not answer"},
}
AT_ONCE = 500
"""Letters up to which a request changes them itself; more are left to a job."""


class Letter(BaseModel):
    """A piece of work out of attempts."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LETTER]})

    id: str
    event_id: str | None
    run_id: str | None
    webhook_id: str | None
    tenant: str
    event_type: str
    work: str = Field(description="`handler:<name>` or `workflow:<id>`.")
    payload: Any = Field(description="The event's body, where it is JSON.")
    body_base64: str | None = Field(description="The event's body, where it is something else.")
    is_payload_omitted: bool = Field(description="The body is too large to stand here.")
    code: str = Field(description="What kind of failure the last attempt was.")
    error: str
    cause: Any = Field(description="All that is known of the failure.")
    failed_at: datetime
    attempts: int = Field(description="How often it was tried.")
    retry_count: int = Field(description="How often it was tried again.")
    expunged_at: datetime | None = Field(description="Since then its payload is gone: it cannot be retried.")


class LetterWithAttempts(Letter):
    """A piece of work out of attempts, with those that are stored: some are as old as retention lets them be."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LETTER | {"failed_attempts": [_ATTEMPT]}]})

    failed_attempts: list[FailedAttempt] = Field(
        description="The oldest first; the last one of a delivery is the cause."
    )


class LetterPage(BaseModel):
    """Some dead letters, the oldest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"count": 1, "items": [_LETTER], "next_cursor": None}]}
    )

    count: int = Field(description="Of all that fit, on whatever page.")
    items: list[Letter]
    next_cursor: str | None


class LetterKind(StrEnum):
    """What kind of work a letter is about."""

    DISPATCH = "dispatch"
    HANDLER = "handler"
    WORKFLOW = "workflow"
    DELIVERY = "delivery"


KINDS: dict[LetterKind, tuple[TaskKind, ...]] = {
    LetterKind.DISPATCH: (TaskKind.DISPATCH,),
    LetterKind.HANDLER: (TaskKind.CALL,),
    LetterKind.WORKFLOW: (TaskKind.RUN, TaskKind.RESUME),
    LetterKind.DELIVERY: (TaskKind.DELIVER,),
}


class LetterFilter(BaseModel):
    """Which dead letters."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"event_type": "order.created", "code": "handler_error"}]},
    )

    kind: LetterKind | None = Field(None, description="What kind of work.")
    webhook_id: WebhookId | None = None
    event_type: EventType | None = None
    event_id: EventId | None = None
    subscription_id: ChosenId | None = Field(None, description="Deliveries to this subscription.")
    workflow_id: ChosenId | None = Field(None, description="Work of this workflow.")
    text: Annotated[Text, Field(min_length=1, max_length=200)] | None = Field(
        None, description="Somewhere in the cause, in small letters or large ones."
    )
    work: Annotated[Text, Field(max_length=300)] | None = None
    code: Annotated[Text, Field(max_length=100)] | None = None
    tenant: ChosenId | None = None
    since: Moment | None = Field(None, description="Failed at or after this moment.")
    until: Moment | None = Field(None, description="Failed before this moment.")


class LetterSearch(LetterFilter):
    """Which dead letters, and which page of them."""

    limit: int = Field(PAGE_SIZE, ge=1, le=MAX_LIMIT)
    cursor: Text | None = Field(None, max_length=200)


class LetterRetry(LetterFilter):
    """Which dead letters to retry; without a condition all."""

    limit: int | None = Field(
        None,
        strict=True,
        ge=1,
        le=MOST_RETRIED,
        description="The most letters, the oldest first; all, if not given.",
    )
    dry_run: bool = Field(False, strict=True, description="Only say how many they would be.")


class LetterPurge(LetterFilter):
    """Which dead letters to delete. At least one condition, or `all`, must be given."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"until": "2026-03-01T00:00:00Z", "dry_run": True}]},
    )

    all: bool = Field(False, strict=True, description="All there are, if there is no condition.")
    dry_run: bool = Field(False, strict=True, description="Only say how many they would be.")


class ManyPurged(BaseModel):
    """The letters are gone, or will be."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "purged", "count": 42, "job_id": None}]}
    )

    status: str = Field(description="`purged`, `purge_scheduled` (as a job), or `dry_run`.")
    count: int
    job_id: str | None = Field(
        description="Of the job that does it, where they are many: see `/api/jobs/{id}`."
    )


class Retried(BaseModel):
    """The work is in the queue again."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "retry_scheduled", "id": _LETTER["id"]}]}
    )

    status: str
    id: str


class ManyRetried(BaseModel):
    """The work is in the queue again, or will be."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "retry_scheduled", "count": 42, "job_id": None}]}
    )

    status: str = Field(description="`retry_scheduled`, or `dry_run`.")
    count: int
    job_id: str | None = Field(
        description="Of the job that does it, where they are many: see `/api/jobs/{id}`."
    )


def show_letter(letter: DeadLetter, names: dict[int, EndpointName], payload_limit: int) -> Letter:
    """The letter as JSON; ``names`` has its endpoint, by number."""
    return Letter(**_fields(letter, names, payload_limit))


def show_letter_with_attempts(
    letter: DeadLetter, names: dict[int, EndpointName], payload_limit: int, failed: Iterable[Attempt]
) -> LetterWithAttempts:
    """The letter as JSON, with the attempts of its work that failed."""
    shown = [show_attempt(attempt) for attempt in failed]
    return LetterWithAttempts(**_fields(letter, names, payload_limit), failed_attempts=shown)


def _fields(letter: DeadLetter, names: dict[int, EndpointName], payload_limit: int) -> dict[str, Any]:
    is_omitted = len(letter.body) > payload_limit
    payload = None if is_omitted else stored_json(letter.body)
    is_binary = payload is None and not is_omitted and letter.body
    endpoint = names.get(letter.endpoint) if letter.endpoint is not None else None
    return {
        "id": show_id(DEAD_LETTER, letter.id),
        "event_id": show_id(EVENT, letter.event_id) if letter.event_id else None,
        "run_id": show_id(RUN, letter.ref) if letter.kind is TaskKind.RUN else None,
        "webhook_id": endpoint.webhook_id if endpoint else None,
        "tenant": letter.tenant,
        "event_type": letter.event_type,
        "work": letter.work,
        "payload": payload,
        "body_base64": b64encode(letter.body).decode() if is_binary else None,
        "is_payload_omitted": is_omitted,
        "code": letter.code,
        "error": error_message(letter.error),
        "cause": stored_json(letter.error),
        "failed_at": letter.failed_at,
        "attempts": letter.attempts,
        "retry_count": max(0, letter.attempts - 1),
        "expunged_at": letter.expunged_at,
    }
