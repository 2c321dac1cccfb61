"""Telling all processes over the publish and subscribe of Redis or Valkey.

Two tasks, each with a connection of its own: one tells, one hears. Both connect again for as long as it takes. What is
to be told meanwhile is kept, each message once and not more than ``MOST_KEPT``; what was missed is made up for by
telling listeners to look (``None``) whenever a subscription begins.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from kanca.broadcast.connecting import redis_client
from kanca.broadcast.local import Listeners
from kanca.broadcast.port import Hear

log = structlog.get_logger(__name__)

MOST_KEPT = 1_000
TIMEOUT_S = 2.0
"""The longest that connecting or telling may take."""
PROOF_OF_LIFE_S = 15.0
"""A connection over which nothing came for so long is asked whether it is there; silent once more, it is given up."""
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0

_CHANNEL = "kanca:broadcast:"
_MARK_BYTES = 8


class RedisBroadcast:
    """The ``Broadcast`` port over one server. Connects when first asked."""

    def __init__(self, url: str) -> None:
        """Connect nothing yet. Raises InvalidSetting for an address that cannot be."""
        self._client = redis_client(url, TIMEOUT_S)
        self._listeners = Listeners()
        # In front of every message: what comes back to its own process was heard there already.
        self._mark = os.urandom(_MARK_BYTES)
        self._kept: dict[tuple[str, bytes], None] = {}
        self._to_tell = asyncio.Event()
        self._topics_changed = asyncio.Event()
        self._teller: asyncio.Task[None] | None = None
        self._hearer: asyncio.Task[None] | None = None

    def publish(self, topic: str, message: bytes = b"") -> None:
        """See ``Broadcast.publish``."""
        self._listeners.tell(topic, message)
        if len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[topic, message] = None
        self._to_tell.set()
        if self._teller is None:
            self._teller = asyncio.create_task(_keep_trying(self._tell_all))

    def listen(self, topic: str, hear: Hear) -> Callable[[], None]:
        """See ``Broadcast.listen``."""
        forget = self._listeners.add(topic, hear)
        self._topics_changed.set()
        if self._hearer is None:
            self._hearer = asyncio.create_task(_keep_trying(self._hear_all))

        def end() -> None:
            forget()
            self._topics_changed.set()

        return end

    async def close(self) -> None:
        """Close both connections. What was not told yet is lost."""
        tasks = [task for task in (self._teller, self._hearer) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(RedisError, OSError):
            await self._client.aclose()

    async def _tell_all(self, works: Callable[[], None]) -> None:
        while True:
            await self._to_tell.wait()
            self._to_tell.clear()
            told = list(self._kept)
            try:
                pipeline = self._client.pipeline(transaction=False)
                for topic, message in told:
                    pipeline.publish(_CHANNEL + topic, self._mark + message)
                await pipeline.execute()
            except BaseException:
                self._to_tell.set()  # on the next connection
                raise
            works()
            for each in told:
                self._kept.pop(each, None)

    async def _hear_all(self, works: Callable[[], None]) -> None:
        pubsub = self._client.pubsub()
        reading: asyncio.Task[dict[str, Any] | None] | None = None
        try:
            subscribed: set[str] = set()
            is_asked = False
            while True:
                self._topics_changed.clear()
                subscribed = await self._follow(pubsub, subscribed)
                if not subscribed:
                    await self._topics_changed.wait()
                    continue
                works()
                reading = reading or asyncio.create_task(_next(pubsub))
                await _first_of(reading, self._topics_changed)
                if not reading.done():
                    continue
                message, reading = reading.result(), None
                if message is not None:
                    is_asked = False
                    self._hear(message)
                elif is_asked:
                    return  # forgotten by a firewall, most likely
                else:
                    is_asked = True
                    await pubsub.ping()
        finally:
            if reading is not None:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            with suppress(RedisError, OSError):
                await pubsub.aclose()  # type: ignore[no-untyped-call]  # theirs

    async def _follow(self, pubsub: PubSub, subscribed: set[str]) -> set[str]:
        """Subscribe to what is listened to now, and to nothing else; gives that."""
        wanted = self._listeners.topics
        if new := wanted - subscribed:
            await pubsub.subscribe(*(_CHANNEL + topic for topic in new))
        if gone := subscribed - wanted:
            await pubsub.unsubscribe(*(_CHANNEL + topic for topic in gone))
        return wanted

    def _hear(self, message: dict[str, Any]) -> None:
        topic = (message["channel"] or b"").decode().removeprefix(_CHANNEL)
        if message["type"] == "subscribe":
            self._listeners.tell(topic, None)
        elif message["type"] == "message" and not message["data"].startswith(self._mark):
            self._listeners.tell(topic, message["data"][_MARK_BYTES:])


async def _next(pubsub: PubSub) -> dict[str, Any] | None:
    found: dict[str, Any] | None = await pubsub.get_message(timeout=PROOF_OF_LIFE_S)
    return found


async def _first_of(reading: asyncio.Task[Any], changed: asyncio.Event) -> None:
    """Wait until there is something to read, or somebody listens to something else."""
    changing = asyncio.create_task(changed.wait())
    try:
        await asyncio.wait({reading, changing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        changing.cancel()


async def _keep_trying(work: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
    """Do ``work`` again whenever it ends; the pauses grow until it says that it works."""
    pause_s = FIRST_PAUSE_S

    def works() -> None:
        nonlocal pause_s
        pause_s = FIRST_PAUSE_S

    while True:
        # What is away costs nothing but time: whoever listens looks by itself every so often.
        try:
            await work(works)
        except (RedisError, OSError):
            pass
        except Exception:
            # Nobody would tell, or hear, in this process ever again.
            log.exception("broadcast_failed")
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
