"""Counters in Valkey: exact over processes, quick when it is away, and back by themselves."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from structlog.testing import capture_logs

from kanca.errors import InvalidSetting
from kanca.ingest.rate_limit import WINDOW, RateLimiter
from kanca.ingest.shared_counters import SharedCounters
from kanca.queue.duties import Duties
from tests.egress.certificates import Authority
from tests.servers.valkey import ValkeyServer

ROOT = Path(__file__).parents[2]
PATIENCE = timedelta(seconds=1)
"""Longer than gateways have, for a busy machine takes its time."""
FOR_EVER_S = 20.0

_numbers = itertools.count(1)


@asynccontextmanager
async def counters_at(url: str) -> AsyncIterator[SharedCounters]:
    counters = SharedCounters(url, PATIENCE)
    yield counters
    await counters.close()


@pytest.fixture
def key() -> str:
    return f"key-{next(_numbers)}"


async def _hits(counters: SharedCounters, key: str, requests: int = 1) -> list[int]:
    counts = await asyncio.gather(*(counters.hit(key) for _ in range(requests)))
    return [count.hits for count in counts if count is not None]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - it becomes true in a task that tells nobody
            await asyncio.sleep(0.01)


async def test_a_window_that_ends_later_than_it_can_is_begun_anew(valkey: ValkeyServer, key: str) -> None:
    with Redis.from_url(valkey.url) as client:
        client.set(f"kanca:rate:{key}", 1_000, ex=3_600)  # as after the server's clock was set back
    async with counters_at(valkey.url) as counters:
        found = await counters.hit(key)
        assert found is not None
        assert (found.hits, found.ends_in_s) == (1, WINDOW.total_seconds())
        assert await _hits(counters, key) == [2]


async def test_every_request_is_counted_once_whoever_counts_at_the_same_time(
    valkey: ValkeyServer, key: str
) -> None:
    async with counters_at(valkey.url) as one, counters_at(valkey.url) as another:
        found = await asyncio.gather(_hits(one, key, 100), _hits(another, key, 100))
        assert sorted(found[0] + found[1]) == list(range(1, 201))
        assert await _hits(one, key + "-other") == [1]


async def test_a_window_ends_a_minute_after_it_began_and_another_begins(
    valkey: ValkeyServer, key: str
) -> None:
    async with counters_at(valkey.url) as counters:
        first = await counters.hit(key)
        assert first is not None
        assert first.ends_in_s == WINDOW.total_seconds()
        with Redis.from_url(valkey.url) as redis:
            name = f"kanca:rate:{key}"
            redis.pexpire(name, 20_000)
            later = await counters.hit(key)
            assert later is not None
            assert later.hits == 2
            assert later.ends_in_s <= 20
            redis.delete(name)
            assert await _hits(counters, key) == [1]


async def test_a_counter_without_an_end_gets_one(valkey: ValkeyServer, key: str) -> None:
    async with counters_at(valkey.url) as counters:
        await counters.hit(key)
        with Redis.from_url(valkey.url) as redis:
            redis.persist(f"kanca:rate:{key}")
            assert await _hits(counters, key) == [2]
            assert 0 < redis.pttl(f"kanca:rate:{key}") <= 60_000


async def test_all_who_wait_share_a_round_trip_and_a_connection(own_valkey: ValkeyServer, key: str) -> None:
    async with counters_at(own_valkey.url) as counters:
        await counters.hit(key)
        with Redis.from_url(own_valkey.url) as redis:
            before = redis.info("stats")
            await _hits(counters, key, 300)
            after = redis.info("stats")
    assert after["total_connections_received"] == before["total_connections_received"]
    assert after["total_commands_processed"] - before["total_commands_processed"] <= 301 * 4


def test_four_processes_admit_exactly_the_limit(valkey: ValkeyServer, key: str) -> None:
    limit = 1_000  # of 4 000 requests
    command = [sys.executable, "-m", "tests.ingest.counting", valkey.url, key, str(limit)]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(4)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        passed = [int(process.communicate(timeout=30)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert sum(passed) == limit
    assert len([each for each in passed if each]) > 1, "they did not run at the same time"


async def test_what_is_gone_costs_one_request_little_and_the_next_ones_nothing(
    own_valkey: ValkeyServer, key: str
) -> None:
    async with counters_at(own_valkey.url) as counters:
        assert await _hits(counters, key) == [1]
        own_valkey.kill()
        with capture_logs() as logs:
            async with asyncio.timeout(FOR_EVER_S):
                assert await _hits(counters, key, 50) == []
        assert not counters.is_available
        assert [entry["event"] for entry in logs] == ["redis_unavailable"]
        _do_not_wait(counters, key)


async def test_what_hangs_is_waited_for_once_and_not_long(own_valkey: ValkeyServer, key: str) -> None:
    async with counters_at(own_valkey.url) as counters:
        assert await _hits(counters, key) == [1]
        own_valkey.hang()
        async with asyncio.timeout(FOR_EVER_S):
            assert await _hits(counters, key, 50) == []
        _do_not_wait(counters, key)
        await counters.run_once()
        assert not counters.is_available
        own_valkey.go_on()
        await counters.run_once()
        assert len(await _hits(counters, key)) == 1


def _do_not_wait(counters: SharedCounters, key: str) -> None:
    """The next requests have their answer before anything else has its turn."""
    for _ in range(50):
        with pytest.raises(StopIteration) as ended:
            counters.hit(key).send(None)
        assert ended.value.value is None


async def test_what_takes_long_to_connect_to_is_connected_to_by_the_probe_for_all(
    valkey: ValkeyServer, key: str
) -> None:
    may_connect = asyncio.Event()
    connections = []

    async def far_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await may_connect.wait()
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", valkey.port)
        await asyncio.gather(_pipe(reader, inner_writer), _pipe(inner_reader, writer))

    server = await asyncio.start_server(far_away, "127.0.0.1", 0)
    address = (
        f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/1"  # choosing a database is a round trip
    )

    async def connected_after_a_request_gave_up() -> None:
        async with counters_at(address) as impatient:
            assert await impatient.hit(key) is None
        may_connect.set()

    async with counters_at(address) as counters:
        assert await counters.hit(key) is None
        assert await counters.hit(key) is None, "it is away until a probe finds it"
        await asyncio.gather(counters.run_once(), connected_after_a_request_gave_up())
        opened = len(connections)
        assert await _hits(counters, key, 2) == [1, 2]
        assert len(connections) == opened
    server.close()
    await server.wait_closed()


async def test_what_comes_back_is_used_again_by_itself(own_valkey: ValkeyServer, key: str) -> None:
    async with counters_at(own_valkey.url) as counters:
        duties = Duties({"redis": counters})
        duties.start()
        own_valkey.kill()
        await _until(lambda: not counters.is_available)
        own_valkey.start()
        await _until(lambda: counters.is_available)
        assert await _hits(counters, key, 3) == [1, 2, 3]
        await duties.stop()


async def test_a_restart_between_two_requests_is_not_noticed(own_valkey: ValkeyServer, key: str) -> None:
    async with counters_at(own_valkey.url) as counters:
        assert await _hits(counters, key) == [1]
        own_valkey.kill()
        own_valkey.start()
        assert await _hits(counters, key) == [1]
        assert counters.is_available


async def test_a_server_that_answers_but_cannot_count_is_away(own_valkey: ValkeyServer, key: str) -> None:
    async with counters_at(own_valkey.url) as counters:
        with Redis.from_url(own_valkey.url) as redis:
            redis.replicaof("127.0.0.1", "1")  # read-only from now on
            assert await counters.hit(key) is None
            await counters.run_once()
            assert not counters.is_available
            redis.replicaof("NO", "ONE")
            await counters.run_once()
            assert await _hits(counters, key) == [1]


async def test_a_password_is_given_to_the_server_and_to_nobody_else() -> None:
    with ValkeyServer(password="open-sesame") as server:
        async with counters_at(server.url) as counters:
            assert await _hits(counters, "key") == [1]
        with capture_logs() as logs:
            async with counters_at(server.url.replace("open-sesame", "a-wrong-one")) as counters:
                assert await counters.hit("key") is None
    assert [entry["event"] for entry in logs] == ["redis_unavailable"]
    assert "wrong" not in str(logs)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:open-sesame@host:port",
        "redis://h?colour=open-sesame",
        "http://u:open-sesame@h",
        "redis://[open-sesame",
    ],
)
def test_an_address_that_cannot_be_is_refused_at_the_start_without_its_password(url: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        SharedCounters(url)
    assert "KANCA_REDIS_URL" in caught.value.detail
    assert "open-sesame" not in str(caught.value)
    assert caught.value.__suppress_context__


async def test_tls_is_spoken_and_certificates_are_checked(
    valkey: ValkeyServer, tmp_path: Path, key: str
) -> None:
    authority = Authority(tmp_path)
    trusted = tmp_path / "authority.pem"
    trusted.write_text(authority.pem())

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", valkey.port)
        await asyncio.gather(_pipe(reader, inner_writer), _pipe(inner_reader, writer))

    server = await asyncio.start_server(tunnel, "127.0.0.1", 0, ssl=authority.server("localhost"))
    address = f"rediss://localhost:{server.sockets[0].getsockname()[1]}"
    async with counters_at(f"{address}?ssl_ca_certs={trusted}") as counters:
        assert await _hits(counters, key, 3) == [1, 2, 3]
    async with counters_at(address) as counters:
        assert await counters.hit(key) is None
    server.close()
    await server.wait_closed()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("fails_closed", "refused"),
    [(False, [None, None, "rate_limited"]), (True, ["rate_limit_unavailable"] * 3)],
)
async def test_while_it_is_away_the_setting_decides_and_afterwards_the_count(
    own_valkey: ValkeyServer, *, fails_closed: bool, refused: list[str | None]
) -> None:
    async with counters_at(own_valkey.url) as counters:
        limiter = RateLimiter(shared=counters, fails_closed=fails_closed)

        async def codes(requests: int) -> list[str | None]:
            found = [await limiter.refuse(2, "wh_1", "c") for _ in range(requests)]
            return [None if refusal is None else refusal.code for refusal in found]

        assert await codes(1) == [None]
        own_valkey.kill()
        assert await codes(3) == refused
        own_valkey.start()
        await counters.run_once()
        assert await codes(3) == [None, None, "rate_limited"]
