"""A server for nodes that ask, and a workflow with one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


class Receiver:
    """A server that gives scripted answers and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.url = ""
        self.delay = asyncio.Event()
        self.delay.set()

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        self.bodies.append(await request.read())
        await self.delay.wait()
        return web.Response(**(self.answers.pop(0) if self.answers else {"text": "ok"}))


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A running Receiver."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}"
    yield receiver
    receiver.delay.set()
    await runner.cleanup()


def asking(**config: Any) -> dict[str, Any]:
    nodes = [
        {"id": "start", "type": "WebhookTrigger"},
        {"id": "ask", "type": "HttpRequest", "config": config},
    ]
    return {"id": "w", "nodes": nodes, "edges": [{"from": "start", "to": "ask"}]}
