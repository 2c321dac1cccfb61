"""A database with workflows, endpoints and events, for benchmarks whose load needs no gateway.

Events are put in before any worker runs, as ingest puts them in, but their tasks are held; lot by lot they are let go,
each lot in one statement. So what is measured is the workers' work and nobody else's.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update

from kanca.domain.event import NewEvent
from kanca.domain.ids import IdFactory, new_webhook_id
from kanca.domain.status import OutcomeStatus
from kanca.domain.task import TaskState
from kanca.storage import workflows
from kanca.storage.dialects import open_database
from kanca.storage.ports import Database, Waker
from kanca.storage.tables import endpoints, outcomes, tasks, workers
from kanca.storage.versions import bump_version

T = TypeVar("T")

CHUNK = 500
READY_LIMIT_S = 60
DRAIN_LIMIT_S = 180
LOOK_EVERY_S = 0.02
LOOK_AT = 200
"""Events that are looked at in one query."""
HELD = timedelta(days=1)
FOR_HANDLERS = "charge.succeeded"
"""What ``bench.handlers`` listens to."""
FOR_WORKFLOWS = "order.placed"
"""What it does not: the run is the event's only piece of work."""
REQUEST = json.dumps({"method": "POST", "headers": [], "authenticated": True}).encode()

ids = IdFactory()


@dataclass(frozen=True, slots=True)
class Site:
    """An open database with what the benchmark needs in it."""

    database: Database
    waker: Waker

    def wake(self) -> None:
        """Tell the workers that there is work."""
        self.waker.wake()

    async def add_workflow(self, definition: dict[str, Any]) -> None:
        """Save and publish a workflow."""
        now = datetime.now(UTC)
        types = {node["type"] for node in definition["nodes"]}
        name, text = definition["id"], json.dumps(definition)
        await self.database.write(workflows.create, name, "default", name, text, now, types)
        await self.database.write(workflows.publish, name, now)

    async def add_endpoint(self, workflow_id: str | None = None, node_id: str | None = None) -> int:
        """An endpoint, by its number; of a workflow, or of handlers."""
        return await self.database.write(_add_endpoint, workflow_id, node_id)

    async def put(
        self, lot: str, endpoint: int, data: Sequence[Any], event_type: str = FOR_WORKFLOWS
    ) -> list[UUID]:
        """Accept an event for each of ``data``, whose work does not begin before ``let_go``. No worker may run yet."""
        return await self.put_each(lot, endpoint, [(event_type, each) for each in data])

    async def put_each(self, lot: str, endpoint: int, events: Sequence[tuple[str, Any]]) -> list[UUID]:
        """The same with events of several types, in this order."""
        found: list[UUID] = []
        for part in in_parts(events, CHUNK):
            batch = [new_event(endpoint, event_type, data) for event_type, data in part]
            await self.database.accepting.append(batch)
            await self.database.write(_hold, lot)
            found += [event.id for event in batch]
        return found

    async def let_go(self, lot: str) -> float:
        """Begin with what is held; gives the moment, in Unix seconds."""
        await self.database.write(_let_go, lot)
        return time.time()

    async def ended(self, event_ids: Sequence[UUID]) -> float:
        """Wait until the work of all these events is over and stored; gives the moment. All must have succeeded.

        Looks at a few at a time: it costs the same however many others there are.
        """
        moment = time.time()
        for part in in_parts(event_ids, LOOK_AT):
            moment = await _until(partial(self.database.read, _have_ended, part), DRAIN_LIMIT_S)
            if other := await self.database.read(_other_status, part):
                raise SystemExit(f"what was to be measured did not just succeed: {other}")
        return moment

    async def until(self, is_so: Callable[[Connection], bool], limit_s: float = READY_LIMIT_S) -> float:
        """Look again and again until it is so; gives the moment."""
        return await _until(partial(self.database.read, is_so), limit_s)

    async def begun_at(self, event_ids: Sequence[UUID]) -> float:
        """When the first of these events, all put in together, was begun with."""
        first = select(func.min(outcomes.c.started_at)).where(
            outcomes.c.event_id.between(min(event_ids), max(event_ids))
        )
        moment = await self.database.read(lambda connection: connection.scalar(first))
        assert moment is not None  # noqa: S101 - it has ended
        return float(moment.timestamp())

    async def has_workers(self, count: int) -> None:
        """Wait until so many workers have registered."""
        await self.until(lambda connection: _count_workers(connection) >= count)


def in_parts(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The values, so many at a time."""
    return (values[begin : begin + size] for begin in range(0, len(values), size))


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Site]:
    """A site on a fresh or an older database."""
    database = await open_database(url)
    try:
        await database.migrate()
        waker = database.waker()
        yield Site(database, waker)
        await waker.close()
    finally:
        await database.close()


async def _until(is_so: Callable[[], Awaitable[bool]], limit_s: float) -> float:
    give_up_at = time.monotonic() + limit_s
    while not await is_so():
        if time.monotonic() > give_up_at:
            raise SystemExit(f"the work was not done after {limit_s} s")
        await asyncio.sleep(LOOK_EVERY_S)
    return time.time()


def new_event(endpoint: int, event_type: str, data: Any) -> NewEvent:
    """An event about to be accepted."""
    identity = ids.new()
    return NewEvent(
        id=identity,
        endpoint=endpoint,
        tenant="default",
        type=event_type,
        received_at=datetime.now(UTC),
        source_event_id=None,
        correlation_id=identity.hex,
        request=REQUEST,
        body=json.dumps({"event_type": event_type, "data": data}).encode(),
        dedupe_key=None,
        dedupe_until=None,
    )


def _add_endpoint(connection: Connection, workflow_id: str | None, node_id: str | None) -> int:
    now = datetime.now(UTC)
    bump_version(connection, "endpoints")
    values = {
        "webhook_id": new_webhook_id(),
        "name": "",
        "provider": "generic",
        "tenant": "default",
        "workflow_id": workflow_id,
        "node_id": node_id,
        "config": "{}",
        "secrets": b"",
        "is_active": True,
        "is_paused": False,
        "created_at": now,
        "updated_at": now,
    }
    return int(
        connection.execute(insert(endpoints).values(values).returning(endpoints.c.number)).scalar_one()
    )


def _hold(connection: Connection, lot: str) -> None:
    due_at = datetime.now(UTC) + HELD
    connection.execute(
        update(tasks)
        .where(tasks.c.state == TaskState.READY)
        .values(state=TaskState.SCHEDULED, due_at=due_at, detail=lot.encode())
    )


def _let_go(connection: Connection, lot: str) -> None:
    connection.execute(
        update(tasks)
        .where(tasks.c.state == TaskState.SCHEDULED, tasks.c.detail == lot.encode())
        .values(state=TaskState.READY, due_at=None, detail=None)
    )


def _have_ended(connection: Connection, event_ids: Sequence[UUID]) -> bool:
    ended = select(func.count(outcomes.c.event_id.distinct())).where(outcomes.c.event_id.in_(event_ids))
    return connection.scalar(ended) == len(event_ids)


def _other_status(connection: Connection, event_ids: Sequence[UUID]) -> str | None:
    query = select(outcomes.c.status).where(
        outcomes.c.event_id.in_(event_ids), outcomes.c.status != OutcomeStatus.SUCCEEDED
    )
    return connection.scalar(query.limit(1))


def _count_workers(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(workers)) or 0
