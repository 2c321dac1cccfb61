"""The forms that values in requests must have, so that nothing reaches the database which no column takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from kanca.domain.event import MAX_SOURCE_ID_LENGTH, MAX_TYPE_LENGTH
from kanca.domain.ids import (
    AUDIT,
    CHOSEN_ID,
    DEAD_LETTER,
    DELIVERY,
    EVENT,
    JOB,
    KEY,
    REPLAY,
    RUN,
    WEBHOOK_ID,
    read_id,
)
from kanca.errors import (
    ApiKeyNotFound,
    AuditEntryNotFound,
    DeadLetterNotFound,
    DeliveryNotFound,
    EndpointNotFound,
    EventNotFound,
    JobNotFound,
    NotFound,
    ReplayNotFound,
    RunNotFound,
    SubscriptionNotFound,
    WorkflowNotFound,
)
from kanca.storage.event_list import MAX_OFFSET
from kanca.storage.pages import MAX_LIMIT

_FIRST_ID = datetime(1970, 1, 2, tzinfo=UTC)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must not have control characters")
    return text


def _dated(value: object) -> object:
    """The value, if it begins with a date: Pydantic would take numbers too, for seconds."""
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value)):
        return value
    raise ValueError("must be a date and time as RFC 3339 writes them")


def _in_utc(moment: datetime) -> datetime:
    """The moment in UTC (taken for UTC when it names no zone), and not before ids begin."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        return max(aware, _FIRST_ID).astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a moment that there is in UTC") from None


def _webhook_id(text: str) -> str:
    if not WEBHOOK_ID.fullmatch(text):
        raise EndpointNotFound(
            f"There is no endpoint {text[:64]!a}: an id is `wh_` and 24 hexadecimal digits."
        )
    return text


def _workflow_id(text: str) -> str:
    if not CHOSEN_ID.fullmatch(text):
        raise WorkflowNotFound(f"There is no workflow {text[:64]!a}.")
    return text


def _subscription_id(text: str) -> str:
    if not CHOSEN_ID.fullmatch(text):
        raise SubscriptionNotFound(f"There is no subscription {text[:64]!a}.")
    return text


def _id(kind: str, name: str, missing: type[NotFound]) -> Callable[[str], UUID]:
    def read(text: str) -> UUID:
        found = read_id(kind, text)
        if found is None:
            raise missing(f"There is no {name} {text[:64]!a}: an id is `{kind}_` and 32 hexadecimal digits.")
        return found

    return read


def _event_id(value: object) -> UUID:
    found = read_id(EVENT, value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be `evt_` and 32 hexadecimal digits")
    return found


def _shown_id(kind: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": [f"{kind}_019503f0a1c27d3e8f00b4a6c8d2e1f0"]})


Text = Annotated[str, AfterValidator(_printable)]
Name = Annotated[Text, Field(min_length=1, max_length=200)]
EventType = Annotated[Text, Field(min_length=1, max_length=MAX_TYPE_LENGTH)]
CorrelationId = Annotated[Text, Field(min_length=1, max_length=MAX_SOURCE_ID_LENGTH)]
ChosenId = Annotated[str, Field(pattern=f"^{CHOSEN_ID.pattern}$")]
WebhookId = Annotated[str, Field(pattern=f"^{WEBHOOK_ID.pattern}$", examples=["wh_3f0c2a9d84b1e7c65a20d9f4"])]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Moment = Annotated[datetime, BeforeValidator(_dated), AfterValidator(_in_utc)]
"""Without a zone it is in UTC."""
EventId = Annotated[UUID, BeforeValidator(_event_id), _shown_id(EVENT)]

WebhookIdPath = Annotated[
    str,
    AfterValidator(_webhook_id),
    Path(description="`wh_` and 24 hexadecimal digits.", examples=["wh_3f0c2a9d84b1e7c65a20d9f4"]),
]
WorkflowIdPath = Annotated[
    str, AfterValidator(_workflow_id), Path(description="The id that the definition says.")
]
SubscriptionIdPath = Annotated[
    str, AfterValidator(_subscription_id), Path(description="`sub_…`, or the id that was chosen.")
]
EventIdPath = Annotated[
    UUID,
    BeforeValidator(_id(EVENT, "event", EventNotFound)),
    _shown_id(EVENT),
    Path(description="`evt_` and 32 hexadecimal digits."),
]
RunIdPath = Annotated[
    UUID,
    BeforeValidator(_id(RUN, "run", RunNotFound)),
    _shown_id(RUN),
    Path(description="`run_` and 32 digits."),
]
DeliveryIdPath = Annotated[
    UUID,
    BeforeValidator(_id(DELIVERY, "delivery", DeliveryNotFound)),
    _shown_id(DELIVERY),
    Path(description="`dlv_` and 32 digits."),
]
ReplayIdPath = Annotated[
    UUID,
    BeforeValidator(_id(REPLAY, "replay", ReplayNotFound)),
    _shown_id(REPLAY),
    Path(description="`rpl_` and 32 digits."),
]
JobIdPath = Annotated[
    UUID,
    BeforeValidator(_id(JOB, "job", JobNotFound)),
    _shown_id(JOB),
    Path(description="`job_` and 32 digits."),
]
AuditIdPath = Annotated[
    UUID,
    BeforeValidator(_id(AUDIT, "audit entry", AuditEntryNotFound)),
    _shown_id(AUDIT),
    Path(description="`aud_` and 32 digits."),
]
KeyIdPath = Annotated[
    UUID,
    BeforeValidator(_id(KEY, "key", ApiKeyNotFound)),
    _shown_id(KEY),
    Path(description="`key_` and 32 digits."),
]
read_dead_letter_id = _id(DEAD_LETTER, "dead letter", DeadLetterNotFound)

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="The most items of a page.")]
Cursor = Annotated[Text | None, Query(max_length=200, description="`next_cursor` of the page before.")]
Offset = Annotated[
    int, Query(ge=0, le=MAX_OFFSET, description="Items to leave out; `cursor` goes further, and faster.")
]
Tenant = Annotated[ChosenId | None, Query(description="Only what carries this label.")]
