"""Wake-ups between processes: ``NOTIFY`` and ``LISTEN``, each on a connection of its own.

A ``NOTIFY`` inside of every accepting transaction would make PostgreSQL commit one after the other. So it is sent
after the commit, and at most one in five milliseconds however often it is asked for.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any

import asyncpg

from kanca.storage.dialects.postgresql.address import Address
from kanca.storage.dialects.postgresql.failures import LOST
from kanca.storage.waking import Bell

CHANNEL = "kanca_work"
_STATEMENT_TIMEOUT = timedelta(seconds=10)
_SPACING_S = 0.005
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_PROOF_OF_LIFE_S = 30.0


class NotifyMessenger:
    """Sends and hears notifications; connects when first asked, and again whenever a connection is lost.

    Behind a pooler it does nothing: there a session that listens does not exist, and workers poll.
    """

    def __init__(self, bell: Bell, address: Address) -> None:
        self._bell = bell
        self._address = address
        self._to_send = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None

    def send(self) -> None:
        """Have a notification sent."""
        self._to_send.set()
        if self._sender is None and not self._address.is_pooled:
            self._sender = asyncio.create_task(self._keep_connected(self._send_all))

    def listen(self) -> None:
        """Have notifications heard."""
        if self._listener is None and not self._address.is_pooled:
            self._listener = asyncio.create_task(self._keep_connected(self._hear_all))

    async def close(self) -> None:
        """Close both connections."""
        tasks = [task for task in (self._sender, self._listener) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_connected(self, use: Callable[[asyncpg.Connection], Coroutine[Any, Any, None]]) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            with suppress(*LOST, asyncpg.PostgresError):
                connection = await self._address.connect(_STATEMENT_TIMEOUT)
                try:
                    pause_s = _FIRST_PAUSE_S
                    await use(connection)
                finally:
                    connection.terminate()
            # Until then the workers' polling is the net.
            await asyncio.sleep(pause_s * (1 - random.random() / 2))  # noqa: S311 - spreads who comes back
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _send_all(self, connection: asyncpg.Connection) -> None:
        # A notification that a crash loses needs no disk: whoever restarts looks for work first.
        await connection.execute("SET synchronous_commit = off")
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            try:
                await connection.execute(f"NOTIFY {CHANNEL}")
            except BaseException:
                self._to_send.set()  # on the next connection
                raise
            await asyncio.sleep(_SPACING_S)

    async def _hear_all(self, connection: asyncpg.Connection) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(CHANNEL, lambda *_: self._bell.ring())
        # Something may have been said while nobody listened.
        self._bell.ring()
        while not lost.is_set():
            try:
                async with asyncio.timeout(_PROOF_OF_LIFE_S):
                    await lost.wait()
            except TimeoutError:
                # A connection that a firewall has forgotten is only found out by using it.
                await connection.execute("SELECT 1")
