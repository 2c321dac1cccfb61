"""Instances say that they are there, and what they are: a duty of each gateway and each worker."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from kanca import __version__
from kanca.app.opening import connections_used
from kanca.domain.ids import IdFactory
from kanca.errors import Unavailable
from kanca.settings import Settings
from kanca.storage import instances
from kanca.storage.instances import Description, InstanceState
from kanca.storage.ports import Database
from kanca.storage.revisions import newest_revision

GATEWAY_LEASE = timedelta(seconds=15)
"""A gateway that gave no sign for so long is taken for dead. Nothing but what is shown depends on it."""
GATEWAY_BEAT = GATEWAY_LEASE / 3
LEAVE_LIMIT = timedelta(seconds=2)
"""The longest that signing off may take."""
WORKER_LOOK = timedelta(seconds=1)
"""How often a worker looks whether it has another number, which asks the database nothing."""
WORKER_BEAT = timedelta(seconds=30)


def describe(settings: Settings, ids: IdFactory) -> Callable[[], Description]:
    """What says how this process is now; ``ids`` knows how far its clock is off."""
    first = Description(
        __version__, newest_revision(), InstanceState.RUNNING, connections_used(settings), clock_ahead_ms=0
    )
    return lambda: replace(first, clock_ahead_ms=round(-1000 * ids.correction_s))


class GatewayPresence:
    """Keeps a gateway in the list of instances."""

    def __init__(
        self, database: Database, describe: Callable[[], Description], address: str | None = None
    ) -> None:
        """``address``: where it listens."""
        self._database = database
        self._describe = describe
        self._address = address
        self._state = InstanceState.RUNNING
        self._number: int | None = None

    async def run_once(self) -> timedelta:
        """Give a sign of life, and say when to give the next. Raises DatabaseUnavailable."""
        said = replace(self._describe(), state=self._state)
        if self._number is None or not await self._database.write(
            instances.extend_gateway, self._number, GATEWAY_LEASE, said
        ):
            self._number = await self._database.write(
                instances.enter_gateway, socket.gethostname(), os.getpid(), self._address, GATEWAY_LEASE, said
            )
        return GATEWAY_BEAT

    def stopping(self) -> None:
        """Say so from now on: hurry the duty."""
        self._state = InstanceState.STOPPING

    async def leave(self) -> None:
        """Sign off; a database that is away forgets the gateway by itself."""
        number, self._number = self._number, None
        if number is not None:
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(LEAVE_LIMIT.total_seconds()):
                    await self._database.write(instances.leave_gateway, number)


class WorkerPresence:
    """Keeps what a worker says of itself beside its lease, which it has anyway."""

    def __init__(
        self,
        database: Database,
        describe: Callable[[], Description],
        number: Callable[[], int | None],
        is_stopping: Callable[[], bool],
    ) -> None:
        """``number``: that of the worker, while it has a lease."""
        self._database = database
        self._describe = describe
        self._number = number
        self._is_stopping = is_stopping
        self._said: tuple[int, InstanceState] | None = None
        self._waited = timedelta(0)

    async def run_once(self) -> timedelta:
        """Say what is new, and the rest every so often; gives when to look again. Raises DatabaseUnavailable."""
        number = self._number()
        state = InstanceState.STOPPING if self._is_stopping() else InstanceState.RUNNING
        now = None if number is None else (number, state)
        self._waited += WORKER_LOOK
        if now is not None and (now != self._said or self._waited >= WORKER_BEAT):
            said = replace(self._describe(), state=state)
            await self._database.write(instances.describe_worker, now[0], said)
            self._said, self._waited = now, timedelta(0)
        return WORKER_LOOK
