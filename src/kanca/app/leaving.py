"""How a gateway leaves: it says so, then takes nothing new, then waits for the last answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from datetime import timedelta
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from kanca.api.problems import problem_response
from kanca.errors import ShuttingDown

RETRY_AFTER_S = 5
QUIET = timedelta(milliseconds=200)
"""After so long without a request, no more is expected on the connections that are open."""

_LOOK_S = 0.02
_CLOSE = (b"connection", b"close")
_PROBES = ("/health", "/metrics")


class Leaving:
    """Where a gateway is on its way out, and how many requests it still has to answer."""

    def __init__(self) -> None:
        self.announced = asyncio.Event()
        """The readiness probe fails and connections are closed after an answer; everything is still taken."""
        self.is_closed = False
        """Nothing new is taken."""
        self.early = 0
        """Requests from before it was announced that are not answered yet."""
        self.late = 0
        """Requests from since then that are not answered yet."""
        self._came_at = 0.0

    async def see_off(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Have ``app`` answer a request that came after it was announced: its connection is not to be used again."""
        self._came_at = asyncio.get_running_loop().time()
        self.late += 1
        try:
            await app(scope, receive, _closing(scope, send))
        finally:
            self.late -= 1

    def refuses(self, path: str) -> bool:
        """Whether a management request comes too late; ingest refuses by itself."""
        return self.is_closed and not path.startswith(_PROBES)

    async def wait_for_early(self, limit: timedelta) -> bool:
        """Wait until all who came in time are answered; False when that took longer than ``limit``."""
        return await _until(lambda: not self.early, limit)

    async def wait_until_quiet(self, limit: timedelta) -> bool:
        """Wait until all are answered and no more come; False when that took longer than ``limit``."""
        loop = asyncio.get_running_loop()
        began_at = loop.time()

        def is_quiet() -> bool:
            last_at = max(self._came_at, began_at)
            return not (self.early or self.late) and loop.time() - last_at >= QUIET.total_seconds()

        return await _until(is_quiet, limit)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer that it is too late."""
    if scope["type"] == "http":
        answer = problem_response(ShuttingDown(), {"Retry-After": str(RETRY_AFTER_S)})
        await answer(scope, receive, send)


async def _until(condition: Callable[[], bool], limit: timedelta) -> bool:
    loop = asyncio.get_running_loop()
    end_at = loop.time() + limit.total_seconds()
    # Time is part of what is waited for, so there is no event for it.
    while not (is_so := condition()) and loop.time() < end_at:  # noqa: ASYNC110 - see above
        await asyncio.sleep(_LOOK_S)
    return is_so


def _closing(scope: Scope, send: Send) -> Send:
    """``send``, which tells the client not to use its connection again (HTTP/2 has another way, the server's own)."""
    if not scope.get("http_version", "").startswith("1"):
        return send

    async def send_and_close(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = [pair for pair in message.get("headers", ()) if pair[0].lower() != _CLOSE[0]]
            message = {**message, "headers": [*headers, _CLOSE]}
        await send(message)

    return send_and_close
