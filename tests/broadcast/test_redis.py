"""Telling other processes over Valkey: at once while it is there, and by itself again after it was away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kanca.broadcast.port import Broadcast
from kanca.broadcast.redis import MOST_KEPT, RedisBroadcast
from kanca.errors import InvalidSetting
from tests.servers.valkey import ValkeyServer

LIMIT_S = 20
"""The longest that anything here may take."""


@asynccontextmanager
async def two(url: str) -> AsyncIterator[tuple[RedisBroadcast, RedisBroadcast]]:
    """What two processes have."""
    one, other = RedisBroadcast(url), RedisBroadcast(url)
    try:
        yield one, other
    finally:
        await one.close()
        await other.close()


class Heard:
    """What was heard on a topic, in order."""

    def __init__(self, broadcast: Broadcast, topic: str) -> None:
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.end = broadcast.listen(topic, self._messages.put_nowait)

    async def next(self) -> bytes | None:
        async with asyncio.timeout(LIMIT_S):
            return await self._messages.get()

    def all(self) -> list[bytes | None]:
        return [self._messages.get_nowait() for _ in range(self._messages.qsize())]


async def test_what_one_tells_the_other_hears_and_itself_once(valkey: ValkeyServer) -> None:
    async with two(valkey.url) as (one, other):
        there, here = Heard(other, "changes"), Heard(one, "changes")
        assert [await there.next(), await here.next()] == [None, None]
        one.publish("changes", b"endpoints")
        assert await there.next() == b"endpoints"
        other.publish("changes", b"back")
        assert await there.next() == b"back"
        assert [await here.next(), await here.next()] == [b"endpoints", b"back"]


async def test_who_begins_to_listen_is_told_to_look_for_what_was_said_before(valkey: ValkeyServer) -> None:
    async with two(valkey.url) as (one, _):
        first = Heard(one, "changes")
        assert await first.next() is None
        second = Heard(one, "tail")
        assert await second.next() is None
        assert first.all() == []


async def test_who_listens_no_more_hears_nothing(valkey: ValkeyServer) -> None:
    async with two(valkey.url) as (one, other):
        gone, kept = Heard(other, "gone"), Heard(other, "kept")
        assert [await gone.next(), await kept.next()] == [None, None]
        gone.end()
        one.publish("gone", b"1")
        one.publish("kept", b"2")
        assert await kept.next() == b"2"
        assert gone.all() == []


async def test_a_server_that_was_away_costs_nothing_but_time(own_valkey: ValkeyServer) -> None:
    async with two(own_valkey.url) as (one, other):
        heard = Heard(other, "changes")
        assert await heard.next() is None
        own_valkey.kill()
        one.publish("changes", b"while away")
        own_valkey.start()
        # Told to look, when the connection is there again; and what was kept comes as soon as it can be told.
        assert await heard.next() is None
        one.publish("changes", b"afterwards")
        while await heard.next() != b"afterwards":
            pass


async def test_of_what_cannot_be_told_the_newest_is_kept(own_valkey: ValkeyServer) -> None:
    own_valkey.kill()
    async with two(own_valkey.url) as (one, other):
        for number in range(MOST_KEPT + 10):
            one.publish("changes", str(number).encode())
        own_valkey.start()
        heard = Heard(other, "changes")
        assert await heard.next() is None
        one.publish("changes", b"last")
        async with asyncio.timeout(LIMIT_S):
            while await heard.next() != b"last":
                pass


def test_an_address_that_cannot_be_is_refused_by_the_settings_name() -> None:
    with pytest.raises(InvalidSetting, match="KANCA_REDIS_URL"):
        RedisBroadcast("redis://host:port")


async def test_what_nobody_has_thought_of_ends_neither_telling_nor_hearing(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(valkey.url) as (one, other):
        there = Heard(other, "changes")
        assert await there.next() is None
        failures = [RuntimeError("from within the library")]
        pipeline = one._client.pipeline  # noqa: SLF001 - the library's

        def fail_once(*args: object, **options: object) -> object:
            if failures:
                raise failures.pop()
            return pipeline(*args, **options)

        monkeypatch.setattr(one._client, "pipeline", fail_once)  # noqa: SLF001 - the library's
        one.publish("changes", b"endpoints")
        assert await there.next() == b"endpoints"


async def test_a_listener_that_fails_keeps_nobody_from_hearing(valkey: ValkeyServer) -> None:
    def fail(_message: bytes | None) -> None:
        raise RuntimeError("a listener's own mistake")

    async with two(valkey.url) as (one, other):
        other.listen("changes", fail)
        there = Heard(other, "changes")
        assert await there.next() is None
        one.publish("changes", b"endpoints")
        assert await there.next() == b"endpoints"
