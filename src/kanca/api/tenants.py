"""``/api/tenants/{tenant}/erase``: everything under a tenant's label is deleted."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, RootModel

from kanca.api.audit import About, Audited
from kanca.api.audited import A_TENANT
from kanca.api.fields import ChosenId
from kanca.api.job_models import EXAMPLE, Job, show_job
from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.domain import job as domain
from kanca.domain.ids import JOB, show_id
from kanca.domain.job import JobKind
from kanca.storage import jobs
from kanca.storage.erasing import WITH_CONFIGURATION, count_all

router = resource("Tenants", "/api/tenants")

TenantPath = Annotated[ChosenId, Path(description="The label.")]


class Erasure(BaseModel):
    """What to erase."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"dry_run": True}]})

    configuration: bool = Field(
        False,
        strict=True,
        description="Also endpoints, subscriptions and workflows. Without it new events may go on to come.",
    )
    dry_run: bool = Field(False, strict=True, description="Only say how much there is.")


class ErasureCount(BaseModel):
    """What an erasure would find."""

    counts: dict[str, int] = Field(description="Runs, deliveries and attempts of the events are not counted.")


class ErasureAnswer(RootModel[Job | ErasureCount]):
    """The job that erases; with `dry_run` only what there is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                EXAMPLE
                | {
                    "kind": "tenant.erase",
                    "tenant": "acme",
                    "wanted": {"configuration": False},
                    "counts": {"events": 12500, "deliveries": 40311},
                },
                {"counts": {"events": 84210, "dead_letters": 12}},
            ]
        }
    )


@router.post("/{tenant}/erase", summary="Erase a tenant", operation_id="erase_tenant")
async def erase(services: Given, trail: Audited, tenant: TenantPath, request: Erasure) -> ErasureAnswer:
    """Delete the tenant's events with their payloads, deliveries, runs and dead letters, whether finished or not.

    A job does it; see `/api/jobs/{id}`. What comes in afterwards is not erased, so stop its senders first, or erase
    its configuration too.
    """
    counts = await services.database.read(count_all, tenant, configuration=request.configuration)
    if request.dry_run:
        return ErasureAnswer(ErasureCount(counts=dict(counts)))
    job = domain.Job(
        id=services.ids.new(),
        kind=JobKind.ERASE_TENANT,
        tenant=tenant,
        wanted={WITH_CONFIGURATION: request.configuration},
        total=sum(counts.values()),
        created_at=services.now(),
    )
    erased = About[None](
        "tenant.erased", A_TENANT, tenant, detail=lambda _: {"job": show_id(JOB, job.id), **job.wanted}
    )
    await trail.write(erased, jobs.create, job)
    return ErasureAnswer(show_job(job))
