"""A database with endpoints, a worker on it, and what became of events: for tests that say what happens, not how."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from kanca.domain.event import StoredEvent
from kanca.domain.ids import IdFactory
from kanca.domain.status import EventStatus
from kanca.domain.subscription import Subscription
from kanca.domain.task import Attempt, DeadLetter, Outcome
from kanca.egress import EgressClient, EgressGuard
from kanca.handlers.registry import HandlerRegistry
from kanca.outbound.sending import Sent
from kanca.storage import dead_letters, events, workflows
from kanca.storage.dialects import open_database
from kanca.storage.ports import Database, Waker
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import endpoints, tasks
from kanca.storage.versions import bump_version
from kanca.workers.delivering import DeliveryRules
from kanca.workers.delivery_means import SendingMeans
from kanca.workers.worker import Worker
from kanca.workers.worker_settings import WorkerSettings
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.registry import NodeRegistry
from kanca.workflows.surroundings import NodeMeans
from tests.factories import endpoint_row, new_event

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT_S = 30
"""The longest that a test waits for something that is to happen."""

SETTINGS = WorkerSettings(
    app="shop.hooks:hooks",
    concurrency=10,
    lease=timedelta(seconds=10),
    poll=timedelta(milliseconds=200),
    shutdown=timedelta(seconds=10),
    retention=timedelta(days=30),
)


BOX = SecretBox(["a key of the tests"])


class NoReceiver:
    """Sends nothing."""

    async def attempt(self, subscription: Subscription, event: StoredEvent, body: bytes) -> Sent:
        raise AssertionError(f"{event.type} was sent to {subscription.id}")


NOT_SENDING = SendingMeans(
    box=BOX,
    sender=NoReceiver(),
    rules=DeliveryRules(retries_any=False, retry_after_max=timedelta(days=1), max_hops=10),
    places=100,
    connections=400,
    disable_after=timedelta(hours=120),
    tell=lambda *_, **__: None,
)


class Stop:
    """As the supervisor's."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self.hurried = asyncio.Event()


@dataclass
class Site:
    """One database, and the workers that a test started on it."""

    url: str
    database: Database
    waker: Waker
    running: list[tuple[Worker, Stop, asyncio.Task[None]]] = field(default_factory=list)

    async def start(
        self,
        handlers: HandlerRegistry | None = None,
        nodes: NodeRegistry | None = None,
        sending: SendingMeans | None = None,
        **settings: Any,
    ) -> Worker:
        """Start a worker and wait until it works."""
        worker = Worker(
            self.database,
            lambda: open_database(self.url, connections=1),
            handlers or HandlerRegistry(),
            nodes or built_in_registry(),
            NodeMeans(EgressClient(EgressGuard())),
            sending or NOT_SENDING,
            IdFactory(),
            replace(SETTINGS, **settings),
        )
        stop = Stop()
        ready = asyncio.Event()
        task = asyncio.create_task(worker.run(stop, ready.set))
        self.running.append((worker, stop, task))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({task, waiting}, timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
        assert ready.is_set()
        return worker

    async def stop(self, *, hurried: bool = False) -> None:
        """Stop all workers in good order (or in a hurry) and wait for their end."""
        running, self.running = self.running, []
        for _, stop, _ in running:
            stop.requested.set()
            if hurried:
                stop.hurried.set()
        for _, _, task in running:
            async with asyncio.timeout(LIMIT_S):
                await task

    async def accept(self, *, count: int = 1, data: Any = None, **values: Any) -> list[UUID]:
        """Accept events, as ingest does."""
        if data is not None:
            values["body"] = json.dumps(
                {"event_type": values.get("type", "order.created"), "data": data}
            ).encode()
        batch = [new_event(**values) for _ in range(count)]
        await self.database.accepting.append(batch)
        self.waker.wake()
        return [event.id for event in batch]

    async def status(self, event: UUID) -> EventStatus:
        """The status of an event now."""
        return (await self.database.read(events.statuses_of, [event]))[event]

    async def outcomes(self, event: UUID) -> tuple[Outcome, ...]:
        """The outcomes of an event now."""
        return (await self.database.read(events.outcomes_of, [event]))[event]

    async def attempts(self, event: UUID) -> tuple[Attempt, ...]:
        """The failed attempts of an event now."""
        return (await self.database.read(events.attempts_of, [event]))[event]

    async def letters(self) -> Sequence[DeadLetter]:
        """All dead letters."""
        return (await self.database.read(dead_letters.page)).items

    async def tasks(self) -> list[Any]:
        """All tasks."""
        return await self.database.read(lambda connection: list(connection.execute(select(tasks))))

    async def ended(self, event: UUID) -> tuple[Outcome, ...]:
        """Wait until the event is no longer pending, and give its outcomes."""
        await self.until(lambda: self._is_over(event))
        return await self.outcomes(event)

    async def _is_over(self, event: UUID) -> bool:
        return await self.status(event) is not EventStatus.PENDING

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Look again and again until it is so."""
        async with asyncio.timeout(LIMIT_S):
            while not await condition():  # noqa: ASYNC110 - what happens in the database gives no sign
                # Lets others work when the condition itself waits for nothing.
                await asyncio.sleep(0)

    async def add_endpoint(self, number: int = 100, **values: Any) -> None:
        """An endpoint that new events come to."""
        await self.database.write(_add_endpoint, number, values)

    async def change_endpoint(self, number: int = 100, **values: Any) -> None:
        """Change an endpoint as the API does."""
        await self.database.write(_change_endpoint, number, values)

    async def add_workflow(self, workflow_id: str, *nodes: dict[str, Any], publish: bool = True) -> None:
        """A workflow of nodes one after the other."""
        chain = [{"id": "start", "type": "WebhookTrigger", "config": {}}, *nodes]
        edges = [{"from": a["id"], "to": b["id"]} for a, b in pairwise(chain)]
        definition = json.dumps({"id": workflow_id, "name": workflow_id, "nodes": chain, "edges": edges})
        types = {node["type"] for node in chain}
        await self.database.write(
            workflows.create, workflow_id, "default", workflow_id, definition, MOMENT, types
        )
        if publish:
            await self.publish(workflow_id)

    async def publish(self, workflow_id: str) -> None:
        """Publish a workflow's newest version."""
        await self.database.write(workflows.publish, workflow_id, MOMENT)


def _add_endpoint(connection: Connection, number: int, values: dict[str, Any]) -> None:
    bump_version(connection, "endpoints")
    connection.execute(insert(endpoints).values(endpoint_row(number, **values)))


def _change_endpoint(connection: Connection, number: int, values: dict[str, Any]) -> None:
    bump_version(connection, "endpoints")
    connection.execute(update(endpoints).where(endpoints.c.number == number).values(**values))
