"""Ingest over ASGI 3: a plain callable, without routing, middleware or request objects of anybody's framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from kanca.ingest.gateway import Ingest
from kanca.ingest.request import Answer, Chunks, ClientGone, Request

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_CLOSE = (b"connection", b"close")


class IngestASGI:
    """The ASGI application for the paths that ``routes.find_route`` knows; all others are 404."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one HTTP request."""
        body = _Body(receive)
        answer = await self._ingest.accept(_request(scope, body.next))
        if not body.is_cut_short:
            await _send(scope, send, answer)


class _Body:
    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.is_cut_short = False

    async def next(self) -> tuple[bytes, bool]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.is_cut_short = True
            raise ClientGone
        return message.get("body", b""), message.get("more_body", False)


def _request(scope: Scope, chunks: Chunks) -> Request:
    mount = scope.get("root_path", "")
    path = scope["path"]
    target = (scope.get("raw_path") or path.encode()).decode("latin-1")
    if mount:
        path = path.removeprefix(mount)
        target = target.removeprefix(mount)
    if query := scope["query_string"]:
        target = f"{target}?{query.decode('latin-1')}"
    client = scope.get("client")
    return Request(
        scope["method"],
        path,
        target,
        scope["scheme"],
        client[0] if client else "",
        scope["headers"],
        chunks,
        mount,
    )


async def _send(scope: Scope, send: Send, answer: Answer) -> None:
    headers = answer.headers
    if answer.ends_connection and scope["http_version"].startswith("1"):
        headers = [*headers, _CLOSE]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})
