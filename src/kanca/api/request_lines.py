"""A request to the management API as a line in the log. Probes and scrapes are left out while they go well."""

from __future__ import annotations

import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kanca.api.callers import SCOPE_KEY
from kanca.telemetry.lines import REQUEST, lines

LINE_KEY = "kanca.line"
"""In a request's scope: what its line is to say besides."""
MAX_USER_AGENT = 200
_PROBES = ("/health", "/metrics")


class RequestLines:
    """ASGI wrapper that writes a line for each request. ``NamedRoute`` tells it of what is inside the app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and write of it when it is over."""
        if scope["type"] != "http" or not lines.are_any:
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        found: dict[str, Any] = {}
        sent = {"status": 0, "bytes": 0}

        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent["status"] = message["status"]
            sent["bytes"] += len(message.get("body", b""))
            await send(message)

        try:
            await self._app({**scope, LINE_KEY: found}, receive, count)
        finally:
            _write(scope, found, sent, time.perf_counter() - began)


class NamedRoute:
    """ASGI wrapper next to the app that notes which route took the request, and who called."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        try:
            await self._app(scope, receive, send)
        finally:
            found = scope.get(LINE_KEY)
            if found is not None:
                found["route"] = getattr(scope.get("route"), "path", None)
                caller = scope.get(SCOPE_KEY)
                found["caller_tenant"] = getattr(caller, "tenant", None)


def _write(scope: Scope, found: dict[str, Any], sent: dict[str, int], took_s: float) -> None:
    status = sent["status"]
    is_wrong = status >= 400 or not status
    if scope["path"].startswith(_PROBES) and not is_wrong:
        return
    client = scope.get("client")
    agent = next((value for name, value in scope["headers"] if name == b"user-agent"), None)
    fields = {
        "method": scope["method"],
        "route": None,
        "http_status": status,
        "response_bytes": sent["bytes"],
        "duration_ms": round(took_s * 1000, 3),
        "client": client[0] if client else None,
        "user_agent": None if agent is None else agent[:MAX_USER_AGENT].decode("latin-1"),
        **found,
    }
    lines.write(REQUEST, fields, is_wrong=is_wrong)
