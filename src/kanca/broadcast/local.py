"""Telling within one process: all that there is without Redis."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from kanca.broadcast.port import Hear

log = structlog.get_logger(__name__)


class Listeners:
    """Who listens to what in this process."""

    def __init__(self) -> None:
        self._by_topic: dict[str, list[Hear]] = {}

    @property
    def topics(self) -> set[str]:
        """The topics that somebody listens to."""
        return set(self._by_topic)

    def add(self, topic: str, hear: Hear) -> Callable[[], None]:
        """Remember a listener; gives what forgets it."""
        self._by_topic.setdefault(topic, []).append(hear)

        def forget() -> None:
            listeners = self._by_topic.get(topic, [])
            if hear in listeners:
                listeners.remove(hear)
            if not listeners:
                self._by_topic.pop(topic, None)

        return forget

    def tell(self, topic: str, message: bytes | None) -> None:
        """Call everybody who listens to ``topic``; one who fails keeps nobody else from hearing."""
        for hear in tuple(self._by_topic.get(topic, ())):
            try:
                hear(message)
            except Exception:
                log.exception("listener_failed", topic=topic)


class LocalBroadcast:
    """The ``Broadcast`` port without anything between processes."""

    def __init__(self) -> None:
        self._listeners = Listeners()

    def publish(self, topic: str, message: bytes = b"") -> None:
        """Tell those in this process."""
        self._listeners.tell(topic, message)

    def listen(self, topic: str, hear: Hear) -> Callable[[], None]:
        """Listen to this process."""
        return self._listeners.add(topic, hear)

    async def close(self) -> None:
        """Nothing to let go of."""
