"""What a worker knows of endpoints and handlers: kept in memory, and never older than the events it works on."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from kanca.domain.endpoint import NodeBehavior
from kanca.domain.event import StoredEvent
from kanca.domain.published import PUBLISHED
from kanca.domain.subscription import OPERATIONAL_ENDPOINT
from kanca.expressions.filtering import Filter
from kanca.handlers.matching import decode_spec
from kanca.storage.claimed_work import (
    EndpointRow,
    HandlerRow,
    read_endpoints,
    read_handlers,
    read_paused_workflows,
)
from kanca.storage.ports import Database
from kanca.storage.workflows import beyond
from kanca.workers.subscriptions import SubscriptionBook
from kanca.workers.targets import (
    DEFAULT_TIMEOUT,
    KnownHandler,
    KnownWorkflow,
    Sender,
    Targets,
    arrival_of,
    find_targets,
    source_of,
)

MOST_SENDERS = 50_000
MOST_TARGETS = 10_000
"""What is more is forgotten, and read again when it is needed."""


class Catalogue:
    """Gives events, with all that is needed to dispatch them."""

    def __init__(self, database: Database, node_types: Iterable[str], book: SubscriptionBook) -> None:
        """``node_types``: those that this worker has."""
        self._database = database
        self._book = book
        self._node_types = frozenset(node_types)
        self._versions: str | None = None
        self._senders: dict[int, Sender] = {}
        self._targets: dict[tuple[Any, ...], Targets] = {}
        self.handlers: tuple[KnownHandler, ...] = ()
        """All handlers that some app has, as of the last reading."""
        self.handler_names: dict[int, str] = {}
        """By number: also those that no app has any more."""
        self.others_workflows: frozenset[int] = frozenset()
        """The numbers of the workflows whose published version has nodes of types that this worker lacks."""
        self.paused_workflows: frozenset[int] = frozenset()
        """The numbers of the workflows whose runs are held."""

    async def read(self, ids: Collection[UUID], endpoints: Collection[int] = ()) -> dict[UUID, StoredEvent]:
        """The events that are there. Everything else here is then at least as fresh. One reading at a time.

        ``endpoints``: numbers of others that are needed. Raises DatabaseUnavailable.
        """
        versions, events = await self._database.queue.read_claimed(ids)
        if await self._book.refresh(versions):
            self._targets = {}
        needed = {event.endpoint for event in events.values()}.union(endpoints) - {
            PUBLISHED,
            OPERATIONAL_ENDPOINT,
        }
        is_fresh = versions == self._versions
        missing = needed - self._senders.keys() if is_fresh else needed
        if missing or not is_fresh:
            read, senders = await self._database.read(_read, missing, None if is_fresh else self._node_types)
            if read is not None:
                self._forget(read)
                self._versions = versions
            elif len(self._senders) > MOST_SENDERS:
                self._senders = {number: self._senders[number] for number in needed - missing}
            self._senders |= senders
        return events

    def _forget(self, read: _Read) -> None:
        """Forget all but this."""
        self.handlers = tuple(
            KnownHandler(row.number, decode_spec(row.spec)) for row in read.handlers if not row.is_retired
        )
        self.handler_names = {row.number: row.name for row in read.handlers}
        self.others_workflows = read.others_workflows
        self.paused_workflows = read.paused_workflows
        self._senders = {}
        self._targets = {}

    def sender_of(self, event: StoredEvent) -> Sender | None:
        """The endpoint of an event of the last reading; None for published events."""
        return self._senders.get(event.endpoint)

    def targets_of(self, event: StoredEvent) -> Targets:
        """Who gets an event of the last reading."""
        sender = self.sender_of(event)
        arrival = arrival_of(event, sender)
        key = (event.endpoint, arrival.type, arrival.tenant, arrival.is_authenticated)
        targets = self._targets.get(key)
        if targets is None:
            if len(self._targets) >= MOST_TARGETS:
                self._targets.clear()
            wanting = self._book.subscribers.wanting(event.type, event.tenant, source_of(event, sender))
            targets = self._targets[key] = find_targets(arrival, sender, self.handlers, wanting)
        return targets


class _Read(NamedTuple):
    """What is read anew when anything has changed."""

    handlers: list[HandlerRow]
    others_workflows: frozenset[int]
    paused_workflows: frozenset[int]


def _read(
    connection: Connection, endpoints: Collection[int], node_types: frozenset[str] | None
) -> tuple[_Read | None, dict[int, Sender]]:
    """The endpoints, and for a worker with these ``node_types`` what else there is to know (None: nothing)."""
    rows = read_endpoints(connection, endpoints) if endpoints else []
    senders = {row.number: _sender(row) for row in rows}
    if node_types is None:
        return None, senders
    others = frozenset(needed.number for needed in beyond(connection, node_types))
    return _Read(read_handlers(connection), others, read_paused_workflows(connection)), senders


def _sender(row: EndpointRow) -> Sender:
    config = json.loads(row.config)
    return Sender(
        number=row.number,
        webhook_id=row.webhook_id,
        slug=row.slug,
        provider=row.provider,
        workflow=KnownWorkflow(row.workflow_id, row.published_version, row.workflow_number or 0)
        if row.workflow_id
        else None,
        node_id=row.node_id,
        timeout=timedelta(seconds=config["webhook_timeout"])
        if "webhook_timeout" in config
        else DEFAULT_TIMEOUT,
        is_paused=row.is_paused,
        behavior=NodeBehavior(config.get("node_behavior", NodeBehavior.AUTO)),
        filter=Filter(config["filter"]) if config.get("filter") else None,
        indexed_fields=tuple(config.get("indexed_fields", ())),
    )
