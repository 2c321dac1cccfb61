"""``/api/jobs``: long changes that were asked for, and how far they have come."""

from __future__ import annotations

from kanca.api.audit import About, Audited
from kanca.api.audited import A_JOB
from kanca.api.fields import Cursor, JobIdPath, Limit
from kanca.api.job_models import Job, JobPage, show_job
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.domain import job as domain
from kanca.errors import InvalidInput, JobNotFound, JobOver
from kanca.storage import jobs

router = resource("Jobs", "/api/jobs")


@router.get("", summary="List jobs", operation_id="list_jobs", responses=refused_with(InvalidInput))
async def list_all(services: Given, limit: Limit = 50, cursor: Cursor = None) -> JobPage:
    """List jobs, the newest first."""
    page = await services.database.read(jobs.page, limit, cursor)
    return JobPage(items=[show_job(each) for each in page.items], next_cursor=page.next_cursor)


@router.get("/{job_id}", summary="Read a job", operation_id="get_job", responses=refused_with(JobNotFound))
async def get(services: Given, job_id: JobIdPath) -> Job:
    """Read one job: how far it has come."""
    return show_job(await services.database.read(jobs.get, job_id))


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    operation_id="cancel_job",
    responses=refused_with(JobNotFound, JobOver),
)
async def cancel(services: Given, trail: Audited, job_id: JobIdPath) -> Job:
    """End a job where it stands. What it did stays done."""
    about = About[domain.Job]("job.cancelled", A_JOB, job_id)
    return show_job(await trail.write(about, jobs.cancel, job_id, services.now()))
