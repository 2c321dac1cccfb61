"""A receiver of what nodes send: it remembers all of it, now and then fails, and decides what it is asked to."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

FAILS = 0.04
"""How many of the requests are answered with 503."""

Listener = Callable[[str, dict[str, Any]], Coroutine[Any, Any, None]]


class Recorder:
    """Answers ``POST /{what}`` with ``{"id": "what-order-item"}``, and keeps the idempotency keys."""

    def __init__(self, seed: int) -> None:
        self.url = ""
        self.keys: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        """Of every request, by what it asked for: what, order and item."""
        self.count = 0
        self.listener: Listener | None = None
        """Told of every request, beside answering it."""
        self._chance = random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, request: web.Request) -> web.Response:
        """Take a request."""
        body = await request.json()
        what = request.path.strip("/")
        about = body.get("details") or body
        name = (what, str(about["order"]), str(about.get("item", "")))
        self.keys[name].append(request.headers["Idempotency-Key"])
        self.count += 1
        if self.listener is not None:
            task = asyncio.create_task(self.listener(what, body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._chance.random() < FAILS:
            return web.Response(status=503)
        return web.json_response({"id": "-".join(part for part in name if part)})

    async def end(self) -> None:
        """Wait for all that listens."""
        await asyncio.gather(*self._tasks)


@asynccontextmanager
async def recording(seed: int) -> AsyncIterator[Recorder]:
    """A running recorder."""
    recorder = Recorder(seed)
    app = web.Application()
    app.router.add_post("/{what}", recorder.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    recorder.url = f"http://{host}:{port}"
    try:
        yield recorder
    finally:
        await runner.cleanup()
