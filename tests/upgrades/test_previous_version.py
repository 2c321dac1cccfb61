"""The previous version goes on while the next one comes: on the new schema, and beside the new code."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.processes import ROOT, WEBHOOK_SECRET, Client, KancaProcess, eventually, signed_event
from tests.acceptance.receiver import Answer, Receiver, receiving
from tests.servers.postgres import PostgresServer
from tests.upgrades.previous import run_its_tests

EVENTS = 20
ENVIRON = {"KANCA_EGRESS_ALLOW": "127.0.0.1"}


def _server(url: str, directory: Path, *options: str, sources: Path = ROOT / "src") -> KancaProcess:
    directory.mkdir()
    search = os.pathsep.join([str(sources), str(ROOT)])
    return KancaProcess(url, directory, *options, environ=ENVIRON | {"PYTHONPATH": search})


async def _send(session: aiohttp.ClientSession, url: str, secret: str, event_id: str) -> None:
    async with session.post(url, **signed_event("upgrade.test", event_id, secret=secret)) as response:
        assert response.status == 200, await response.text()


async def _send_all(addresses: Iterable[tuple[str, str]], prefix: str, count: int = EVENTS) -> set[str]:
    """Send events to each address and its secret; gives their ids. Each has to be answered 200."""
    sent = set()
    async with aiohttp.ClientSession() as session:
        for place, (url, secret) in enumerate(addresses):
            names = [f"{prefix}-{place}-{number}" for number in range(count)]
            await asyncio.gather(*(_send(session, url, secret, name) for name in names))
            sent |= set(names)
    return sent


async def _subscribe(client: Client, receiver: Receiver, name: str, sources: list[str]) -> None:
    asked = {"id": name, "url": f"{receiver.url}/{name}", "events": ["upgrade.*"], "sources": sources}
    made = await client.ask("POST", "/webhooks/subscriptions", asked)
    receiver.add(name, made["secret"], lambda _: Answer())


def _called_for(*servers: KancaProcess) -> set[str]:
    return {source for server in servers for _, _, source in server.calls()}


async def test_the_previous_version_works_on_beside_the_next_one_and_alone_on_its_schema(
    postgres: PostgresServer, previous: Path, tmp_path: Path
) -> None:
    url = postgres.create_database("upgrade")
    old = _server(url, tmp_path / "old", sources=previous / "src")
    new = _server(url, tmp_path / "new")
    async with receiving() as receiver:
        with old:
            builtin = f"{old.url}/webhooks/receive", WEBHOOK_SECRET
            async with Client(old) as client:
                of_old = await client.endpoint(name="made by the previous version", provider="hmac")
                await _subscribe(client, receiver, "of-old", [of_old[0].rpartition("/")[2]])
            sent = await _send_all([builtin, of_old], "before")
            with new:
                async with Client(new) as client:
                    of_new = await client.endpoint(name="made by the next version", provider="hmac")
                    await _subscribe(client, receiver, "of-new", [of_new[0].rpartition("/")[2]])
                    paths = [(address.partition("/api/")[2], secret) for address, secret in (of_old, of_new)]
                    addresses = [
                        (f"{server.url}/api/{path}", secret)
                        for server in (old, new)
                        for path, secret in paths
                    ]
                    sent |= await _send_all([builtin, *addresses], "beside")
                    await eventually(client.nothing_is_pending, "all work has ended")
                assert new.stop() == 0
            # What starts anew on the new schema is still the previous version, and nobody else is there.
            assert old.stop() == 0
        again = _server(url, tmp_path / "again", "--no-migrate", sources=previous / "src")
        with again:
            alone = [(f"{again.url}/api/{path}", secret) for path, secret in paths]
            sent |= await _send_all([(f"{again.url}/webhooks/receive", WEBHOOK_SECRET), *alone], "alone")
            async with Client(again) as client:
                await eventually(client.nothing_is_pending, "all work has ended")
                events = await client.events(event_type="upgrade.test")
            assert again.stop() == 0
    assert Counter(event["source_event_id"] for event in events) == Counter(sent)
    assert {event["status"] for event in events} == {"succeeded"}
    assert _called_for(old, new, again) == sent
    wanted = {name: EVENTS * (4 if name == "of-old" else 3) for name in ("of-old", "of-new")}
    assert {name: len(receiver.log[name]) for name in wanted} == wanted
    assert not receiver.faults


@pytest.mark.parametrize(
    "tests",
    [
        ["tests/contract/test_accepting.py", "tests/contract/test_queue_finish.py"],
        pytest.param(["tests/contract"], marks=pytest.mark.torture),
    ],
    ids=["hot", "all"],
)
def test_what_the_previous_version_promises_of_its_storage_holds_on_the_new_schema(
    previous: Path, tests: list[str]
) -> None:
    assert " passed" in run_its_tests(previous, tests)
