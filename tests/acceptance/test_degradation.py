"""What a database does to those who need it: senders have a clear answer meanwhile, and all of it passes by itself."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from tests.acceptance.load import EVENT_TYPE, Answer, Senders, kinds
from tests.acceptance.processes import Client, KancaProcess, eventually
from tests.servers.fault_proxy import FaultProxy
from tests.servers.postgres import PostgresServer

CODES = {"database_unavailable", "commit_timeout"}
"""What senders are told: try again."""
LINES_A_FAULT = 5
"""A gateway, a worker and its lease, and the relay: each says once that its database is away, and that it is back."""
DATABASE = "degradation"
ENVIRON = {
    "KANCA_COMMIT_TIMEOUT_SECONDS": "2",
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


Refused = Callable[[], Awaitable[None]]
"""Waits until every sender was refused: each has its answer although the fault lasts."""
Fault = Callable[[Site, Refused], Awaitable[None]]


async def _restart_after_kill(site: Site, refused: Refused) -> None:
    await asyncio.to_thread(site.postgres.kill)
    await refused()
    assert await _status(site, "/health") == 503
    assert await _status(site, "/health/ready") == 503
    assert await _status(site, "/health/live") == 200
    await asyncio.to_thread(site.postgres.start)


async def _cut_connections(site: Site, _: Refused) -> None:
    """As a pooler that restarts: it is over before anybody has to be refused."""
    await asyncio.to_thread(site.cut_off)


async def _only_read(site: Site, refused: Refused) -> None:
    """As a server that is demoted: what is connected stays read-only, and so does what connects for a while."""
    execute = site.postgres.execute
    await asyncio.to_thread(execute, f"ALTER DATABASE {DATABASE} SET default_transaction_read_only = on")
    await asyncio.to_thread(site.cut_off)
    await refused()
    await asyncio.to_thread(execute, f"ALTER DATABASE {DATABASE} RESET ALL")


async def _lock_events(site: Site, refused: Refused) -> None:
    """As a database that is slow: nothing can be stored for a while."""
    connection = await asyncpg.connect(site.postgres.url(DATABASE))
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE kanca.events")
            await refused()
    finally:
        await connection.close()


async def _swallow(site: Site, refused: Refused) -> None:
    """As a network that drops everything and says nothing."""
    site.proxy.stall()
    await refused()
    site.proxy.cut()
    site.proxy.recover()


FAULTS: dict[str, Fault] = {
    "killed and restarted": _restart_after_kill,
    "connections cut": _cut_connections,
    "read-only": _only_read,
    "locked": _lock_events,
    "swallowed": _swallow,
}


async def _works(site: Site) -> None:
    """All that was accepted has been worked through."""
    async with Client(site.kanca) as client:

        async def is_over() -> bool:
            try:
                return await client.nothing_is_pending()
            except AssertionError:
                return False

        await eventually(is_over, "all work has ended")


def _report(name: str, answers: list[Answer], begun_s: float, over_s: float, worked_s: float) -> str:
    recovered_s = min(answer.at_s for answer in answers if answer.is_well and answer.at_s > over_s)
    return (
        f"\n{name}: {dict(kinds(answers))}, away {over_s - begun_s:.1f} s, accepting again after"
        f" {recovered_s - over_s:.1f} s, all work done after {worked_s - over_s:.1f} s,"
        f" slowest answer {max(answer.took_s for answer in answers):.1f} s"
    )


async def test_whatever_the_database_does_senders_have_an_answer_meanwhile_and_it_passes_by_itself(
    own_server: PostgresServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with _site(own_server, tmp_path) as site:
        processes = {kind: site.kanca.children(kind) for kind in ("gateway", "worker")}
        accepted: set[str] = set()
        for name, fault in FAULTS.items():
            async with Senders([site.kanca.url], name.replace(" ", "-")) as senders:
                await senders.all_are_answered("200")
                begun_s = time.monotonic()
                await fault(site, partial(senders.all_are_answered, "503"))
                over_s = time.monotonic()
                await senders.all_are_answered("200")
            await _works(site)
            with capsys.disabled():
                sys.stdout.write(_report(name, senders.answers, begun_s, over_s, time.monotonic()))
            assert kinds(senders.answers).keys() <= {"200", "503"}, name
            refused = [answer for answer in senders.answers if not answer.is_well]
            assert {answer.code for answer in refused} <= CODES, name
            assert all(answer.retry_after for answer in refused), name
            accepted |= senders.accepted.keys()
        said = [json.loads(line) for line in site.kanca.log().splitlines()]
        lines = Counter(line["event"] for line in said)
        assert lines["database_away"] <= LINES_A_FAULT * len(FAULTS)
        assert sum(lines.values()) <= 3 * LINES_A_FAULT * len(FAULTS), lines
        assert {kind: site.kanca.children(kind) for kind in processes} == processes, "nothing was restarted"
        async with Client(site.kanca) as client:
            events = await client.events(event_type=EVENT_TYPE)
        stored = Counter(event["source_event_id"] for event in events)
        assert accepted == stored.keys(), f"lost: {sorted(accepted - stored.keys())[:5]}"
        assert max(stored.values()) == 1, "an event is there twice"
        assert {event["status"] for event in events} == {"succeeded"}
        assert {source for _, _, source in site.kanca.calls()} >= accepted
