"""A client of ``GET /api/tail``, without a server: what is sent to it is there as soon as the app has sent it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from starlette.types import ASGIApp, Message, Scope

from kanca.cli.tailing import Message as Said
from kanca.cli.tailing import read_messages

LIMIT_S = 20
"""The longest that a message may take."""


class OpenTail:
    """An open tail. Its client may stop taking what it is sent."""

    def __init__(
        self, app: ASGIApp, query: dict[str, Any] | None = None, place: str | None = None, **more: Any
    ) -> None:
        headers = [(b"host", b"kanca.test")] + ([] if place is None else [(b"last-event-id", place.encode())])
        self._scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/api/tail",
            "raw_path": b"/api/tail",
            "query_string": urlencode(query or {}, doseq=True).encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 4711),
            "server": ("kanca.test", 80),
            **more,
        }
        self._app = app
        self._said: asyncio.Queue[Said | None] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._started = asyncio.Event()
        self.takes = asyncio.Event()
        """Unset: the client reads nothing, and the server waits."""
        self.takes.set()
        self.is_kept_waiting = asyncio.Event()
        """The server has something that is not taken."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        """Of a refusal."""
        self._left = b""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        async with asyncio.timeout(LIMIT_S):
            await self._started.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gone.set()
        async with asyncio.timeout(LIMIT_S):
            await self._task

    async def begun(self) -> str:
        """The place at which it begins: the first message, which comes once everything is set up."""
        said = await self.next()
        assert said is not None
        assert (said.kind, said.data) == ("place", None)
        return str(said.place)

    async def next(self) -> Said | None:
        """The next message; None at the end."""
        async with asyncio.timeout(LIMIT_S):
            return await self._said.get()

    async def take(self, number: int, kind: str = "event") -> list[Said]:
        """The next so many messages of a kind; what is of another is left out."""
        found: list[Said] = []
        while len(found) < number:
            said = await self.next()
            assert said is not None, f"it ended after {found}"
            found += [said] if said.kind == kind else []
        return found

    async def rest(self) -> list[Said]:
        """All that comes until it ends, without mere places."""
        found = []
        while (said := await self.next()) is not None:
            found += [said] if said.kind != "place" else []
        return found

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        finally:
            self._started.set()
            self._said.put_nowait(None)

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            self._started.set()
            return
        if not self.takes.is_set():
            self.is_kept_waiting.set()
        await self.takes.wait()
        self.body += message.get("body", b"") if self.status >= 400 else b""
        whole, blank, self._left = (self._left + message.get("body", b"")).rpartition(b"\n\n")
        for said in read_messages((whole + blank).splitlines(keepends=True)):
            self._said.put_nowait(said)
