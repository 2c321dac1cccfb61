"""Telling within one process."""

from __future__ import annotations

from kanca.broadcast.local import LocalBroadcast


def test_all_who_listen_to_a_topic_hear_at_once_and_nobody_else() -> None:
    broadcast = LocalBroadcast()
    one: list[bytes | None] = []
    two: list[bytes | None] = []
    other: list[bytes | None] = []
    end = broadcast.listen("changes", one.append)
    broadcast.listen("changes", two.append)
    broadcast.listen("tail", other.append)
    broadcast.publish("changes", b"endpoints")
    end()
    end()
    broadcast.publish("changes")
    assert (one, two, other) == ([b"endpoints"], [b"endpoints", b""], [])
