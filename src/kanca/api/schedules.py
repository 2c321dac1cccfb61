"""``/api/schedules``: when workflows start runs by the clock."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from kanca.api.callers import CallerTenant
from kanca.api.fields import ChosenId, Cursor, Limit
from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.storage import schedules

router = resource("Workflows", "/api/schedules")

_SCHEDULE: dict[str, JsonValue] = {
    "workflow_id": "report",
    "node_id": "each-morning",
    "version": 3,
    "cron": "0 9 * * mon-fri",
    "timezone": "Europe/Istanbul",
    "missed": "once",
    "next_at": "2026-03-03T06:00:00Z",
    "last_at": "2026-03-02T06:00:00Z",
}


class Schedule(BaseModel):
    """A `Schedule` node of a published workflow."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SCHEDULE]})

    workflow_id: str
    node_id: str
    version: int = Field(description="The published one.")
    cron: str
    timezone: str
    missed: str
    next_at: datetime = Field(description="In the past while the workflow is paused, or no worker is there.")
    last_at: datetime | None = Field(description="The moment for which it started a run last.")


class SchedulePage(BaseModel):
    """Some schedules, by workflow and node."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_SCHEDULE], "next_cursor": None}]})

    items: list[Schedule]
    next_cursor: str | None


@router.get("", summary="List schedules", operation_id="list_schedules")
async def list_all(
    services: Given,
    caller: CallerTenant,
    limit: Limit = 50,
    cursor: Cursor = None,
    workflow_id: Annotated[ChosenId | None, Query(description="Only those of this workflow.")] = None,
) -> SchedulePage:
    """List the schedules of published workflows, with the moments for which they start runs next."""
    page = await services.database.read(schedules.page, limit, cursor, workflow_id, caller.tenant)
    items = [Schedule(**asdict(schedule)) for schedule in page.items]
    return SchedulePage(items=items, next_cursor=page.next_cursor)
