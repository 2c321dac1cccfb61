"""``/api/instances``: which gateways and workers are running."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.storage import instances, workers
from kanca.storage.instances import InstanceKind, InstanceState
from kanca.storage.workers import UnservedHandler, UnservedWorkflow
from kanca.workflows.nodes import BUILT_IN_NAMES

router = resource("Instances", "/api/instances")


class Instance(BaseModel):
    """One gateway or worker."""

    kind: InstanceKind
    id: int = Field(description="Its number among those of its kind.")
    hostname: str
    pid: int
    address: str | None = Field(description="Where a gateway listens.")
    app: str | None = Field(description="Where a worker's handlers come from.")
    version: str | None = Field(description="Of Kanca; null where it is too old to say so.")
    revision: str | None = Field(description="The newest schema that it knows.")
    state: InstanceState
    started_at: datetime
    expires_at: datetime = Field(description="When it counts as dead unless it gives another sign.")
    concurrency: int = Field(description="Pieces of work that a worker has in hand at most.")
    active: int = Field(description="Pieces of work in hand at its last sign.")
    connections: int | None = Field(description="Connections to PostgreSQL that it opens at most.")
    clock_ahead_ms: int | None = Field(
        description="How far the clock of its machine is ahead of the database's."
    )
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
    """All gateways and workers that have not signed off."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "kind": "worker",
                            "id": 1,
                            "hostname": "hooks-1",
                            "pid": 4711,
                            "address": None,
                            "app": "shop.hooks:hooks",
                            "version": "0.1.0",
                            "revision": "0008_instances",
                            "state": "running",
                            "started_at": "2026-03-01T12:00:00Z",
                            "expires_at": "2026-03-01T12:10:10Z",
                            "concurrency": 10,
                            "active": 2,
                            "connections": 15,
                            "clock_ahead_ms": 0,
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


@router.get("", summary="List running gateways and workers", operation_id="list_instances")
async def list_all(services: Given) -> InstanceList:
    """List all instances, and the handlers and workflows that no worker can run."""
    running, unserved, unserved_workflows = await services.database.read(_running)
    return InstanceList(
        items=[Instance.model_validate(each, from_attributes=True) for each in running],
        unserved_handlers=[Unserved(name=each.name, app=each.app) for each in unserved],
        unserved_workflows=[
            UnservedRuns(id=each.id, node_types=list(each.node_types)) for each in unserved_workflows
        ],
    )


def _running(
    connection: Connection,
) -> tuple[tuple[instances.Instance, ...], tuple[UnservedHandler, ...], tuple[UnservedWorkflow, ...]]:
    return (
        instances.running(connection),
        workers.unserved_handlers(connection),
        workers.unserved_workflows(connection, BUILT_IN_NAMES),
    )
