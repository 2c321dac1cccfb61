"""Two gateway machines and two worker machines on one PostgreSQL and one Valkey, disturbed in every way there is.

One machine of each kind is of the version before, until it is replaced.

No accepted event is lost or doubled, and senders see nothing but 200, and 503 with ``Retry-After`` while the database
is away or a machine stops; of a gateway that is killed they see a broken connection, as of any server. The report says
how long each disturbance lasted at the client (``pytest -rP`` shows it).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.acceptance.fleet import Disturbance, Fleet, Site
from tests.acceptance.load import EVENT_TYPE, REFUSED, Senders
from tests.acceptance.processes import ROOT, Client, KancaProcess, eventually
from tests.servers.postgres import PostgresServer
from tests.servers.valkey import ValkeyServer
from tests.upgrades.previous import unpack

VALKEY_AWAY_S = 1.0


def _kill_child(machine: KancaProcess, kind: str) -> None:
    (pid,) = machine.children(kind)
    os.kill(pid, signal.SIGKILL)


def _only(disturbance: Disturbance, *kinds: str) -> None:
    """Nothing else was answered but 200, and every 503 said when to come again."""
    assert disturbance.failures.keys() <= set(kinds), (disturbance.name, disturbance.failures)
    answers = [answer for answer in disturbance.answers if answer.status == 503]
    assert all(answer.retry_after for answer in answers), disturbance.name


async def _nothing_is_lost_or_doubled(
    senders: Senders, look: KancaProcess, calls: list[tuple[str, str, str]]
) -> None:
    async with Client(look) as client:
        await eventually(client.nothing_is_pending, "all work has ended")
        events = await client.events(event_type=EVENT_TYPE)
    stored = Counter(event["source_event_id"] for event in events)
    assert stored.keys() == senders.accepted.keys()
    assert max(stored.values()) == 1, "an event is there twice"
    assert {event["id"] for event in events} == set(senders.accepted.values())
    assert Counter(event["status"] for event in events).keys() == {"succeeded"}
    called = {source for _, _, source in calls}
    assert called == senders.accepted.keys()


@pytest.mark.parametrize(
    ("rounds", "settles_s"),
    [(1, 0.5), pytest.param(5, 5.0, marks=pytest.mark.torture)],
    ids=["short", "long"],
)
async def test_a_fleet_loses_and_doubles_nothing_whatever_is_done_to_its_parts(
    tmp_path: Path, rounds: int, settles_s: float
) -> None:
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(PostgresServer(fsync=True))
        valkey = stack.enter_context(ValkeyServer())
        url = postgres.create_database("fleet")
        environ = {"KANCA_REDIS_URL": valkey.url, "CALLS_FILE": str(tmp_path / "calls.txt")}
        site, before = Site(url, tmp_path, environ), unpack(tmp_path / "previous")
        # The version before was there first: the present one joins it, and expands the schema under its feet.
        first = {
            (kind, name): stack.enter_context(site.machine(kind, f"{kind}-{name}", sources))
            for name, sources in (("before", before), ("now", ROOT / "src"))
            for kind in ("gateway", "worker")
        }
        gateways = [first["gateway", name] for name in ("now", "before")]
        workers = [first["worker", name] for name in ("now", "before")]
        senders = await stack.enter_async_context(Senders([each.url for each in gateways]))
        fleet = Fleet(senders, gateways[0], settles_s)

        async def kill_worker() -> None:
            _kill_child(workers[0], "worker")

        async def kill_gateway() -> None:
            _kill_child(gateways[1], "gateway")

        async def kill_valkey() -> None:
            valkey.kill()
            await asyncio.sleep(VALKEY_AWAY_S)  # it is away for a while
            valkey.start()

        async def restart_postgres() -> None:
            await asyncio.to_thread(postgres.kill)
            await asyncio.to_thread(postgres.start)

        async def replace(machines: list[KancaProcess], number: int) -> None:
            """A new machine joins, the load balancer learns of it, and an old one stops."""
            kind = "gateway" if machines is gateways else "worker"
            new = site.machine(kind, f"{kind}-new-{number}")
            await asyncio.to_thread(new.start)
            stack.callback(new.__exit__, None, None, None)
            old = machines.pop()
            machines.append(new)
            senders.gateways[:] = [each.url for each in gateways]
            assert await asyncio.to_thread(old.stop) == 0

        for number in range(rounds):
            undisturbed = await fleet.disturb("nothing", lambda: asyncio.sleep(0))
            _only(undisturbed)
            _only(await fleet.disturb("a worker is killed (SIGKILL)", kill_worker))
            _only(await fleet.disturb("a gateway is killed (SIGKILL)", kill_gateway), REFUSED)
            _only(await fleet.disturb(f"Valkey is killed, back after {VALKEY_AWAY_S:.0f} s", kill_valkey))
            _only(await fleet.disturb("PostgreSQL is killed and recovers", restart_postgres), "503")
            for machines, what in ((workers, "worker"), (gateways, "gateway")):
                replaced = await fleet.disturb(
                    f"a {what} machine joins, an old one stops (SIGTERM)", partial(replace, machines, number)
                )
                _only(replaced, "503")
        await senders.__aexit__(None, None, None)
        await _nothing_is_lost_or_doubled(senders, gateways[0], workers[0].calls())
        sys.stdout.write(fleet.report())
