"""Telling all processes what this one has changed, so that none has to wait until it looks by itself."""

from __future__ import annotations

from collections.abc import Callable

from kanca.broadcast.local import LocalBroadcast
from kanca.broadcast.port import CHANGES, Broadcast
from kanca.settings import Settings
from kanca.storage.ports import Database


def open_broadcast(settings: Settings) -> Broadcast:
    """What tells all processes: over Redis where one is configured. Raises InvalidSetting."""
    if settings.redis_url is None:
        return LocalBroadcast()
    from kanca.broadcast.redis import RedisBroadcast  # noqa: PLC0415 - loads its driver, for 0.3 s

    return RedisBroadcast(settings.redis_url)


def tell_of_changes(database: Database, broadcast: Broadcast) -> None:
    """Have every process told what this one changes of what they keep in memory."""

    def tell(subjects: frozenset[str]) -> None:
        for subject in subjects:
            broadcast.publish(CHANGES, subject.encode())

    database.moves.listen(tell)


def hurry_on_changes(broadcast: Broadcast, hurries: dict[str, Callable[[], None]]) -> None:
    """Have a hurry called for each subject that somebody changed; all of them when that is not known."""

    def hear(message: bytes | None) -> None:
        for subject, hurry in hurries.items():
            if message is None or message == subject.encode():
                hurry()

    broadcast.listen(CHANGES, hear)
