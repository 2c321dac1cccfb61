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
