"""Granian inside a process of ours, on the socket that the supervisor opened."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from granian._granian import SocketHolder
from granian.constants import Interfaces
from granian.server.embed import Server

MOST_CONNECTIONS = 20_000
"""Granian takes no more connections than its backlog unless told: idle senders would keep all others waiting."""


class GatewayServer(Server):
    """One Granian worker in this event loop.

    Granian's embedded server is marked experimental by its authors; ``docs/adr`` says why it is used all the same.
    """

    def __init__(self, app: Any, listen_fd: int) -> None:
        """Serve ``app`` (ASGI) on an inherited listening socket."""
        super().__init__(
            app,
            interface=Interfaces.ASGINL,
            log_enabled=False,
            websockets=False,
            backlog=1024,
            backpressure=MOST_CONNECTIONS,
        )
        self._listen_fd = listen_fd

    def _init_shared_socket(self) -> None:
        # Granian's annotations know neither what the holder takes nor that these are ever set.
        self._shd = SocketHolder(self._listen_fd, False, self.backlog)  # type: ignore[call-arg,assignment]
        self._sfd = self._listen_fd  # type: ignore[assignment]

    async def serve_until(self, stop: asyncio.Event, limit: timedelta) -> None:
        """Serve until ``stop`` is set, then let open requests end, for ``limit`` at most."""
        serving = asyncio.create_task(self.serve())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not serving.done():
            self.stop()  # type: ignore[no-untyped-call]  # Granian's
            await asyncio.wait({serving}, timeout=limit.total_seconds())
        if serving.done():
            serving.result()
