"""``/api/early-events``: events that are kept for runs which do not wait for them yet."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from kanca.api.callers import CallerTenant
from kanca.api.fields import ChosenId, Cursor, Limit
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.domain.ids import EVENT, show_id
from kanca.errors import InvalidInput
from kanca.storage import early_events
from kanca.storage.early_events import EarlyEvent as Stored

router = resource("Events", "/api/early-events")

_EARLY: dict[str, JsonValue] = {
    "event_id": "evt_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "workflow_id": "orders",
    "node_id": "paid",
    "key": "A-1",
    "received_at": "2026-03-01T12:00:00Z",
    "expires_at": "2026-03-02T12:00:00Z",
}


class EarlyEvent(BaseModel):
    """An event that is kept until a run waits for it."""

    event_id: str
    workflow_id: str | None = Field(description="null: it was deleted.")
    node_id: str
    key: str | None = Field(description="What a run has to wait for to get it; null where there are no keys.")
    received_at: datetime
    expires_at: datetime = Field(description="When it is given up.")


class EarlyEventPage(BaseModel):
    """Some events that are kept, the oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_EARLY], "next_cursor": None}]})

    items: list[EarlyEvent]
    next_cursor: str | None


@router.get(
    "",
    summary="List events that came early",
    operation_id="list_early_events",
    responses=refused_with(InvalidInput),
)
async def list_all(
    services: Given,
    caller: CallerTenant,
    limit: Limit = 50,
    cursor: Cursor = None,
    workflow_id: Annotated[ChosenId | None, Query(description="Only those for this workflow.")] = None,
) -> EarlyEventPage:
    """List the events that are kept for runs which do not wait for them yet, the oldest first.

    One that several versions of a workflow would know by different keys is listed with each of them.
    """
    page = await services.database.read(early_events.page, limit, cursor, workflow_id, caller.tenant)
    return EarlyEventPage(items=[_shown(each) for each in page.items], next_cursor=page.next_cursor)


def _shown(early: Stored) -> EarlyEvent:
    has_key = early.rule and not early.rule.startswith("@")
    return EarlyEvent(
        event_id=show_id(EVENT, early.event_id),
        workflow_id=early.workflow_id,
        node_id=early.node_id,
        key=early.key if has_key else None,
        received_at=early.received_at,
        expires_at=early.expires_at,
    )
