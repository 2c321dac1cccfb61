"""What only a server has: connections that break, a way to it with a pooler, settings that lie."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import asyncpg
import pytest

from kanca.domain.event import Accepted
from kanca.errors import DatabaseUnavailable, InvalidSetting
from kanca.storage import event_list, events
from kanca.storage.dialects import open_database
from kanca.storage.dialects.postgresql import retention
from kanca.storage.dialects.postgresql.address import read_address
from kanca.storage.dialects.postgresql.database import PostgresDatabase
from kanca.storage.dialects.postgresql.partitions import make_partitions, partition_name
from kanca.storage.revisions import newest_revision
from kanca.storage.tables import PARTITIONED
from tests.factories import new_event
from tests.servers.postgres import PostgresServer

OLD = date(2020, 2, 2)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[PostgresDatabase]:
    database = await open_database(postgres_url)
    assert isinstance(database, PostgresDatabase)
    yield database
    await database.close()


@pytest.fixture
async def direct(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's connection."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that the test may stop and kill."""
    with PostgresServer(fsync=False) as server:
        yield server


async def _partitions(connection: asyncpg.Connection) -> set[str]:
    rows = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relname ~ '_p[0-9]{8}$' AND relkind = 'r'"
    )
    return {name for (name,) in rows}


async def test_work_goes_on_by_itself_after_the_server_was_killed(own_server: PostgresServer) -> None:
    database = await open_database(own_server.create_database("kanca"))
    try:
        await database.migrate()
        before = new_event()
        assert await database.accepting.append([before]) == [Accepted()]
        waker = database.waker()
        waker.wake()
        own_server.kill()
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable):
                await database.accepting.append([new_event()])
            with pytest.raises(DatabaseUnavailable):
                await database.read(event_list.page)
            with pytest.raises(DatabaseUnavailable):
                await database.now()
        own_server.start()
        # The first question of each pool finds the dropped connections without failing.
        assert await database.accepting.append([new_event()]) == [Accepted()]
        assert len((await database.read(event_list.page)).items) == 2
        # What was said while the connection was away is not lost either: listening begins with a wake-up.
        assert await waker.wait(timedelta(seconds=20))
    finally:
        await database.close()


async def test_listening_goes_on_after_its_connection_was_cut(
    database: PostgresDatabase, direct: asyncpg.Connection, postgres_url: str
) -> None:
    other = await open_database(postgres_url)
    waker = database.waker()
    try:
        assert await waker.wait(timedelta(seconds=20))  # it listens
        assert await direct.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE query ILIKE 'LISTEN%' AND datname = current_database()"
        )
        assert await waker.wait(timedelta(seconds=20))  # it listens again
        other.waker().wake()
        assert await waker.wait(timedelta(seconds=20))
    finally:
        await other.close()


async def test_many_wake_ups_are_few_notifications(
    database: PostgresDatabase, direct: asyncpg.Connection
) -> None:
    heard: list[Any] = []
    last = asyncio.Event()

    def hear(*_: Any) -> None:
        heard.append(1)
        last.set()

    await direct.add_listener("kanca_work", hear)
    waker = database.waker()
    for _ in range(1_000):
        waker.wake()
    await last.wait()
    for _ in range(20):
        waker.wake()
        await asyncio.sleep(0.0005)
    assert len(heard) < 20


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://nobody@127.0.0.1:1/nothing",
        "postgresql://nobody@/nothing?host=/nowhere",
    ],
)
async def test_a_server_that_is_not_there_is_said_so_in_time(url: str) -> None:
    database = await open_database(url)
    try:
        with pytest.raises(DatabaseUnavailable):
            await database.now()
        with pytest.raises(DatabaseUnavailable):
            await database.read(event_list.page)
        with pytest.raises(DatabaseUnavailable):
            await database.migrate()
        with pytest.raises(DatabaseUnavailable):
            await database.warnings()
    finally:
        await database.close()


async def test_a_database_that_does_not_exist_is_unavailable(postgres: PostgresServer) -> None:
    database = await open_database(postgres.url("never_made"))
    with pytest.raises(DatabaseUnavailable):
        await database.now()
    await database.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://localhost",
        "postgresql:///name",
        "postgresql://localhost/name?statement_cache_size=100",
        "mysql://localhost/name",
        "kanca.db",
        "",
        "sqlite://kanca.db",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///kanca.db?mode=ro",
    ],
)
async def test_an_address_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(InvalidSetting, match="KANCA_DATABASE_URL"):
        await open_database(url)


def test_an_address_keeps_what_the_driver_understands() -> None:
    address = read_address("postgresql://u:p%40w@db.example:5433/name?sslmode=require&statement_cache_size=0")
    assert address.dsn == "postgresql://u:p%40w@db.example:5433/name?sslmode=require"
    assert address.is_pooled
    assert not read_address("postgresql://u@/db?host=/tmp").is_pooled


# --- Partitions ------------------------------------------------------------------------------------------------------


async def test_partitions_are_made_two_weeks_ahead_and_only_once(
    database: PostgresDatabase, direct: asyncpg.Connection
) -> None:
    await database.prepare_storage()
    today = (await database.now()).date()
    wanted = {partition_name("events", today + timedelta(days=ahead)) for ahead in range(15)}
    assert wanted <= await _partitions(direct)
    before = await _partitions(direct)
    await database.prepare_storage()
    assert await _partitions(direct) == before


async def test_many_who_miss_the_same_partition_make_it_once(
    database: PostgresDatabase, direct: asyncpg.Connection
) -> None:
    made = await asyncio.gather(*(make_partitions(database.engine, [OLD]) for _ in range(4)))
    assert sorted(made) == [0, 0, 0, len(PARTITIONED)]
    assert "steps_p20200202" in await _partitions(direct)


async def test_a_reader_of_old_events_holds_up_neither_new_partitions_nor_inserts(
    database: PostgresDatabase, direct: asyncpg.Connection
) -> None:
    async with direct.transaction():
        await direct.fetch("SELECT count(*) FROM kanca.events")
        async with asyncio.timeout(20):
            assert await make_partitions(database.engine, [OLD]) == len(PARTITIONED)
            assert await database.accepting.append([new_event()]) == [Accepted()]


async def test_a_reader_delays_dropping_but_not_ingest_and_the_next_time_finishes_it(
    database: PostgresDatabase, direct: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_STATEMENT_TIMEOUT", timedelta(seconds=0.5))
    await make_partitions(database.engine, [OLD])
    before = datetime(2021, 1, 1, tzinfo=UTC)
    async with direct.transaction():
        await direct.fetch("SELECT count(*) FROM kanca.events")
        dropping = asyncio.create_task(database.drop_expired(before))
        async with asyncio.timeout(20):
            while not dropping.done():
                assert await database.accepting.append([new_event()]) == [Accepted()]
            assert await dropping == len(PARTITIONED) - 1
        assert "events_p20200202" in await _partitions(direct)
    assert await database.drop_expired(before) == 1
    assert not [name for name in await _partitions(direct) if name.endswith("20200202")]


async def test_a_partition_that_was_detached_and_not_dropped_is_dropped(
    database: PostgresDatabase, direct: asyncpg.Connection
) -> None:
    await make_partitions(database.engine, [OLD])
    await direct.execute("ALTER TABLE kanca.events DETACH PARTITION kanca.events_p20200202 CONCURRENTLY")
    assert await database.drop_expired(datetime(2021, 1, 1, tzinfo=UTC)) == len(PARTITIONED)
    assert "events_p20200202" not in await _partitions(direct)


async def test_of_two_who_drop_at_once_one_does_it(database: PostgresDatabase) -> None:
    await make_partitions(database.engine, [OLD, date(2020, 2, 3)])
    before = datetime(2021, 1, 1, tzinfo=UTC)
    dropped = await asyncio.gather(*(database.drop_expired(before) for _ in range(3)))
    assert sum(dropped) == 2 * len(PARTITIONED)


async def test_a_look_up_by_id_reads_one_partition(
    database: PostgresDatabase, direct: asyncpg.Connection
) -> None:
    plan = await direct.fetch("EXPLAIN SELECT * FROM kanca.events WHERE id = $1", new_event().id)
    assert sum("_p20" in line for (line,) in plan) <= 2


async def test_bodies_of_some_kilobytes_stay_uncompressed_in_their_row(
    database: PostgresDatabase, direct: asyncpg.Connection
) -> None:
    await database.accepting.append([new_event(body=b"x" * 6000)])
    assert await direct.fetchval("SELECT pg_column_size(body) FROM kanca.events") >= 6000


# --- What is in the way ----------------------------------------------------------------------------------------------


async def test_settings_that_break_the_promise_are_told(
    database: PostgresDatabase, direct: asyncpg.Connection
) -> None:
    # The tests' server has no need to survive a power cut.
    told = " ".join(await database.warnings())
    assert "fsync is off" in told
    assert "synchronous_commit" not in told
    name = await direct.fetchval("SELECT current_database()")
    await direct.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    assert "synchronous_commit is off" in " ".join(await database.warnings())


async def test_a_server_that_keeps_its_promises_has_no_warnings() -> None:
    with PostgresServer(fsync=True) as server:
        database = await open_database(server.url())
        assert await database.warnings() == []
        await database.close()


async def test_an_open_transaction_is_seen_by_its_age(
    database: PostgresDatabase, direct: asyncpg.Connection
) -> None:
    async with direct.transaction(isolation="repeatable_read"):
        await direct.fetch("SELECT count(*) FROM kanca.tasks")
        age = await database.oldest_snapshot_age()
        assert age is not None
        assert timedelta(0) <= age < timedelta(minutes=10)


class Pooler:
    """Stands between as PgBouncer does: greets with a process number of its own, passes all else on."""

    def __init__(self, server_socket: Path, directory: Path) -> None:
        self._server_socket = server_socket
        self.directory = directory
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self.directory / ".s.PGSQL.5432")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self._server_socket)
        for task in (
            asyncio.create_task(_copy(reader, up_writer)),
            asyncio.create_task(self._greet(up_reader, writer)),
        ):
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(5)
                body = await reader.readexactly(int.from_bytes(head[1:]) - 4)
                if head[:1] == b"K":
                    body = (4_000_000).to_bytes(4) + body[4:]
                writer.write(head + body)
                if head[:1] == b"Z":
                    break
        await _copy(reader, writer)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


async def test_a_pooler_in_the_way_is_noticed(
    postgres_url: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    async with Pooler(postgres.directory / ".s.PGSQL.5432", tmp_path) as pooler:
        url = postgres_url.replace(str(postgres.directory), str(pooler.directory))
        assert url != postgres_url
        database = await open_database(url)
        assert "PgBouncer" in " ".join(await database.warnings())
        await database.close()


async def test_everything_works_behind_a_pooler_when_told(empty_postgres_url: str) -> None:
    database = await open_database(empty_postgres_url + "&statement_cache_size=0")
    try:
        await database.migrate()
        key = uuid4()
        event = new_event(dedupe_key=key)
        assert await database.accepting.append([event, new_event(dedupe_key=key)]) != [Accepted()] * 2
        assert await database.read(events.get, event.id) is not None
        assert await database.drop_expired(datetime(2021, 1, 1, tzinfo=UTC)) == 0
        assert "PgBouncer" not in " ".join(await database.warnings())
        waker = database.waker()
        waker.wake()
        assert await waker.wait(timedelta(0))
        async with database.engine.connection() as connection:  # type: ignore[attr-defined]  # PostgreSQL's
            assert await connection.fetchval("SELECT count(*) FROM pg_prepared_statements") <= 1
            assert (
                await connection.fetchval("SELECT version_num FROM kanca.schema_version") == newest_revision()
            )
    finally:
        await database.close()


async def test_past_a_pooler_workers_are_woken_and_nothing_is_warned_of(postgres_url: str) -> None:
    pooled = postgres_url + "&statement_cache_size=0"
    alone = await open_database(pooled)
    one, other = [await open_database(pooled, direct_url=postgres_url) for _ in range(2)]
    try:
        assert "KANCA_DATABASE_DIRECT_URL" in " ".join(await alone.warnings())
        assert "KANCA_DATABASE_DIRECT_URL" not in " ".join(await one.warnings())
        waking, woken = one.waker(), other.waker()
        while not await woken.wait(timedelta(milliseconds=100)):  # it listens once it is connected
            waking.wake()
        await one.migrate()
        assert await one.drop_expired(datetime(2021, 1, 1, tzinfo=UTC)) == 0
    finally:
        for database in (alone, one, other):
            await database.close()


async def test_the_room_for_connections_is_without_what_is_kept_for_others(
    postgres_url: str, direct: asyncpg.Connection
) -> None:
    database = await open_database(postgres_url)
    try:
        room = await database.connection_room()
        assert room is not None
        limits = [
            int(await direct.fetchval(f"SHOW {name}"))
            for name in ("max_connections", "superuser_reserved_connections", "reserved_connections")
        ]
        assert room.most == limits[0] - limits[1] - limits[2]
        assert 1 <= room.used <= room.most
        name = await direct.fetchval("SELECT current_database()")
        await direct.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 12')
        limited = await database.connection_room()
        assert limited is not None
        assert limited.most == 12
    finally:
        await database.close()


async def test_who_has_waited_for_a_lock_sees_what_was_committed_whatever_the_server_s_default(
    postgres_url: str, direct: asyncpg.Connection
) -> None:
    name = await direct.fetchval("SELECT current_database()")
    await direct.execute(f'ALTER DATABASE "{name}" SET default_transaction_isolation = serializable')
    database = await open_database(postgres_url)
    assert isinstance(database, PostgresDatabase)
    try:
        level = await database.write(lambda c: c.exec_driver_sql("SHOW transaction_isolation").scalar())
        async with database.engine.connection() as connection:
            levels = {level, await connection.fetchval("SHOW transaction_isolation")}
    finally:
        await database.close()
    assert levels == {"read committed"}
