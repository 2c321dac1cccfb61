from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from kanca.storage.dialects import open_database
from kanca.storage.ports import Database

SOON = timedelta(seconds=20)
AT_ONCE = timedelta(0)

_WAKE = """
import asyncio, sys
from kanca.storage.dialects import open_database

async def main():
    database = await open_database(sys.argv[1])
    waker = database.waker()
    for _ in sys.stdin:
        waker.wake()
        print("woke", flush=True)
        await asyncio.sleep(0.2)
    await database.close()

asyncio.run(main())
"""


@pytest.fixture
async def pipe(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[int, int]]:
    """The pipe that a supervisor hands to its children."""
    read_fd, write_fd = os.pipe()
    monkeypatch.setenv("KANCA_WAKE_READ_FD", str(read_fd))
    monkeypatch.setenv("KANCA_WAKE_WRITE_FD", str(write_fd))
    yield read_fd, write_fd
    os.close(read_fd)
    os.close(write_fd)


async def test_a_wake_up_ends_waiting(database: Database) -> None:
    waiting, waking = database.waker(), database.waker()
    wait = asyncio.create_task(waiting.wait(SOON))
    await asyncio.sleep(0)
    waking.wake()
    assert await wait


async def test_a_wake_up_while_nobody_waits_is_remembered_once_by_each(database: Database) -> None:
    first, second = database.waker(), database.waker()
    first.wake()
    first.wake()
    assert await first.wait(AT_ONCE)
    assert await second.wait(AT_ONCE)


async def test_without_a_wake_up_waiting_ends_with_the_time(database: Database) -> None:
    waker = database.waker()
    while await waker.wait(timedelta(milliseconds=200)):
        pass  # listening begins with one wake-up: something may have been said before
    assert not await waker.wait(timedelta(milliseconds=1))


async def test_a_closed_waker_is_woken_no_more(database: Database) -> None:
    closed, other = database.waker(), database.waker()
    await closed.close()
    other.wake()
    assert not await closed.wait(AT_ONCE)


async def test_another_process_wakes(pipe: tuple[int, int], database_url: str) -> None:
    database = await open_database(database_url)
    waker = database.waker()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _WAKE,
        database_url,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=pipe,
    )
    assert process.stdin
    assert process.stdout
    try:
        while await waker.wait(timedelta(milliseconds=300)):
            pass
        for _ in range(3):
            wait = asyncio.create_task(waker.wait(SOON))
            process.stdin.write(b"\n")
            assert await process.stdout.readline() == b"woke\n"
            assert await wait
    finally:
        process.stdin.close()
        await process.wait()
        await database.close()


async def test_a_wake_up_that_finds_its_connection_cut_is_sent_on_the_next_one(postgres_url: str) -> None:
    sending, hearing = await open_database(postgres_url), await open_database(postgres_url)
    waking, waiting = sending.waker(), hearing.waker()
    while not await waiting.wait(timedelta(milliseconds=200)):
        pass  # it listens
    wait = asyncio.create_task(waiting.wait(SOON))
    waking.wake()
    assert await wait
    connection = await asyncpg.connect(postgres_url)
    cut = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE query LIKE 'NOTIFY%' AND datname = current_database()"
    )
    assert await connection.fetchval(cut) == 1
    while await connection.fetchval(cut):
        pass
    wait = asyncio.create_task(waiting.wait(timedelta(seconds=5)))
    waking.wake()
    assert await wait
    await connection.close()
    await sending.close()
    await hearing.close()


async def test_waking_into_a_pipe_that_nobody_reads_never_blocks(
    pipe: tuple[int, int], sqlite_url: str
) -> None:
    database = await open_database(sqlite_url)
    waker = database.waker()
    for _ in range(100_000):
        waker.wake()
    assert await waker.wait(AT_ONCE)
    await database.close()


async def test_a_pipe_whose_writers_are_gone_is_not_watched_any_more(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    read_fd, write_fd = os.pipe()
    monkeypatch.setenv("KANCA_WAKE_READ_FD", str(read_fd))
    database = await open_database(sqlite_url)
    waker = database.waker()
    os.close(write_fd)
    assert await waker.wait(SOON)
    assert not await waker.wait(timedelta(milliseconds=50))
    os.close(read_fd)
    await database.close()
