"""Jobs as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from kanca.domain import job as domain
from kanca.domain.ids import JOB, show_id
from kanca.domain.job import JobKind, JobStatus

EXAMPLE: dict[str, JsonValue] = {
    "id": "job_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "kind": "dead_letters.retry",
    "tenant": None,
    "wanted": {"code": "handler_error"},
    "status": "running",
    "total": 84210,
    "counts": {"retried": 12500},
    "created_at": "2026-03-02T09:00:00.123456Z",
    "started_at": "2026-03-02T09:00:00.940012Z",
    "finished_at": None,
}


class Job(BaseModel):
    """A long change that workers do in small portions: it goes on where it stopped."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: str
    kind: JobKind
    tenant: str | None
    wanted: dict[str, Any] = Field(description="What it was asked for.")
    status: JobStatus
    total: int = Field(description="What there was to do when it was asked for.")
    counts: dict[str, int] = Field(description="What it has done so far.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobPage(BaseModel):
    """Some jobs, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [EXAMPLE], "next_cursor": None}]})

    items: list[Job]
    next_cursor: str | None


def show_job(job: domain.Job) -> Job:
    """The job as JSON."""
    return Job(
        id=show_id(JOB, job.id),
        kind=job.kind,
        tenant=job.tenant,
        wanted=dict(job.wanted),
        status=job.status,
        total=job.total,
        counts=dict(job.counts),
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )
