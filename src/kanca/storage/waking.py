"""Waking idle workers: within this process by a flag, between processes by whatever the database has for it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Protocol


class Messenger(Protocol):
    """Carries wake-ups between processes."""

    def send(self) -> None:
        """Tell the other processes, soon. Never blocks, never fails."""
        ...

    def listen(self) -> None:
        """Begin to hear the other processes; again is fine."""
        ...

    async def close(self) -> None:
        """End both."""
        ...


class Bell:
    """Rings for every waker of this process."""

    def __init__(self) -> None:
        self._flags: set[asyncio.Event] = set()

    def add(self) -> asyncio.Event:
        """Give a new flag, which is set whenever the bell rings."""
        flag = asyncio.Event()
        self._flags.add(flag)
        return flag

    def remove(self, flag: asyncio.Event) -> None:
        """Forget a flag."""
        self._flags.discard(flag)

    def ring(self) -> None:
        """Set all flags."""
        for flag in self._flags:
            flag.set()


class BellWaker:
    """The ``Waker`` port on a bell and a messenger.

    Each waker remembers one wake-up until it has waited for it: what is said while its owner is busy is not lost.
    """

    def __init__(self, bell: Bell, messenger: Messenger) -> None:
        self._bell = bell
        self._messenger = messenger
        self._flag = bell.add()

    def wake(self) -> None:
        """Wake everybody who waits."""
        self._bell.ring()
        self._messenger.send()

    async def wait(self, timeout: timedelta) -> bool:
        """Wait for a wake-up, or until the time is over (False)."""
        self._messenger.listen()
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                await self._flag.wait()
        except TimeoutError:
            return False
        self._flag.clear()
        return True

    async def close(self) -> None:
        """Wait no more. The messenger belongs to the database."""
        self._bell.remove(self._flag)
