from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.servers.postgres import PostgresServer

_ROOT = Path(__file__).parents[2]
_OWNER = """
import sys
from tests.servers.postgres import PostgresServer
server = PostgresServer()
server.start()
print(server.directory, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that only these tests kill."""
    with PostgresServer(fsync=True, settings={"work_mem": "5MB"}) as server:
        yield server


@pytest.fixture
def database(server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database with one row in it."""
    name = request.node.name
    server.create_database(name)
    server.execute("CREATE TABLE kept AS SELECT 'before' AS word", name)
    yield name
    server.drop_database(name)


def test_it_is_postgresql_18_with_the_settings_asked_for(server: PostgresServer) -> None:
    assert server.execute("SHOW server_version_num").startswith("18")
    assert server.execute("SHOW fsync") == "on"
    assert server.execute("SHOW work_mem") == "5MB"


async def test_its_url_is_one_that_clients_take(server: PostgresServer, database: str) -> None:
    connection = await asyncpg.connect(server.url(database))
    try:
        assert await connection.fetchval("SELECT word FROM kept") == "before"
    finally:
        await connection.close()


@pytest.mark.parametrize("end", [PostgresServer.kill, PostgresServer.stop])
def test_data_outlive_the_end_of_the_server(
    server: PostgresServer, database: str, end: Callable[[PostgresServer], None]
) -> None:
    end(server)
    with pytest.raises(RuntimeError, match="server running"):
        server.execute("SELECT 1")

    server.start()

    assert server.execute("SELECT word FROM kept", database) == "before"


def test_data_and_address_outlive_a_restart(server: PostgresServer, database: str) -> None:
    url = server.url(database)

    server.restart()

    assert server.execute("SELECT word FROM kept", database) == "before"
    assert server.url(database) == url


async def test_a_kill_cuts_open_connections(server: PostgresServer, database: str) -> None:
    connection = await asyncpg.connect(server.url(database))

    server.kill()

    with pytest.raises(asyncpg.ConnectionDoesNotExistError):
        await connection.execute("SELECT 1")
    server.start()


def test_a_database_is_copied_from_a_template(server: PostgresServer, database: str) -> None:
    server.create_database("copy", template=database)

    assert server.execute("SELECT word FROM kept", "copy") == "before"

    server.drop_database("copy")
    assert server.execute("SELECT count(*) FROM pg_database WHERE datname = 'copy'") == "0"


def test_a_wrong_setting_is_named_in_the_error() -> None:
    with (
        pytest.raises(RuntimeError, match="no_such_setting"),
        PostgresServer(settings={"no_such_setting": "1"}),
    ):
        pass


def test_a_server_does_not_outlive_its_starter_even_when_that_is_killed() -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with owner, socket.socket(socket.AF_UNIX) as connection:
        assert owner.stdout is not None
        directory = Path(owner.stdout.readline().strip())
        connection.settimeout(30)
        connection.connect(str(directory / ".s.PGSQL.5432"))

        owner.kill()

        assert connection.recv(1) == b""
    deadline = time.monotonic() + 30
    while directory.exists() and time.monotonic() < deadline:
        time.sleep(0.01)  # the leash that cleans up is nobody's child and tells nobody
    assert not directory.exists()
