"""A connection that is cut at just the wrong moment confuses the driver; it is a lost connection all the same."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, cast

import asyncpg
import pytest

from kanca.errors import DatabaseUnavailable
from kanca.storage.dialects.postgresql.address import Address
from kanca.storage.dialects.postgresql.failures import LOST, translated
from kanca.storage.dialects.postgresql.notifications import NotifyMessenger
from kanca.storage.waking import Bell


@pytest.mark.parametrize("error", LOST)
def test_what_the_driver_raises_for_a_lost_connection_is_an_absent_database(error: type[Exception]) -> None:
    with pytest.raises(DatabaseUnavailable), translated():
        raise error("cannot switch to state 15; another operation (2) is in progress")


class _Connection:
    """The first one is confused by being cut; the next one works."""

    def __init__(self, number: int, notified: asyncio.Event) -> None:
        self._number = number
        self._notified = notified

    async def execute(self, statement: str) -> None:
        if not statement.startswith("NOTIFY"):
            return
        if self._number == 1:
            raise asyncpg.InternalClientError(
                "cannot switch to state 15; another operation (2) is in progress"
            )
        self._notified.set()

    def terminate(self) -> None:
        pass


class _Address:
    is_pooled = False

    def __init__(self) -> None:
        self.connections = 0
        self.notified = asyncio.Event()

    async def connect(self, _timeout: timedelta) -> _Connection:
        self.connections += 1
        return _Connection(self.connections, self.notified)


async def test_a_wake_up_that_confused_its_connection_is_sent_on_the_next_one() -> None:
    address = _Address()
    messenger = NotifyMessenger(Bell(), cast(Address, cast(Any, address)))
    messenger.send()
    async with asyncio.timeout(10):
        await address.notified.wait()
    await messenger.close()
    assert address.connections == 2
