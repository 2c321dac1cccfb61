"""The forms that values in requests must have, so that nothing reaches the database which no column takes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import AfterValidator, Field

from kanca.domain.ids import CHOSEN_ID, WEBHOOK_ID
from kanca.errors import EndpointNotFound
from kanca.storage.pages import MAX_LIMIT

_WEBHOOK_ID = "wh_3f0c2a9d84b1e7c65a20d9f4"


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must not have control characters")
    return text


def _in_utc(moment: datetime) -> datetime:
    """The moment in UTC (taken for UTC when it names no zone), and not before ids begin."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(aware, datetime(1970, 1, 2, tzinfo=UTC)).astimezone(UTC)


def _webhook_id(text: str) -> str:
    if not WEBHOOK_ID.fullmatch(text):
        raise EndpointNotFound(
            f"There is no endpoint {text[:64]!a}: an id is `wh_` and 24 hexadecimal digits."
        )
    return text


Text = Annotated[str, AfterValidator(_printable)]
Name = Annotated[Text, Field(min_length=1, max_length=200)]
ChosenId = Annotated[str, Field(pattern=f"^{CHOSEN_ID.pattern}$")]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Moment = Annotated[datetime, AfterValidator(_in_utc)]

WebhookIdPath = Annotated[
    str,
    AfterValidator(_webhook_id),
    Path(description="`wh_` and 24 hexadecimal digits.", examples=[_WEBHOOK_ID]),
]

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="The most items of a page.")]
Cursor = Annotated[
    Text | None, Query(max_length=200, description="`next_cursor` of the page before.", examples=["Y3Vyc29y"])
]
Tenant = Annotated[ChosenId | None, Query(description="Only what carries this label.")]
