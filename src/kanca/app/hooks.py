"""The object that users hold: their handlers and node types, and the doors into somebody's own app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kanca.handlers.event import Event
from kanca.handlers.registry import HandlerRegistry
from kanca.settings import Settings, load_settings
from kanca.workflows.nodes import built_in_registry

if TYPE_CHECKING:
    from kanca.app.mounted import MountedApp
    from kanca.app.publishing import HooksPublisher


class Kanca:
    """Handlers and node types, ready to be run.

    ``kanca serve --app shop.hooks:hooks`` runs them in worker processes of their own. Inside an existing app,
    ``app.mount("/hooks", hooks.asgi)`` with ``lifespan=hooks.lifespan`` runs everything in that app's process.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        """Open nothing yet. ``settings`` default to the environment, read when Kanca starts."""
        self._settings = settings
        self.handlers = HandlerRegistry()
        self.nodes = built_in_registry()
        self.on = self.handlers.on
        self.node = self.nodes.node

    @cached_property
    def settings(self) -> Settings:
        """The settings of this process. Raises InvalidSetting."""
        return self._settings or load_settings()

    async def publish(
        self,
        event_type: str,
        payload: Any,
        *,
        connection: Any = None,
        event_id: str | None = None,
        tenant: str = "default",
        correlation_id: str | None = None,
    ) -> str:
        """Publish an event; gives its id, ``evt_…``.

        With a ``connection`` (SQLAlchemy's AsyncSession or AsyncConnection, or a connection of asyncpg, psycopg or
        aiosqlite) in the caller's own transaction, through the table ``kanca_outbox``: a commit publishes it once, a
        rollback does not. Without one it is published before this returns.

        ``payload`` is anything that JSON can say, models and data classes too; bytes are JSON text that is kept as it
        is. ``event_id`` is an id of your own: for seven days the same one of the same tenant is the same event. Within
        a handler the event has the correlation id of the event that is handled, unless it is given one.

        Raises InvalidEvent, PayloadTooLarge; InvalidInput for a connection that is none or needs ``publish_sync``; what
        the connection raises. Without a connection also DatabaseUnavailable, and EventIdTaken for an ``event_id`` that
        another event has.
        """
        about = {"event_id": event_id, "tenant": tenant, "correlation_id": correlation_id}
        return await self.publisher.publish(event_type, payload, connection, **about)

    def publish_sync(
        self,
        event_type: str,
        payload: Any,
        *,
        connection: Any = None,
        event_id: str | None = None,
        tenant: str = "default",
        correlation_id: str | None = None,
    ) -> str:
        """Publish an event as ``publish`` does, where nothing is awaited.

        ``connection`` is SQLAlchemy's Session or Connection, or a connection of psycopg, sqlite3 or PyMySQL.
        """
        about = {"event_id": event_id, "tenant": tenant, "correlation_id": correlation_id}
        return self.publisher.publish_sync(event_type, payload, connection, **about)

    @cached_property
    def publisher(self) -> HooksPublisher:
        """What publishes for this object. ``publisher.close()`` lets go of what publishing without Kanca has opened."""
        from kanca.app.publishing import HooksPublisher  # noqa: PLC0415 - loaded by who publishes

        return HooksPublisher(lambda: self.settings)

    def approval_urls(self, event: Event[Any]) -> dict[str, str]:
        """The addresses that answer an ``approval.requested`` event: ``{"approve", "reject"}``.

        Whoever has one can decide, once. Raises InvalidSetting when KANCA_PUBLIC_URL is not set (and Kanca listens to
        others than this machine), InvalidInput for another event.
        """
        from kanca.app.resume_urls import approval_urls  # noqa: PLC0415 - only this needs what it loads

        return approval_urls(self.settings, event.data)

    @cached_property
    def asgi(self) -> MountedApp:
        """The ASGI app to mount: ingest and management. It works while ``lifespan`` is entered."""
        # Everything that serving needs is loaded only to serve.
        from kanca.app.mounted import MountedApp  # noqa: PLC0415

        return MountedApp(self)

    @property
    def lifespan(self) -> Any:
        """The lifespan to give to the app that mounts this one: ``FastAPI(lifespan=hooks.lifespan)``."""

        @asynccontextmanager
        async def run(_app: object) -> AsyncIterator[None]:
            async with self.running():
                yield

        return run

    def running(self) -> AbstractAsyncContextManager[None]:
        """Serve and work in this process while entered; for lifespans that do more than one thing."""
        return self.asgi.running()
