"""What a database does to those who need it: senders have a clear answer in time, and all of it passes by itself."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.load import Load
from tests.acceptance.processes import Client, KancaProcess, eventually
from tests.servers.fault_proxy import FaultProxy
from tests.servers.postgres import PostgresServer

SENDERS = 12
COMMIT_TIMEOUT_S = 2.0
GRACE_S = 3.0
"""What a busy machine may add to a limit."""
AWAY_S = 1.5
RECOVERY_S = 12.0
LINES_A_FAULT = 5
"""A gateway, a worker and its lease, and the relay: each says once that its database is away, and that it is back."""
DATABASE = "degradation"
ENVIRON = {
    "KANCA_COMMIT_TIMEOUT_SECONDS": str(COMMIT_TIMEOUT_S),
    "KANCA_LOG_FORMAT": "json",
    "KANCA_LOG_REQUESTS": "off",  # those have a line each, if they are asked for
}


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    with PostgresServer(fsync=True) as server:
        server.create_database(DATABASE)
        yield server


@dataclass
class Site:
    """Kanca behind a bad network, and its database."""

    kanca: KancaProcess
    proxy: FaultProxy
    postgres: PostgresServer

    def execute(self, statement: str) -> None:
        """Run a statement past the proxy."""
        self.postgres.execute(statement, DATABASE)

    def cut_off(self) -> None:
        """Have the server end all of Kanca's connections."""
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@asynccontextmanager
async def _site(postgres: PostgresServer, directory: Path) -> AsyncIterator[Site]:
    async with FaultProxy(postgres.directory / ".s.PGSQL.5432") as proxy:
        url = f"postgresql://postgres@127.0.0.1:{proxy.port}/{DATABASE}"
        kanca = KancaProcess(url, directory, environ=ENVIRON)
        await asyncio.to_thread(kanca.start)
        try:
            yield Site(kanca, proxy, postgres)
        except BaseException as error:
            error.add_note(f"The server's log ends with:\n{kanca.log()[-4000:]}")
            raise
        finally:
            await asyncio.to_thread(kanca.stop)


async def _status(site: Site, path: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(site.kanca.url + path) as response:
        return response.status


Fault = Callable[[Site], Awaitable[None]]


async def _restart_after_kill(site: Site) -> None:
    await asyncio.to_thread(site.postgres.kill)
    away = asyncio.create_task(asyncio.sleep(AWAY_S))
    assert await _status(site, "/health") == 503
    assert await _status(site, "/health/ready") == 503
    assert await _status(site, "/health/live") == 200
    await away
    await asyncio.to_thread(site.postgres.start)


async def _cut_connections(site: Site) -> None:
    await asyncio.to_thread(site.cut_off)


async def _only_read(site: Site) -> None:
    """As a server that is demoted: what is connected stays read-only, and so does what connects for a while."""
    execute = site.postgres.execute
    await asyncio.to_thread(execute, f"ALTER DATABASE {DATABASE} SET default_transaction_read_only = on")
    await asyncio.to_thread(site.cut_off)
    await asyncio.sleep(AWAY_S)
    await asyncio.to_thread(execute, f"ALTER DATABASE {DATABASE} RESET ALL")


async def _lock_events(site: Site) -> None:
    """As a database that is slow: nothing can be stored for a while."""
    statement = f"LOCK TABLE kanca.events; SELECT pg_sleep({COMMIT_TIMEOUT_S + 1})"
    await asyncio.to_thread(site.execute, statement)


async def _swallow(site: Site) -> None:
    """As a network that drops everything and says nothing."""
    site.proxy.stall()
    await asyncio.sleep(COMMIT_TIMEOUT_S + 1)
    site.proxy.cut()
    site.proxy.recover()


FAULTS: dict[str, tuple[Fault, set[str]]] = {
    "killed and restarted": (_restart_after_kill, {"database_unavailable", "commit_timeout"}),
    "connections cut": (_cut_connections, {"database_unavailable", "commit_timeout"}),
    "read-only": (_only_read, {"database_unavailable", "commit_timeout"}),
    "locked": (_lock_events, {"commit_timeout", "database_unavailable"}),
    "swallowed": (_swallow, {"commit_timeout", "database_unavailable"}),
}


async def _works(site: Site) -> None:
    """All that was accepted has been worked through."""
    async with Client(site.kanca) as client:

        async def is_over() -> bool:
            try:
                return not (await client.ask("GET", "/api/events?status=pending&limit=1"))["items"]
            except AssertionError:
                return False

        await eventually(is_over, "all work has ended")


async def test_whatever_the_database_does_senders_have_an_answer_in_time_and_it_passes_by_itself(
    own_server: PostgresServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with _site(own_server, tmp_path) as site:
        processes = {kind: site.kanca.children(kind) for kind in ("gateway", "worker")}
        accepted: set[str] = set()
        for name, (fault, codes) in FAULTS.items():
            load = Load(site.kanca.url, name.replace(" ", "-"))
            async with load.running(SENDERS):
                await load.until(200, since=0)
                begun = time.monotonic()
                await fault(site)
                over = time.monotonic()
                recovered = await load.until(200, since=over)
            await _works(site)
            worked = time.monotonic()
            with capsys.disabled():
                sys.stdout.write(
                    f"\n{name}: {dict(load.statuses())}, away {over - begun:.1f} s, accepting again after"
                    f" {recovered - over:.1f} s, all work done after {worked - over:.1f} s,"
                    f" slowest answer {load.slowest_s():.1f} s"
                )
            assert not load.errors, name
            assert load.statuses().keys() <= {200, 503}, name
            refused = [seen for seen in load.answers if seen.status == 503]
            assert {seen.code for seen in refused} <= codes, name
            assert all(seen.has_retry_after for seen in refused), name
            assert load.slowest_s() < COMMIT_TIMEOUT_S + GRACE_S, name
            assert recovered - over < RECOVERY_S, name
            accepted |= load.accepted
        said = [json.loads(line) for line in site.kanca.log().splitlines()]
        lines = Counter(line["event"] for line in said)
        assert lines["database_away"] <= LINES_A_FAULT * len(FAULTS)
        assert sum(lines.values()) <= 3 * LINES_A_FAULT * len(FAULTS), lines
        assert {kind: site.kanca.children(kind) for kind in processes} == processes, "nothing was restarted"
        async with Client(site.kanca) as client:
            events = await client.events(event_type="load.test")
        stored = Counter(event["source_event_id"] for event in events)
        assert accepted <= stored.keys(), f"lost: {sorted(accepted - stored.keys())[:5]}"
        assert max(stored.values()) == 1, "an event is there twice"
        assert {event["status"] for event in events} == {"succeeded"}
        assert {source for _, _, source in site.kanca.calls()} >= accepted
