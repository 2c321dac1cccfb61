"""``/api/instances``: which workers are running."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.storage import workers
from kanca.storage.workers import UnservedHandler, UnservedWorkflow, Worker
from kanca.workflows.nodes import BUILT_IN_NAMES

router = resource("Instances", "/api/instances")


class Instance(BaseModel):
    """One worker process."""

    id: int
    hostname: str
    pid: int
    app: str | None = Field(description="Where its handlers come from.")
    started_at: datetime
    expires_at: datetime = Field(description="When it counts as dead unless it gives another sign.")
    concurrency: int = Field(description="Pieces of work that it has in hand at most.")
    active: int = Field(description="Pieces of work in hand at its last sign.")
    is_alive: bool


class Unserved(BaseModel):
    """A handler that no running worker has."""

    name: str
    app: str


class UnservedRuns(BaseModel):
    """A published workflow that no running worker can run."""

    id: str
    node_types: list[str] = Field(description="A worker is needed whose app has all of these.")


class InstanceList(BaseModel):
    """All workers that have not signed off."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "id": 1,
                            "hostname": "hooks-1",
                            "pid": 4711,
                            "app": "shop.hooks:hooks",
                            "started_at": "2026-03-01T12:00:00Z",
                            "expires_at": "2026-03-01T12:10:10Z",
                            "concurrency": 10,
                            "active": 2,
                            "is_alive": True,
                        }
                    ],
                    "unserved_handlers": [],
                    "unserved_workflows": [],
                }
            ]
        }
    )

    items: list[Instance]
    unserved_handlers: list[Unserved] = Field(description="Their events wait until somebody runs them.")
    unserved_workflows: list[UnservedRuns] = Field(description="Their runs wait until somebody can do them.")


@router.get("", summary="List running workers", operation_id="list_instances")
async def list_all(services: Given) -> InstanceList:
    """List the workers, and the handlers and workflows that none of them can run."""
    running, unserved, unserved_workflows = await services.database.read(_running)
    return InstanceList(
        items=[Instance.model_validate(worker, from_attributes=True) for worker in running],
        unserved_handlers=[Unserved(name=each.name, app=each.app) for each in unserved],
        unserved_workflows=[
            UnservedRuns(id=each.id, node_types=list(each.node_types)) for each in unserved_workflows
        ],
    )


def _running(
    connection: Connection,
) -> tuple[tuple[Worker, ...], tuple[UnservedHandler, ...], tuple[UnservedWorkflow, ...]]:
    return (
        workers.running(connection),
        workers.unserved_handlers(connection),
        workers.unserved_workflows(connection, BUILT_IN_NAMES),
    )
