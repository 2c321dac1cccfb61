"""Kanca inside somebody else's ASGI app: gateway and worker in one process, alive as long as that app."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from kanca.api.access import AccessRule
from kanca.api.problems import problem_response
from kanca.app.gateway import open_gateway
from kanca.app.hooks import Kanca
from kanca.app.installed_nodes import add_installed_nodes
from kanca.app.opening import open_own
from kanca.app.processes import Stop
from kanca.app.serving import prepare
from kanca.app.working import open_worker
from kanca.errors import ShuttingDown
from kanca.settings import Settings
from kanca.storage.ports import Database
from kanca.telemetry.lines import lines, through_structlog
from kanca.telemetry.otel import use_host_tracing
from kanca.workers.worker import Worker

log = structlog.get_logger(__name__)

HURRY_AFTER = timedelta(seconds=5)
"""How much longer than its own limit a stopping worker is waited for."""
RESTART_AFTER = timedelta(seconds=1)
"""Between a worker that died and the next one."""


class MountedApp:
    """The ASGI app to mount. It answers 503 unless ``running`` is entered."""

    def __init__(self, hooks: Kanca) -> None:
        self._hooks = hooks
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        if self._app is None:
            detail = "Kanca is not running: give the app `lifespan=hooks.lifespan`."
            await problem_response(ShuttingDown(detail), {"Retry-After": "5"})(scope, receive, send)
            return
        await self._app(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve and work while entered. Raises InvalidSetting, DatabaseUnavailable."""
        settings = self._hooks.settings
        use_host_tracing()
        lines.configure(settings.log_requests, through_structlog)
        add_installed_nodes(self._hooks.nodes)
        await prepare(settings)
        # What stands in front of somebody's app is not known here, so management always needs a key.
        key = settings.admin_key.get_secret_value() if settings.admin_key else None
        access = AccessRule(admin_key=key, is_bound_to_loopback=False)
        database = await open_own(settings)
        stop = Stop()
        try:
            async with (
                open_gateway(
                    settings, database, self._hooks.nodes, access, f"mounted-{os.getpid()}"
                ) as gateway,
                open_worker(self._hooks, settings, database) as worker,
            ):
                working = asyncio.create_task(self._work(worker, settings, database, stop))
                self._app = gateway.asgi
                try:
                    yield
                finally:
                    self._app = None
                    stop.ask()
                    limit = settings.shutdown_seconds + HURRY_AFTER.total_seconds()
                    await asyncio.wait({working}, timeout=limit)
                    working.cancel()
                    await asyncio.gather(working, return_exceptions=True)
        finally:
            await database.close()

    async def _work(self, worker: Worker, settings: Settings, database: Database, stop: Stop) -> None:
        """Work until asked to stop: after a worker that ended of anything else comes another one."""
        async with AsyncExitStack() as opened:
            while True:
                try:
                    return await worker.run(stop)
                except Exception:
                    log.exception("worker_died", restart_in_s=RESTART_AFTER.total_seconds())
                await opened.aclose()
                with suppress(TimeoutError):
                    async with asyncio.timeout(RESTART_AFTER.total_seconds()):
                        await stop.requested.wait()
                worker = await opened.enter_async_context(open_worker(self._hooks, settings, database))
