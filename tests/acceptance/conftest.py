"""One running server for all tests of a module, on each database: starting it takes longer than most of them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.acceptance.processes import Client, KancaProcess
from tests.servers.postgres import PostgresServer

BODY_TIMEOUT_S = 1

_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KancaProcess]:
    """A running server. Tests share it, so each makes endpoints of its own."""
    directory = tmp_path_factory.mktemp("server")
    name = f"kanca_server_{next(_numbers)}"
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{directory / 'kanca.db'}" if is_sqlite else postgres.create_database(name)
    with KancaProcess(url, directory, environ={"KANCA_BODY_TIMEOUT_SECONDS": str(BODY_TIMEOUT_S)}) as server:
        yield server
    postgres.drop_database(name)


@pytest.fixture
async def client(server: KancaProcess) -> AsyncIterator[Client]:
    """A client of the module's server."""
    async with Client(server) as client:
        yield client
