"""Machines of one kind on one PostgreSQL: what one takes, the other works off; and what hangs is replaced."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from tests.acceptance.processes import Client, KancaProcess, eventually
from tests.servers.valkey import ValkeyServer


async def test_a_machine_of_gateways_and_a_machine_of_workers_are_one_kanca(
    postgres_url: str, tmp_path: Path, valkey: ValkeyServer
) -> None:
    environ = {"KANCA_REDIS_URL": valkey.url}
    front, back = tmp_path / "front", tmp_path / "back"
    front.mkdir()
    back.mkdir()
    with (
        KancaProcess(postgres_url, front, "--gateways", "2", "--workers", "0", environ=environ) as gateways,
        KancaProcess(postgres_url, back, "--gateways", "0", "--workers", "2", environ=environ) as workers,
    ):
        async with Client(gateways) as client:

            async def alive() -> Counter[str]:
                found = (await client.ask("GET", "/api/instances"))["items"]
                return Counter(f"{each['kind']} {each['state']}" for each in found if each["is_alive"])

            async def all_are_there() -> bool:
                return await alive() == {"gateway running": 2, "worker running": 2}

            await eventually(all_are_there, "both machines are listed")
            items: list[dict[str, Any]] = (await client.ask("GET", "/api/instances"))["items"]
            assert {each["address"] for each in items} == {gateways.url, None}
            assert len({(each["version"], each["revision"]) for each in items}) == 1
            assert {each["connections"] for each in items} == {15}

            url, token = await client.endpoint(name="orders")
            body = {"event_type": "order.created", "event_id": "o-1", "data": {}}
            headers = {"Authorization": f"Bearer {token}"}
            async with client.session.post(url, json=body, headers=headers) as response:
                assert response.status == 200

            async def is_handled() -> bool:
                return [source for *_, source in workers.calls()] == ["o-1"]

            await eventually(is_handled, "the other machine handles the event")
            assert workers.stop() == 0
            # Those who leave say so: nobody has to wait until their leases are over.
            assert await alive() == {"gateway running": 2}


async def test_a_gateway_that_hangs_is_killed_and_another_takes_its_place(
    postgres_url: str, tmp_path: Path
) -> None:
    environ = {"KANCA_WATCHDOG_SECONDS": "4"}
    with KancaProcess(postgres_url, tmp_path, "--workers", "0", environ=environ) as server:
        (hanging,) = server.children("gateway")
        os.kill(hanging, signal.SIGSTOP)

        async def is_replaced() -> bool:
            return [pid for pid in server.children("gateway") if pid != hanging] != []

        await eventually(is_replaced, "another gateway is started")
        async with Client(server) as client:
            await client.ask("GET", "/health/ready", expect=200)
        assert "child_hangs" in server.log()
        assert server.stop() == 0
