"""Telling people, by whatever Apprise can: chats, mail, pagers. The addresses hold secrets and are never logged."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Any

from kanca.errors import InvalidSetting
from kanca.outbound.notices import Message

SETTING = "KANCA_ALERT_URLS"
LIMIT = timedelta(seconds=30)
"""The longest that one address is waited for."""

RunInThread = Callable[[Callable[[], Any]], "asyncio.Future[Any]"]
"""Calls a function in a thread that does not keep the process from ending."""


class Addresses:
    """Where people are told."""

    def __init__(self, urls: Sequence[str], run_in_thread: RunInThread, limit: timedelta = LIMIT) -> None:
        """Raises InvalidSetting when Apprise is not installed, or cannot read one of the ``urls``."""
        self._receivers = [_receiver(url, position) for position, url in enumerate(urls)]
        self._run_in_thread = run_in_thread
        self._limit_s = limit.total_seconds()

    def __len__(self) -> int:
        return len(self._receivers)

    async def tell(self, message: Message, without: Collection[int] = ()) -> set[int]:
        """Send a message to all but those at these positions; gives the positions of those who got it."""
        asked = [position for position in range(len(self._receivers)) if position not in without]
        went = await asyncio.gather(*(self._tell(message, self._receivers[position]) for position in asked))
        return {position for position, did in zip(asked, went, strict=True) if did}

    async def _tell(self, message: Message, receiver: Any) -> bool:
        try:
            async with asyncio.timeout(self._limit_s):
                return bool(await self._run_in_thread(lambda: _notify(receiver, message)))
        except Exception:  # noqa: BLE001 - a plugin may raise anything, and its words may quote the address
            return False


def unreadable(urls: Sequence[str]) -> str | None:
    """Why people cannot be told by these addresses, in words that hold none of them; None when they can."""
    try:
        for position, url in enumerate(urls):
            _receiver(url, position)
    except InvalidSetting as error:
        return error.detail
    return None


def _receiver(url: str, position: int) -> Any:
    if importlib.util.find_spec("apprise") is None:
        raise InvalidSetting(f"{SETTING} needs the extra `alerts`: `pip install 'kanca[alerts]'`")
    import apprise  # noqa: PLC0415 - not everybody has it, and it takes a quarter of a second

    # What it logs may quote addresses.
    logger = logging.getLogger(apprise.logger.name)
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False
    asset = apprise.AppriseAsset(
        app_id="Kanca",
        app_desc="Kanca",
        async_mode=False,  # in the thread that asks, so that there is none that nobody counts
        storage_mode=apprise.PersistentStoreMode.MEMORY,
    )
    receiver = apprise.Apprise(asset=asset)
    if not receiver.add(url) or not len(receiver):
        raise InvalidSetting(f"{SETTING}: number {position + 1} is no address that Apprise can read")
    return receiver


def _notify(receiver: Any, message: Message) -> bool:
    import apprise  # noqa: PLC0415 - as above

    result = receiver.notify(
        title=message.title,
        body=message.body,
        notify_type=apprise.NotifyType.WARNING,
        body_format=apprise.NotifyFormat.TEXT,
    )
    return bool(result)
