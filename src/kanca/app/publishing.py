"""Publishing from Python: into the caller's transaction, or at once into Kanca's own database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from kanca.app.capturing import Capture, capture
from kanca.app.own_database import OpenDatabase, OwnDatabase
from kanca.domain.event import Duplicate, NewEvent
from kanca.domain.ids import EVENT, IdFactory, show_id
from kanca.errors import EventIdTaken, InvalidInput
from kanca.handlers.current import current
from kanca.outbound.outbox.connections import write, write_sync
from kanca.outbound.outbox.entry import PUBLISHED_BY, columns_of
from kanca.outbound.publishing import data_text, published_event, says_the_same
from kanca.settings import Settings
from kanca.storage.events import get
from kanca.storage.ports import Database
from kanca.telemetry.otel import where_we_are

PUBLISH_TIMEOUT_S = 60.0
"""The longest that ``publish_sync`` waits for Kanca's own database, which has shorter limits of its own."""


class HooksPublisher:
    """Publishes for one ``Kanca`` object; opens Kanca's database only when it is asked for and nobody else has it."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._ids = IdFactory()
        self._own = OwnDatabase(settings)
        self._given: OpenDatabase | None = None

    @asynccontextmanager
    async def through(self, database: Database, settings: Settings) -> AsyncIterator[None]:
        """Publish through a database that is open in this process, while entered."""
        opened = self._given = OpenDatabase.of(database, settings)
        try:
            yield
        finally:
            if self._given is opened:
                self._given = None
            await opened.waker.close()

    async def publish(self, event_type: str, payload: Any, connection: Any, **about: Any) -> str:
        """As ``Kanca.publish`` promises."""
        event, hops = self._new(event_type, payload, about)
        if connection is not None:
            await write(connection, columns_of(event, hops))
            return show_id(EVENT, event.id)
        if (captured := capture()) is not None:
            return captured.take(event)
        opened = self._given
        if opened is None:
            opened = await asyncio.to_thread(self._own.open)
        if opened.loop is asyncio.get_running_loop():
            return await _store(opened, event)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_store(opened, event), opened.loop))

    def publish_sync(self, event_type: str, payload: Any, connection: Any, **about: Any) -> str:
        """As ``Kanca.publish_sync`` promises."""
        event, hops = self._new(event_type, payload, about)
        if connection is not None:
            write_sync(connection, columns_of(event, hops))
            return show_id(EVENT, event.id)
        opened = capture() or self._given or self._own.open()
        if opened.loop is not None and opened.loop is _running_loop():
            raise InvalidInput(
                "`publish_sync` would wait for the event loop that it runs in: use `await publish(…)`"
            )
        if isinstance(opened, Capture):
            return opened.take(event)
        stored = asyncio.run_coroutine_threadsafe(_store(opened, event), opened.loop)
        return stored.result(PUBLISH_TIMEOUT_S)

    def close(self) -> None:
        """Let go of the database, if it was opened here."""
        self._own.close()

    def _new(self, event_type: str, payload: Any, about: dict[str, Any]) -> tuple[NewEvent, int]:
        """The event, and its hops: those of the event that is handled, whose correlation id and trace it has, too."""
        handled = current()
        hops = handled.hops() if handled else 0
        trace = where_we_are() or (handled.trace() if handled else None)
        if handled and about["correlation_id"] is None:
            about = {**about, "correlation_id": handled.correlation_id}
        identifier, now = self._ids.new(), datetime.now(UTC)
        event = published_event(
            identifier,
            now,
            event_type=event_type,
            payload=payload,
            by=PUBLISHED_BY,
            hops=hops,
            trace=trace,
            **about,
        )
        return event, hops


async def _store(opened: OpenDatabase, event: NewEvent) -> str:
    (await opened.types.look()).check(event.type, data_text(event))
    (answer,) = await opened.database.accepting.append([event])
    if isinstance(answer, Exception):
        raise answer
    if isinstance(answer, Duplicate):
        original = await opened.database.read(get, answer.original)
        if original is not None and not says_the_same(event, original):
            raise EventIdTaken
        return show_id(EVENT, answer.original)
    opened.waker.wake()
    return show_id(EVENT, event.id)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
