"""What docs/guides/backup.md says: what is in a backup, what is not, and what is done again."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
from aiohttp import web
from typer.testing import CliRunner

from kanca.cli.main import app
from tests.acceptance.backup_app import GATE
from tests.acceptance.processes import Client, KancaProcess, eventually
from tests.servers.postgres import PostgresServer

FEW = 20


class Storage(Protocol):
    """A kind of database, and how it is backed up."""

    url: str

    def back_up(self) -> None:
        """Make the backup."""

    def restore(self) -> str:
        """Make a database of the backup; gives its address."""


class File:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.url = f"sqlite:///{directory / 'kanca.db'}"

    def back_up(self) -> None:
        environ = {"KANCA_DATABASE_URL": self.url}
        done = CliRunner().invoke(app, ["backup", str(self._directory / "backup.db")], env=environ)
        assert done.exit_code == 0, done.output

    def restore(self) -> str:
        (self._directory / "restored").mkdir()
        restored = shutil.copy(self._directory / "backup.db", self._directory / "restored" / "kanca.db")
        return f"sqlite:///{restored}"


class Dumped:
    def __init__(self, postgres: PostgresServer, directory: Path) -> None:
        self._postgres, self._file = postgres, directory / "kanca.dump"
        self.url = postgres.create_database("kanca_backed_up")

    def back_up(self) -> None:
        self._postgres.dump(self._file, "kanca_backed_up", "--schema=kanca")

    def restore(self) -> str:
        url = self._postgres.create_database("kanca_restored")
        self._postgres.restore(self._file, "kanca_restored")
        return url


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "sqlite":
        return File(tmp_path)
    return Dumped(request.getfixturevalue("postgres"), tmp_path)


@dataclass
class Partner:
    """A receiver that answers once it may."""

    url: str = ""
    received: list[str] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        self.received.append(request.headers["webhook-id"])
        await self.may_answer.wait()
        return web.Response()


@asynccontextmanager
async def a_partner() -> AsyncIterator[Partner]:
    partner = Partner()
    site = web.Application()
    site.router.add_post("/", partner.take)
    runner = web.AppRunner(site, shutdown_timeout=1)
    await runner.setup()
    tcp = web.TCPSite(runner, "127.0.0.1", 0)
    await tcp.start()
    partner.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield partner
    finally:
        partner.may_answer.set()
        await runner.cleanup()


class Sender:
    """Sends webhooks to one endpoint, each with an id of its own."""

    def __init__(self, client: Client, path: str, token: str) -> None:
        self._client, self._path, self._token = client, path, token

    async def send(self, name: str, event_type: str = "quick.one") -> str:
        """Send one; gives its status."""
        body = {"event_type": event_type, "event_id": name, "data": {}}
        headers = {"Authorization": f"Bearer {self._token}"}
        async with self._client.session.post(
            self._client.url + self._path, json=body, headers=headers
        ) as answer:
            assert answer.status == 200, await answer.text()
            return str((await answer.json())["status"])

    async def go_on(self, until: asyncio.Event) -> list[str]:
        """Send one after the other; gives those that were accepted."""
        accepted = []
        for number in itertools.count():
            if until.is_set():
                break
            await self.send(f"meanwhile-{number}")
            accepted.append(f"meanwhile-{number}")
        return accepted


async def test_a_backup_made_under_load_is_restored_and_goes_on(storage: Storage, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    environ = {GATE: str(gate), "KANCA_EGRESS_ALLOW": "127.0.0.0/8"}
    options: dict[str, Any] = {"app": "tests.acceptance.backup_app:hooks", "environ": environ}
    server = KancaProcess(storage.url, tmp_path, **options)
    async with a_partner() as partner:
        with server:
            async with Client(server) as client:
                made = await client.ask(
                    "POST",
                    "/api/webhooks/endpoints",
                    {"slug": "shop", "config": {"rate_limit_per_minute": 0}},
                )
                sender = Sender(client, made["endpoint_path"], made["secret_token"])
                subscription = {"id": "partner", "url": partner.url, "events": ["order.*"]}
                await client.ask("POST", "/webhooks/subscriptions", subscription)
                before = [f"before-{number}" for number in range(FEW)]
                for name in before:
                    await sender.send(name)
                await sender.send("in-hand", "slow.one")
                order = {"event_type": "order.created", "payload": {}, "event_id": "order-1"}
                await client.ask("POST", "/events/trigger", order, expect=202)
                await eventually(lambda: _is(server, partner), "both are in hand")

                done = asyncio.Event()
                sending = asyncio.create_task(sender.go_on(done))
                await asyncio.to_thread(storage.back_up)
                done.set()
                meanwhile = await sending
                for number in range(FEW):
                    await sender.send(f"after-{number}")
                gate.touch()
                partner.may_answer.set()
                await eventually(client.nothing_is_pending, "all work has ended before the crash")
            server.kill()

        in_hand = [call for call, _, source in server.calls() if source == "in-hand"]
        assert (len(set(in_hand)), len(partner.received)) == (1, 1)
        restored = KancaProcess(storage.restore(), tmp_path, **options)
        with restored:
            async with Client(restored) as client:
                await eventually(client.nothing_is_pending, "what was in hand has ended, again")
                kept = {event["source_event_id"] for event in await client.events()}
                assert {*before, "in-hand", "order-1"} <= kept
                assert not {f"after-{number}" for number in range(FEW)} & kept
                # It is one moment: of those that came meanwhile, the first are in it, without a gap.
                assert sorted(kept & set(meanwhile)) == sorted(meanwhile[: len(kept & set(meanwhile))])

                calls = [call for call, _, source in restored.calls() if source == "in-hand"]
                assert (len(calls), set(calls)) == (2, set(in_hand)), "done again, under the same call id"
                assert partner.received == [partner.received[0]] * 2, "sent again, under the same webhook-id"

                sender = Sender(client, made["endpoint_path"], made["secret_token"])
                assert await sender.send(before[0]) == "duplicate"
                assert await sender.send("after-0") == "accepted", "its window is lost with the event"


async def _is(server: KancaProcess, partner: Partner) -> bool:
    return bool(partner.received) and "in-hand" in [source for _, _, source in server.calls()]
