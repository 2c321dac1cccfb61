"""``/api/instances``: which workers are running."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.storage import workers
from kanca.storage.workers import UnservedHandler, Worker

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
                }
            ]
        }
    )

    items: list[Instance]
    unserved_handlers: list[Unserved] = Field(description="Their events wait until somebody runs them.")


@router.get("", summary="List running workers", operation_id="list_instances")
async def list_all(services: Given) -> InstanceList:
    """List the workers, and the handlers that none of them has."""
    running, unserved = await services.database.read(_running)
    return InstanceList(
        items=[Instance.model_validate(worker, from_attributes=True) for worker in running],
        unserved_handlers=[Unserved(name=each.name, app=each.app) for each in unserved],
    )


def _running(connection: Connection) -> tuple[tuple[Worker, ...], tuple[UnservedHandler, ...]]:
    return workers.running(connection), workers.unserved_handlers(connection)
