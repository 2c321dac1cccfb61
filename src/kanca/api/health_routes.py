"""``/health…`` and ``/metrics``: for probes, dashboards and people who look."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field

from kanca.api.health import QUEUE_WARNING_PERCENT, Condition, HealthCheck, Redis, Report
from kanca.api.openapi import refused_with
from kanca.api.routing import StrictRoute
from kanca.api.services import Given
from kanca.errors import Forbidden, Unauthenticated
from kanca.queue.measuring import Measurer
from kanca.telemetry.exposition import exposition

router = APIRouter(tags=["Health"], route_class=StrictRoute)

PROCESSOR_WARNING_PERCENT = 80


def _check_of(request: Request) -> HealthCheck:
    check: HealthCheck = request.app.state.health
    return check


Check = Annotated[HealthCheck, Depends(_check_of)]


def _measurer_of(request: Request) -> Measurer:
    measurer: Measurer = request.app.state.measurer
    return measurer


class Components(BaseModel):
    """The parts."""

    database: Literal["healthy", "warning", "unhealthy"]
    redis: Redis = Field(
        description="`unavailable` refuses nothing by itself: see KANCA_RATE_LIMIT_FALLBACK."
    )
    queue: Literal["healthy", "warning", "full"] = Field(description="`warning` from 90 %.")
    dlq_count: int = Field(description="Dead letters.")


class HealthStats(BaseModel):
    """Numbers."""

    queue_size: int = Field(description="Pieces of inbound work that are due.")
    queue_maxsize: int
    queue_usage_percent: float
    workers: int = Field(description="Running worker processes.")


class Health(BaseModel):
    """How all of it is doing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "healthy",
                    "components": {
                        "database": "healthy",
                        "redis": "not_configured",
                        "queue": "healthy",
                        "dlq_count": 0,
                    },
                    "stats": {
                        "queue_size": 3,
                        "queue_maxsize": 1_000_000,
                        "queue_usage_percent": 0.0,
                        "workers": 1,
                    },
                    "warnings": [],
                }
            ]
        }
    )

    status: Condition
    components: Components
    stats: HealthStats
    warnings: list[str]


class Probe(BaseModel):
    """Yes or no."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok", "unavailable"]


class ProcessorStats(BaseModel):
    """What is at work."""

    queue_size: int
    queue_maxsize: int
    num_workers: int = Field(
        description="Pieces of work that all running workers together have in hand at most."
    )
    active_workers: int = Field(description="Pieces of work in hand at the last heartbeats.")


class Processor(BaseModel):
    """How working off is doing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "healthy",
                    "stats": {
                        "queue_size": 3,
                        "queue_maxsize": 1_000_000,
                        "num_workers": 10,
                        "active_workers": 2,
                    },
                    "queue_usage_percent": 0.0,
                }
            ]
        }
    )

    status: Literal["healthy", "warning", "critical"] = Field(
        description="`warning` above 80 %, `critical` at 100 % or when nothing can be worked off."
    )
    stats: ProcessorStats
    queue_usage_percent: float


def _unavailable(model: type[BaseModel], what: str) -> dict[int | str, dict[str, object]]:
    return {503: {"model": model, "description": what}}


@router.get(
    "/health",
    summary="Say how everything is doing",
    operation_id="get_health",
    responses=_unavailable(Health, "No webhooks are accepted."),
)
async def health(check: Check, response: Response) -> Health:
    """Say how everything is doing; 503 when no webhooks are accepted. What it says is up to a second old."""
    report = await check.report()
    response.status_code = 200 if report.can_accept else 503
    return Health(
        status=report.condition,
        components=Components(
            database=_database(report),
            redis=report.redis,
            queue=_queue(report),
            dlq_count=report.dead_letters,
        ),
        stats=HealthStats(
            queue_size=report.queue_size,
            queue_maxsize=report.queue_maxsize,
            queue_usage_percent=report.queue_usage_percent,
            workers=len(report.workers),
        ),
        warnings=report.warnings,
    )


@router.get("/health/live", summary="Say that the process answers", operation_id="get_liveness")
async def live() -> Probe:
    """Answer, whatever state all else is in: a process that does not should be restarted."""
    return Probe(status="ok")


@router.get(
    "/health/ready",
    summary="Say whether webhooks are accepted",
    operation_id="get_readiness",
    responses=_unavailable(Probe, "No webhooks are accepted."),
)
async def ready(check: Check, services: Given, response: Response) -> Probe:
    """Say whether traffic should come here."""
    is_ready = not services.is_leaving() and (await check.report()).can_accept
    response.status_code = 200 if is_ready else 503
    return Probe(status="ok" if is_ready else "unavailable")


@router.get(
    "/health/processor",
    summary="Say how working off is doing",
    operation_id="get_processor_health",
    responses=_unavailable(Processor, "The database cannot be reached."),
)
async def processor(check: Check, response: Response) -> Processor:
    """Say how full the queue is, and how busy those are who work it off."""
    report = await check.report()
    response.status_code = 200 if report.is_database_up else 503
    return Processor(
        status=_processor(report),
        stats=ProcessorStats(
            queue_size=report.queue_size,
            queue_maxsize=report.queue_maxsize,
            num_workers=sum(worker.concurrency for worker in report.workers),
            active_workers=sum(worker.active for worker in report.workers),
        ),
        queue_usage_percent=report.queue_usage_percent,
    )


@router.get(
    "/metrics",
    summary="Read the metrics",
    operation_id="get_metrics",
    response_class=Response,
    responses=refused_with(Unauthenticated, Forbidden)
    | {
        200: {
            "description": "Prometheus's text format.",
            "content": {"text/plain": {"example": "webhook_queue_size 3.0\n"}},
        }
    },
)
async def metrics(measurer: Annotated[Measurer, Depends(_measurer_of)]) -> Response:
    """Give all metrics of this machine's processes, and those of the database, for Prometheus."""
    shared = await measurer.families()
    return Response(await asyncio.to_thread(exposition, shared), media_type=CONTENT_TYPE_LATEST)


def _database(report: Report) -> Literal["healthy", "warning", "unhealthy"]:
    if not report.is_database_up:
        return "unhealthy"
    return "warning" if report.database_warnings else "healthy"


def _queue(report: Report) -> Literal["healthy", "warning", "full"]:
    if report.closed_for == "backlog_full":
        return "full"
    return "warning" if report.queue_usage_percent >= QUEUE_WARNING_PERCENT else "healthy"


def _processor(report: Report) -> Literal["healthy", "warning", "critical"]:
    if report.queue_usage_percent >= 100 or not report.workers:
        return "critical"
    return "warning" if report.queue_usage_percent > PROCESSOR_WARNING_PERCENT else "healthy"
