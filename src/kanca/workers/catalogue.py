"""What a worker knows of endpoints and handlers: kept in memory, and never older than the events it works on."""

from __future__ import annotations

import json
from collections.abc import Collection, Container
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from kanca.domain.event import StoredEvent
from kanca.handlers.matching import decode_spec
from kanca.storage.claimed_work import EndpointRow, read_endpoints, read_events, read_handlers
from kanca.storage.ports import Database
from kanca.storage.versions import read_versions
from kanca.workers.targets import (
    DEFAULT_TIMEOUT,
    PUBLISHED,
    KnownHandler,
    KnownWorkflow,
    Sender,
    Targets,
    arrival_of,
    find_targets,
)

MOST_SENDERS = 50_000
MOST_TARGETS = 10_000
"""What is more is forgotten, and read again when it is needed."""


class Catalogue:
    """Gives events, with all that is needed to dispatch them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._versions: dict[str, int] | None = None
        self._senders: dict[int, Sender] = {}
        self._targets: dict[tuple[Any, ...], Targets] = {}
        self.handlers: tuple[KnownHandler, ...] = ()
        """All announced handlers, as of the last reading."""

    async def read(self, events: Collection[UUID]) -> dict[UUID, StoredEvent]:
        """The events that are there. Everything else here is then at least as fresh. One reading at a time.

        Raises DatabaseUnavailable.
        """
        reading = await self._database.read(_read, events, self._versions, self._senders.keys())
        if reading.handlers is not None:
            self._versions = reading.versions
            self.handlers = reading.handlers
            self._targets.clear()
            self._senders.clear()
        elif len(self._senders) > MOST_SENDERS:
            self._senders = {
                number: self._senders[number]
                for number in {event.endpoint for event in reading.events.values()}
                if number in self._senders
            }
        self._senders |= reading.senders
        return reading.events

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
            targets = self._targets[key] = find_targets(arrival, sender, self.handlers)
        return targets


class _Reading(NamedTuple):
    events: dict[UUID, StoredEvent]
    versions: dict[str, int]
    handlers: tuple[KnownHandler, ...] | None
    """Only when something changed: then all that was known before is old."""
    senders: dict[int, Sender]
    """Those that were not known."""


def _read(
    connection: Connection,
    ids: Collection[UUID],
    known_versions: dict[str, int] | None,
    known: Container[int],
) -> _Reading:
    versions = read_versions(connection)
    events = read_events(connection, ids)
    handlers = None
    if versions != known_versions:
        known = ()
        handlers = tuple(KnownHandler(row.number, decode_spec(row.spec)) for row in read_handlers(connection))
    missing = {event.endpoint for event in events.values() if event.endpoint not in known} - {PUBLISHED}
    senders = {row.number: _sender(row) for row in read_endpoints(connection, missing)} if missing else {}
    return _Reading(events, versions, handlers, senders)


def _sender(row: EndpointRow) -> Sender:
    config = json.loads(row.config)
    return Sender(
        number=row.number,
        webhook_id=row.webhook_id,
        slug=row.slug,
        provider=row.provider,
        workflow=KnownWorkflow(row.workflow_id, row.published_version) if row.workflow_id else None,
        node_id=row.node_id,
        timeout=timedelta(seconds=config["webhook_timeout"])
        if "webhook_timeout" in config
        else DEFAULT_TIMEOUT,
        is_paused=row.is_paused,
    )
