"""``/api/webhooks/{webhook_id}/…``: what comes in at one endpoint, and what does not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from kanca.api.answers import Json, stored_json
from kanca.api.endpoint_models import effective_config
from kanca.api.endpoint_rules import known_spec
from kanca.api.endpoints import find
from kanca.api.event_models import EventPage
from kanca.api.events import page_of
from kanca.api.fields import Cursor, Limit, Offset, WebhookIdPath
from kanca.api.openapi import refused_with
from kanca.api.ownership import OWN_ENDPOINT
from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.errors import EndpointNotFound
from kanca.storage import rejections, statistics
from kanca.storage.event_list import EventFilter

router = resource("Endpoints", "/api/webhooks/{webhook_id}")

_WEBHOOK_ID = "wh_3f0c2a9d84b1e7c65a20d9f4"


class EndpointStats(BaseModel):
    """How an endpoint is doing. Times are in milliseconds, the rate in percent; an error is dead work."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "webhook_id": _WEBHOOK_ID,
                    "total_events": 1284,
                    "duplicates": 12,
                    "rejected": 3,
                    "rejection_causes": {"signature_mismatch": 2, "invalid_json": 1},
                    "avg_response_time": 3.2,
                    "error_count": 2,
                    "error_rate": 0.16,
                    "events_per_hour": 42,
                    "events_per_day": 611,
                    "last_triggered": "2026-03-02T08:15:30Z",
                    "is_active": True,
                    "config": {"rate_limit_per_minute": 60},
                }
            ]
        }
    )

    webhook_id: str
    total_events: int
    duplicates: int
    rejected: int
    rejection_causes: dict[str, int] = Field(
        description="Of the most recent refused requests, how many had which cause."
    )
    avg_response_time: float
    error_count: int
    error_rate: float
    events_per_hour: int = Field(description="In the last 60 minutes.")
    events_per_day: int = Field(description="In the last 24 hours.")
    last_triggered: datetime | None
    is_active: bool
    config: dict[str, Any]


class Rejection(BaseModel):
    """One refused request."""

    occurred_at: datetime
    status: int
    code: str = Field(description="The precise cause, also where the caller was told less.")
    detail: str = Field(description="What was wrong, as far as it could be found out.")
    count: int = Field(description="How many requests it stands for: those alike that came right after it.")
    client: str = Field(description="The address that it came from.")
    request: Any = Field(
        description="Method, path, headers and the beginning of the body, all without secrets."
    )


class RejectionPage(BaseModel):
    """The most recent refused requests, the newest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "occurred_at": "2026-03-01T12:00:00Z",
                            "status": 401,
                            "code": "signature_mismatch",
                            "detail": "signed with a secret that was rotated out 12 minutes ago",
                            "count": 1,
                            "client": "203.0.113.9",
                            "request": {
                                "method": "POST",
                                "path": f"/api/webhooks/{_WEBHOOK_ID}",
                                "headers": [["x-hub-signature-256", "[71 bytes]"]],
                                "body": '{"zen": "Keep it logically awesome."}',
                                "body_bytes": 37,
                            },
                        }
                    ],
                    "next_cursor": None,
                }
            ]
        }
    )

    items: list[Rejection]
    next_cursor: str | None


@router.get(
    "/events",
    summary="List an endpoint's events",
    operation_id="list_endpoint_events",
    dependencies=[OWN_ENDPOINT],
    response_model=EventPage,
    responses=refused_with(EndpointNotFound),
)
async def list_events(
    services: Given, webhook_id: WebhookIdPath, limit: Limit = 50, cursor: Cursor = None, offset: Offset = 0
) -> Json:
    """List the events of one endpoint, the newest first."""
    endpoint = await find(services, webhook_id)
    return await page_of(services, EventFilter(endpoint=endpoint.number), limit, cursor, offset)


@router.get(
    "/stats",
    summary="Read an endpoint's statistics",
    operation_id="get_endpoint_stats",
    dependencies=[OWN_ENDPOINT],
    responses=refused_with(EndpointNotFound),
)
async def stats(services: Given, webhook_id: WebhookIdPath) -> EndpointStats:
    """Say how an endpoint is doing. What happened in the last second may not be counted yet."""
    endpoint = await find(services, webhook_id)
    now = services.now()
    counted = (await services.database.read(statistics.of_endpoints, [endpoint.number], now))[endpoint.number]
    total = counted.total
    return EndpointStats(
        webhook_id=webhook_id,
        total_events=total.accepted,
        duplicates=total.duplicates,
        rejected=total.rejected,
        rejection_causes=await services.database.read(rejections.causes, endpoint.number),
        avg_response_time=round(total.average_response_ms, 3),
        error_count=total.dead,
        error_rate=min(round(100 * total.dead / total.accepted, 2), 100.0) if total.accepted else 0.0,
        events_per_hour=counted.last_hour.accepted,
        events_per_day=counted.last_day.accepted,
        last_triggered=counted.last_accepted_at,
        is_active=endpoint.is_active,
        config=effective_config(endpoint, known_spec(services.catalogue, endpoint)),
    )


@router.get(
    "/rejections",
    summary="List an endpoint's refused requests",
    operation_id="list_endpoint_rejections",
    dependencies=[OWN_ENDPOINT],
    response_model=RejectionPage,
    responses=refused_with(EndpointNotFound),
)
async def list_rejections(
    services: Given, webhook_id: WebhookIdPath, limit: Limit = 50, cursor: Cursor = None
) -> Json:
    """Say why webhooks do not arrive: the most recent requests that were refused, the newest first."""
    endpoint = await find(services, webhook_id)
    page = await services.database.read(rejections.page, endpoint.number, limit, cursor)
    items = [
        Rejection(
            occurred_at=each.occurred_at,
            status=each.status,
            code=each.code,
            detail=each.detail,
            count=each.count,
            client=each.client,
            request=stored_json(each.request),
        )
        for each in page.items
    ]
    return Json(RejectionPage(items=items, next_cursor=page.next_cursor))
